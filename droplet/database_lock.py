"""Locks of what changes or copies whole databases: one program at a time in a database, one run in an environment."""

from droplet.names import DATABASE_LOCK
from droplet.session import Session, SessionError

WAIT_SECONDS = 10.0
"""How long a program waits that takes turns with others: a dump gives way to one that waits."""

_LOCK = """
DO $$
BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', '{milliseconds}', true);
    PERFORM pg_catalog.pg_advisory_lock({lock}::bigint << 32 | {oid}::bigint);
EXCEPTION WHEN lock_not_available THEN NULL;
END $$;
SELECT pg_catalog.pg_try_advisory_lock({lock}::bigint << 32 | {oid}::bigint);
"""
"""Held already, where waiting was not in vain: a session may take a lock twice (PostgreSQL documentation, "Advisory
Locks")."""

_ALONE = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'control_plane') AS here \\gset
\\echo :here
SELECT CASE WHEN :'here' THEN pg_catalog.pg_try_advisory_lock(:lock) ELSE false END;
"""


def take_run(session: Session, lock: int) -> bool | None:
    """Take the lock of an environment's one run of a program; False if another droplet has it.

    The environment's locks are in the cluster that has `control_plane`: None if this is another one.

    Args:
        session: of the administrator, in its own database; the lock goes with it.
        lock: the program's number (droplet/names.py).

    Raises:
        SessionError: the cluster cannot be reached.
    """
    here, alone = session.lines(_ALONE, lock=lock)
    return alone == "t" if here == "t" else None


def take(session: Session, database: str) -> bool:
    """Take the lock of a database; False if another program keeps it. It goes with the session.

    Args:
        session: of the administrator, in its own database, where no tenant can connect to take the lock.
        database: whose lock.

    Raises:
        SessionError: there is no such database.
    """
    found = session.ask(
        "SELECT pg_catalog.to_json(oid::bigint) FROM pg_catalog.pg_database WHERE datname = :'database';",
        database=database,
    )
    if not found:
        raise SessionError(f'{session.client.cluster}: database "{database}" does not exist')
    milliseconds = round(WAIT_SECONDS * 1000)
    return session.lines(_LOCK.format(milliseconds=milliseconds, lock=DATABASE_LOCK, oid=int(found[0]))) == [
        "t"
    ]
