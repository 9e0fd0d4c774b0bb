"""A terminal with psql on a droplet of the control group, for a person who has SSH there.

A cluster lets in the control group's droplets alone, and their sshd forwards no port, so psql runs there. First,
`--keep` reads how to connect from its input into a folder in memory; then `--psql` starts psql, and removes the folder.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from droplet import postgres
from droplet.names import READ_SECONDS
from droplet.postgres import pgpass, write_private

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_PREFIX = "presence360-sql-"
_MAX_BYTES = 64 * 1024
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
        if time.time() - left.stat().st_mtime > READ_SECONDS:
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
        "PGSSLROOTCERT": str(folder / "ca.pem"),
        "PGPASSFILE": str(folder / "pgpass"),
        "PGAPPNAME": "presence360 sql",
    }
    write_private(folder / "connection.json", json.dumps(known))
    return 0


def _psql(folder: Path, command: str, programs: Path | None) -> int:
    try:
        known = json.loads((folder / "connection.json").read_text(encoding="utf-8"))
    except OSError:
        sys.stderr.write("refused: nothing is known of this request here; --keep comes first\n")
        return 2
    environment = {
        **known,
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "TERM": os.environ.get("TERM", "dumb"),
        "LC_ALL": "C.UTF-8",
        # Nothing of what is read stays here: no history, no pager's files.
        "HOME": str(folder),
        "PSQL_HISTORY": "/dev/null",
        "LESSHISTFILE": "/dev/null",
    }
    arguments = ["--no-psqlrc", "--no-password", *(("--command", command) if command else ())]
    try:
        program = str(programs / "psql") if programs else "psql"
        return subprocess.run([program, *arguments], env=environment, check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _connection(content: bytes) -> dict[str, Any]:
    value = json.loads(content)
    if not isinstance(value["port"], int) or not all(isinstance(value[name], str) for name in _TEXTS):
        raise TypeError("connection")
    return {"port": value["port"], **{name: value[name] for name in _TEXTS}}
