"""A terminal with psql on a droplet of the control group, for a person who has SSH there.

A cluster lets in the control group's droplets alone, and their sshd forwards no port, so psql runs there. First,
`--keep` reads how to connect from its input into a folder in memory; then `--psql` takes it from there, removes the
folder, and starts psql. So nothing is left there however psql ends.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from droplet import postgres
from droplet.postgres import pgpass, write_private
from droplet.sql.screen import Screen, plain, pump, take_size

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_PREFIX = "presence360-sql-"
_MAX_BYTES = 64 * 1024
_KEPT_SECONDS = 600
"""What `--psql` has not taken after that is removed by the next `--keep`."""
_LAST_SECONDS = 5
"""For how long the rest of psql's output is waited for when it has ended: a program of its may hold it open."""
_TEXTS = ("host", "database", "user", "password", "sslmode", "ca", "until")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what an operator's machine gives."""
    parser.add_argument(
        "--keep", metavar="ID", help="read how to connect from the input, and keep it in memory"
    )
    parser.add_argument("--psql", metavar="ID", help="start psql with that, and forget it at the end")
    parser.add_argument("--command", default="", metavar="SQL", help="run this instead of a terminal")
    parser.add_argument("--memory", type=Path, default=Path("/run"), help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Keep, or start psql; its exit status."""
    run_id = options.keep or options.psql
    if not _ID.fullmatch(run_id):
        sys.stderr.write("refused: this is not the id of a request\n")
        return 2
    folder: Path = options.memory / f"{_PREFIX}{run_id}"
    if options.keep:
        return _keep(folder)
    return _psql(folder, options.command, options.programs or postgres.newest_programs("psql"))


def _keep(folder: Path) -> int:
    for left in folder.parent.glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    try:
        value = _connection(sys.stdin.buffer.read(_MAX_BYTES))
    except (ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"refused: this says nothing of a connection ({type(error).__name__})\n")
        return 2
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    where = {"PGHOST": value["host"], "PGPORT": str(value["port"])}
    write_private(folder / "ca.pem", value["ca"])
    write_private(folder / "pgpass", pgpass(where, value["user"], value["password"]))
    known = {
        **where,
        "PGUSER": value["user"],
        "PGDATABASE": value["database"],
        "PGSSLMODE": value["sslmode"],
        "PGAPPNAME": "presence360 sql",
        # A view's function may send notices, and what is in them is the church's.
        "PGOPTIONS": "-c client_min_messages=error",
    }
    write_private(folder / "connection.json", json.dumps(known))
    return 0


def _psql(folder: Path, command: str, programs: Path | None) -> int:
    try:
        known = json.loads((folder / "connection.json").read_text(encoding="utf-8"))
        files = {
            name: _in_memory((folder / file).read_bytes())
            for name, file in (("PGPASSFILE", "pgpass"), ("PGSSLROOTCERT", "ca.pem"))
        }
    except OSError:
        sys.stderr.write("refused: nothing is known of this request here; --keep comes first\n")
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    environment = {
        **known,
        **{name: f"/proc/self/fd/{descriptor}" for name, descriptor in files.items()},
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "TERM": os.environ.get("TERM", "dumb"),
        "LC_ALL": "C.UTF-8",
        # Nothing of what is read stays here: no history, no pager's files.
        "HOME": "/nonexistent",
        "PSQL_HISTORY": "/dev/null",
        "LESSHISTFILE": "/dev/null",
    }
    arguments = ["--no-psqlrc", "--no-password", *(("--command", command) if command else ())]
    program = str(programs / "psql") if programs else "psql"
    return _run(
        [program, *arguments], environment, tuple(files.values()), draws=not command and _at_terminal()
    )


def _in_memory(content: bytes) -> int:
    """Return the descriptor of a file without a name, which is gone with the programs that have it open."""
    descriptor = os.memfd_create("presence360-sql")
    # libpq reads no password from a file that others may read (PostgreSQL documentation, "The Password File").
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, content)
    return descriptor


def _at_terminal() -> bool:
    return os.isatty(sys.stdin.fileno()) and os.isatty(sys.stdout.fileno())


def _run(command: Sequence[str], environment: Mapping[str, str], files: Sequence[int], *, draws: bool) -> int:
    """Run psql; its exit status. What it writes goes through a screen; what is typed goes to psql itself.

    Args:
        command: the program and its arguments.
        environment: its.
        files: descriptors that it gets.
        draws: whether a person sits at a terminal. Output and errors are one stream then, so that an error comes before
            the prompt.
    """
    if draws:
        ours, theirs = os.openpty()
        plain(theirs)
        take_size(sys.stdin.fileno(), ours)
        ends = [(ours, theirs, sys.stdout.fileno())]
    else:
        ends = [(*os.pipe(), stream.fileno()) for stream in (sys.stdout, sys.stderr)]

    # A function, and not SIG_IGN, which psql would inherit: Ctrl-C ends psql's statement, and nothing else.
    signal.signal(signal.SIGINT, lambda *_: None)
    process = subprocess.Popen(
        command, env=dict(environment), stdout=ends[0][1], stderr=ends[-1][1], pass_fds=tuple(files)
    )
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: process.terminate())
    if draws:
        signal.signal(signal.SIGWINCH, lambda *_: take_size(sys.stdin.fileno(), ends[0][0]))
    for descriptor in (*files, *(theirs for _, theirs, _ in ends)):
        os.close(descriptor)
    pumps = [pump(ours, target, Screen(terminal=draws)) for ours, _, target in ends]
    code = process.wait()
    for thread in pumps:
        thread.join(_LAST_SECONDS)
    return code


def _connection(content: bytes) -> dict[str, Any]:
    value = json.loads(content)
    if not isinstance(value["port"], int) or not all(isinstance(value[name], str) for name in _TEXTS):
        raise TypeError("connection")
    return {"port": value["port"], **{name: value[name] for name in _TEXTS}}
