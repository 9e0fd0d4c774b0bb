"""The command: its arguments, the passwords it needs for as long as it runs, and its exit codes."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import droplet.move_tenant
from droplet.configuration import Cluster, ConfigurationError, read_configuration
from droplet.move_tenant.move import Move
from droplet.move_tenant.outcome import FailedError, RefusedError, UnknownError, printable
from droplet.move_tenant.pipe import LOCK_TIMEOUT_MS
from droplet.names import TENANT_ID, Tenant
from droplet.postgres import Client, newest_programs
from droplet.session import SessionError

CONFIGURATIONS = Path("/var/lib/presence360/incoming/isolation")
"""The isolation job's configurations, as the group's bucket has them."""

_FOLDER = "presence360-move-"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run; 0 if the target holds what the source holds."""
    options = _parse(arguments)
    for number in _SIGNALS:
        signal.signal(number, _interrupted)
    private = _private_folder()
    try:
        _move(options, private)
    except RefusedError as error:
        sys.stderr.writelines(f"refused: {printable(line)}\n" for line in str(error).splitlines())
        return 2
    except (SessionError, UnknownError) as error:
        sys.stderr.write(printable(f"failed: {error}\n"))
        if isinstance(error, SessionError) and not options.check:
            sys.stderr.write("Nothing was committed: the target is as empty as before.\n")
        return 1
    finally:
        shutil.rmtree(private)
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="move_tenant",
        description=droplet.move_tenant.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tenant", help="the tenant's id")
    parser.add_argument(
        "--from", dest="source", required=True, help="the cluster that has the database, such as shared"
    )
    parser.add_argument(
        "--to", dest="target", required=True, help="the cluster that is to have it: the tenant's id"
    )
    parser.add_argument("--check", action="store_true", help="compare, and change nothing")
    parser.add_argument("--configurations", type=Path, default=CONFIGURATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _move(options: argparse.Namespace, private: Path) -> None:
    if not re.fullmatch(TENANT_ID, options.tenant):
        raise RefusedError(f"{options.tenant!r} is not the id of a tenant")
    if options.source == options.target:
        raise RefusedError("source and target are the same cluster")
    programs = options.programs or newest_programs("pg_dump")
    if programs is None:
        raise RefusedError("pg_dump is not installed (Debian: postgresql-client)")
    source, target = (
        Client.prepare(
            find_cluster(options.configurations, name),
            private / name,
            programs,
            application="presence360-move-tenant",
            PGCLIENTENCODING="UTF8",
            settings={
                # The tenant's databases end statements after a minute; a copy takes longer.
                "statement_timeout": "0",
                "idle_in_transaction_session_timeout": "0",
                "idle_session_timeout": "0",
                "lock_timeout": str(LOCK_TIMEOUT_MS),
            },
        )
        for name in (options.source, options.target)
    )
    Move(Tenant(options.tenant), source, target, _major(source), private).run(check=options.check)


def find_cluster(folder: Path, name: str) -> Cluster:
    """Find a cluster in what Terraform's stacks say.

    Raises:
        RefusedError: no readable configuration names it.
    """
    known: dict[str, Cluster] = {}
    unreadable = []
    for path in sorted(folder.glob("*.json")):
        try:
            known |= {cluster.name: cluster for cluster in read_configuration(path, path.stem).clusters}
        except ConfigurationError:
            unreadable.append(path.name)
    if name not in known:
        more = f" Not readable: {', '.join(unreadable)}." if unreadable else ""
        names = ", ".join(sorted(known)) or "none"
        raise RefusedError(f"there is no cluster {name!r} in {folder}; there are: {names}.{more}")
    return known[name]


def _major(client: Client) -> int:
    """Return the major version of pg_dump."""
    command = [client.program("pg_dump"), "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\) (\d+)", shown)
    if not found:
        raise RefusedError(f"pg_dump --version prints: {shown.strip()}")
    return int(found[1])


def _private_folder() -> Path:
    """Make a folder for passwords, in memory if possible; remove those that killed runs left."""
    memory = Path("/run") if os.access("/run", os.W_OK) else Path(tempfile.gettempdir())
    for left in memory.glob(f"{_FOLDER}*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=memory))


def _interrupted(number: int, _frame: object) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # what is left is to clean up
    raise FailedError(f"interrupted ({signal.Signals(number).name})")
