"""The command: one run, from the bucket of the credentials to what PgBouncer serves."""

import argparse
import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.journal import ERROR, INFO, log
from droplet.pool.console import Console, ConsoleError
from droplet.pool.credentials import read_places
from droplet.pool.files import PORT, Sizes, digest_of, render
from droplet.pool.metrics import Shown, metrics

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
    def loaded(self) -> Path:
        """Names the state of the files that PgBouncer was told to read."""
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
    parser.add_argument("--sockets", type=Path, default=Path("/run/presence360/postgres"))
    parser.add_argument("--rclone", type=Path, default=Path("/usr/bin/rclone"))
    return run(Folders(**vars(parser.parse_args(arguments))))


def run(folders: Folders) -> int:
    """Run once; 1 if PgBouncer may not know all credentials, which the unit shows as failed."""
    problems: list[str] = []
    try:
        configuration = read_configuration(folders.given / "pool.json")
        problems += _bring(folders, configuration)
    except PoolError as error:
        problems.append(str(error))
    for problem in problems:
        log(ERROR, problem)
    text = metrics(_look(folders), configured=not problems)
    (folders.scratch / "pool.prom").write_text(text, encoding="utf-8")
    return 1 if problems else 0


def read_configuration(path: Path) -> Configuration:
    """Read pool.json.

    Raises:
        PoolError: it cannot be read, or does not have the form that Terraform writes.
    """
    try:
        value = json.loads(path.read_bytes())
        sizes = Sizes(int(value["size"]), {str(key): int(size) for key, size in value["overrides"].items()})
        if (
            not _BUCKET.fullmatch(value["credentials"])
            or min(sizes.default, *sizes.overrides.values(), 1) < 1
        ):
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
    """Fetch, write what changed, and tell PgBouncer; return what went wrong on the way."""
    problems: list[str] = []
    try:
        fetch(folders, configuration.source)
    except PoolError as error:
        problems.append(str(error))
    places, refused = read_places(folders.credentials)
    problems += [f"{name} {reason}" for name, reason in refused.items()]
    if problems and not places:
        # Files without databases would end every connection that there is.
        return problems
    files = render(places, configuration.sizes, folders.state, folders.sockets)
    for name, text in files.items():
        _write(folders.state / name, text)
    digest = digest_of(files)
    if _read(folders.loaded) != digest:
        try:
            with Console(folders.sockets, PORT) as console:
                console.ask("RELOAD")
            log(
                INFO, f"{len(places)} databases, {sum(len(place.logins) for place in places)} users: reloaded"
            )
        except ConsoleError as error:
            # It reads the files when it starts, which this unit sees to.
            log(INFO, f"PgBouncer does not answer yet: {error}")
            return problems
        _write(folders.loaded, digest)
    return problems


def _look(folders: Folders) -> Shown | None:
    try:
        with Console(folders.sockets, PORT) as console:
            return Shown(*(console.ask(f"SHOW {what}") for what in ("POOLS", "DATABASES", "STATS")))
    except ConsoleError:
        return None


def _write(path: Path, text: str) -> None:
    """Replace a file in one step where its content differs; no other user can read it at any moment."""
    if _read(path) == text:
        return
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
