"""Postgres's clients as a droplet has them: Debian 13's, unpacked and not installed."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

SUITE = "trixie"
MAJOR = 17
"""What Debian 13 has."""


class MissingError(Exception):
    """There are none here; the message says why."""


def clients() -> Path:
    """Return a folder with psql, pg_dump and pg_restore; unpacked in a few seconds where it is not there yet.

    Raises:
        MissingError: this machine cannot have them.
    """
    own = Path(f"/usr/lib/postgresql/{MAJOR}/bin")
    if (own / "pg_restore").exists():
        return own
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence360"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"postgresql-client-{MAJOR}"
    with (cache / "clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = cache / f"{folder.name}.new"
            shutil.rmtree(draft, ignore_errors=True)
            _unpack(draft)
            draft.replace(folder)
    return folder / "bin"


def _unpack(folder: Path) -> None:
    if not shutil.which("mmdebstrap"):
        raise MissingError(f"no client of Postgres {MAJOR}, and no mmdebstrap to get Debian's with")
    root = folder / "debian"
    folder.mkdir()
    command = [
        "mmdebstrap",
        "--variant=extract",
        f"--include=postgresql-client-{MAJOR}",
        SUITE,
        str(root),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingError(f"mmdebstrap: {done.stderr.strip().splitlines()[-1]}")
    (folder / "bin").mkdir()
    # Of another Debian than the machine's: with the C library that they were built for.
    loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"))
    for name in ("psql", "pg_dump", "pg_restore"):
        program = folder / "bin" / name
        program.write_text(
            "#!/bin/sh\n"
            f'home=$(dirname "$0")/../debian/usr/lib\n'
            f'exec "$home/{loader.parent.name}/{loader.name}" --library-path "$home/{loader.parent.name}" '
            f'"$home/postgresql/{MAJOR}/bin/{name}" "$@"\n',
            encoding="utf-8",
        )
        program.chmod(0o755)
