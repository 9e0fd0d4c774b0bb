"""The command: one run, from the bucket of the credentials to what PgBouncer serves."""

import argparse
import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.paths import write
from droplet.journal import ERROR, INFO, log
from droplet.pool import show
from droplet.pool.console import Console, ConsoleError, SilentError
from droplet.pool.credentials import read_places
from droplet.pool.files import PORT, SOCKETS, Sizes, digest_of, render
from droplet.pool.metrics import Shown, metrics
from droplet.pool.served import differences

LIMITS = ("--max-depth", "1", "--retries", "2", "--contimeout", "10s", "--timeout", "20s")
"""As for the group's own bucket (droplet/fetch.py)."""
FETCH_SECONDS = 50

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]+/[a-z]+")


class PoolError(Exception):
    """A run cannot do all of its work. What PgBouncer knows already, it goes on serving."""


@dataclass(frozen=True)
class Folders:
    """Where a run reads and writes.

    Attributes:
        given: pool.json, and rclone.conf with the group's key.
        state: PgBouncer's files and the credentials; this user's alone.
        scratch: the metrics.
        sockets: PgBouncer's socket.
        rclone: the program that fetches.
    """

    given: Path
    state: Path
    scratch: Path
    sockets: Path
    rclone: Path

    @property
    def credentials(self) -> Path:
        """The bucket's objects, as last fetched."""
        return self.state / "credentials"

    @property
    def good(self) -> Path:
        """The last usable copy of each object."""
        return self.state / "good"

    @property
    def loaded(self) -> Path:
        """Names the state of the files that PgBouncer serves."""
        return self.state / "loaded"


@dataclass(frozen=True)
class Configuration:
    """What Terraform says in pool.json (constructs_lib/config_bucket.py).

    Attributes:
        source: the bucket and the folder with the credentials objects.
        sizes: of the pools.
    """

    source: str
    sizes: Sizes


def main(arguments: Sequence[str]) -> int:
    """Read the folders from the command line or from systemd's variables, and run."""
    parser = argparse.ArgumentParser(
        prog="pool", description="Bring PgBouncer to what the tenants' credentials objects say."
    )
    for name, variable in (
        ("given", "CREDENTIALS_DIRECTORY"),
        ("state", "STATE_DIRECTORY"),
        ("scratch", "RUNTIME_DIRECTORY"),
    ):
        parser.add_argument(f"--{name}", type=Path, default=Path(os.environ.get(variable, ".")))
    parser.add_argument("--sockets", type=Path, default=SOCKETS)
    parser.add_argument("--rclone", type=Path, default=Path("/usr/bin/rclone"))
    parser.add_argument("--show", choices=show.TABLES, help="only print a table of PgBouncer's; needs root")
    options = vars(parser.parse_args(arguments))
    if table := options.pop("show"):
        return show.show(table, options["sockets"])
    return run(Folders(**options))


def run(folders: Folders) -> int:
    """Run once; 1 if the credentials or PgBouncer's files are not right, which the unit shows as failed.

    Whether PgBouncer runs is its own unit's matter; until it answers, the metrics say that it does not know them.
    """
    problems: list[str] = []
    try:
        configuration = read_configuration(folders.given / "pool.json")
        problems += _bring(folders, configuration)
    except PoolError as error:
        problems.append(str(error))
    except OSError as error:
        # Such as a full disk. The metrics are in memory, and say it.
        problems.append(f"{error.filename or folders.state}: {error.strerror}")
    for problem in problems:
        log(ERROR, problem)
    shown = _look(folders)
    text = metrics(shown, configured=shown is not None and not problems, now=time.time())
    (folders.scratch / "pool.prom").write_text(text, encoding="utf-8")
    return 1 if problems else 0


def read_configuration(path: Path) -> Configuration:
    """Read pool.json.

    Raises:
        PoolError: it cannot be read, or does not have the form that Terraform writes.
    """
    try:
        value = json.loads(path.read_bytes())
        sizes = Sizes(droplets=int(value["droplets"]), connections=int(value["connections"]))
        if not _BUCKET.fullmatch(value["credentials"]) or sizes.droplets < 1:
            raise ValueError
        return Configuration(value["credentials"], sizes)
    except OSError as error:
        raise PoolError(f"pool.json cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PoolError(
            f"pool.json does not have the form that Terraform writes ({type(error).__name__})"
        ) from None


def fetch(folders: Folders, source: str) -> None:
    """Bring the folder of credentials to what the bucket holds.

    Raises:
        PoolError: it may not hold all of it; what was fetched before is still there.
    """
    folders.credentials.mkdir(mode=0o700, exist_ok=True)
    command = [str(folders.rclone), "--config", str(folders.given / "rclone.conf"), "--quiet", "--checksum"]
    try:
        subprocess.run(
            [*command, *LIMITS, "sync", f"store:{source}", str(folders.credentials)],
            check=True,
            timeout=FETCH_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PoolError(f"the credentials were not fetched: {type(error).__name__}") from None


def _bring(folders: Folders, configuration: Configuration) -> list[str]:
    """Fetch, write what changed, and see that PgBouncer has it; return what went wrong on the way."""
    problems: list[str] = []
    try:
        fetch(folders, configuration.source)
    except PoolError as error:
        problems.append(str(error))
    places, refused = read_places(folders.credentials, folders.good)
    problems += [f"{name} {reason}" for name, reason in refused.items()]
    if problems and not places:
        # Files without databases would end every connection that there is.
        return problems
    files = render(places, configuration.sizes, folders.state, folders.sockets)
    for name, text in files.items():
        _replace(folders.state / name, text)
    digest = digest_of(files)
    try:
        with Console(folders.sockets, PORT) as console:
            if _read(folders.loaded) != digest or differences(console, places, configuration.sizes):
                folders.loaded.unlink(missing_ok=True)
                console.ask("RELOAD")
                # PgBouncer says yes to files that it did not understand, and goes on with those of before.
                if found := differences(console, places, configuration.sizes):
                    return [*problems, f"PgBouncer did not take the files: {'; '.join(found)}"]
                users = sum(len(place.logins) for place in places)
                log(INFO, f"{len(places)} databases, {users} users: reloaded")
                _replace(folders.loaded, digest)
    except SilentError as error:
        # It reads the files when it starts. Its own unit says why it does not run.
        log(INFO, f"PgBouncer does not answer: {error}")
    except ConsoleError as error:
        problems.append(f"PgBouncer refuses its console: {error}")
    return problems


def _look(folders: Folders) -> Shown | None:
    try:
        with Console(folders.sockets, PORT) as console:
            return Shown(*(console.ask(f"SHOW {what}") for what in ("POOLS", "DATABASES", "STATS")))
    except ConsoleError:
        return None


def _replace(path: Path, text: str) -> None:
    """Replace a file in one step where its content differs; no other user can read it at any moment."""
    if _read(path) != text:
        write(path, text.encode(), mode=0o600)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
