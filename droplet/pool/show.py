"""A table of PgBouncer's, for a person: `pool --show POOLS`. Most droplets have no psql."""

import os
import sys
from pathlib import Path

from droplet.pool.console import Console, ConsoleError
from droplet.pool.files import PORT

TABLES = ("POOLS", "DATABASES", "CLIENTS", "SERVERS", "USERS", "STATS", "CONFIG", "LISTS")
"""Of pgbouncer(1), "SHOW commands"; none has a password."""


def show(table: str, sockets: Path) -> int:
    """Print it; 1 if PgBouncer does not answer."""
    try:
        _become_the_owner_of(sockets / f".s.PGSQL.{PORT}")
        with Console(sockets, PORT) as console:
            rows = console.ask(f"SHOW {table}")
    except (ConsoleError, OSError) as error:
        sys.stderr.write(f"PgBouncer's console: {error}\n")
        return 1
    lines = [list(rows[0]), *([*row.values()] for row in rows)] if rows else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    return 0


def _become_the_owner_of(path: Path) -> None:
    """Go on as PgBouncer's own user: its console lets nobody else in, root included."""
    owner = path.stat()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
