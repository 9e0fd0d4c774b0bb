"""A database's record: one JSON object, kept as the comment on the database, with a part for each program.

Only the database's owner may comment on it, and that is the administrator: no tenant writes here. The comment is in a
catalog that all databases share, so one query reads those of a whole cluster. It is dropped with its database, and
neither pg_dump nor a move takes it along: what is not recorded is done again.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from droplet.names import RECORD_LOCK
from droplet.postgres import quoted
from droplet.session import Session


def parse(comment: str | None) -> dict[str, Any]:
    """Read a record; empty where there is none, or one that cannot be read."""
    try:
        value = json.loads(comment or "")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def write(session: Session, database: str, part: str, value: str | Mapping[str, Any]) -> None:
    """Write one part of a database's record, and keep the others; two writers follow each other.

    Args:
        session: of the administrator, in its own database, outside a transaction.
        database: whose record.
        part: the key.
        value: what JSON can say.

    Raises:
        SessionError: it was not written, for example because the database is gone.
    """
    _change(session, database, lambda record: {**record, part: value})


def forget(session: Session, database: str, part: str) -> None:
    """Remove one part of a database's record, and keep the others.

    For a program that fills a database anew, with the database's lock (droplet/database_lock.py): what was true of the
    content before is not of this one.

    Raises:
        SessionError: it was not written, for example because the database is gone.
    """
    _change(session, database, lambda record: {key: value for key, value in record.items() if key != part})


def _change(session: Session, database: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    session.lines(f"BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({RECORD_LOCK}) IS NULL AS ignored \\gset")
    found = session.ask(
        "SELECT pg_catalog.to_json(pg_catalog.shobj_description(oid, 'pg_database'))\n"
        "FROM pg_catalog.pg_database WHERE datname = :'database';",
        database=database,
    )
    record = change(parse(found[0] if found else None))
    # Sorted: isolation/cluster.sql finds its mark in the text. In ASCII, so that it is the same in every encoding.
    text = json.dumps(record, sort_keys=True).replace("'", "''")
    session.lines(f"COMMENT ON DATABASE {quoted(database)} IS '{text}'; COMMIT;")
