"""Postgres's clients as a droplet has them: Debian 13's, unpacked and not installed."""

from pathlib import Path

from lab import debian

MAJOR = 17
"""What Debian 13 has."""


def clients() -> Path:
    """Return a folder with psql, pg_dump and pg_restore; unpacked in a few seconds where it is not there yet.

    Raises:
        debian.MissingError: this machine cannot have them.
    """
    own = Path(f"/usr/lib/postgresql/{MAJOR}/bin")
    if (own / "pg_restore").exists():
        return own
    programs = {name: f"usr/lib/postgresql/{MAJOR}/bin/{name}" for name in ("psql", "pg_dump", "pg_restore")}
    return debian.unpacked(f"postgresql-client-{MAJOR}", programs)
