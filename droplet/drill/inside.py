"""A database of the fork by itself: every table readable, every index whole and made again, every key followed."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from droplet.drill.checks import meaning
from droplet.drill.errors import DrillError
from droplet.drill.fork import Database, Fork, Reader
from droplet.move_tenant.inventory import Line, inventory
from droplet.postgres import quoted
from droplet.session import Session, SessionError

_OWN = """
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
"""

# Nothing can be read of a materialized view that was never computed.
_TABLES = """
SELECT pg_catalog.json_build_object('name', pg_catalog.format('%I.%I', n.nspname, c.relname))
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
{_OWN} AND c.relkind IN ('r', 'm') AND c.relispopulated ORDER BY n.nspname, c.relname;
""".replace("{_OWN}", _OWN)

# Those whose whole order a query can ask for: of plain columns, of all rows.
_INDEXES = """
SELECT pg_catalog.json_build_object(
    'name', pg_catalog.format('%I.%I', n.nspname, c.relname),
    'table', i.indrelid::pg_catalog.regclass::text,
    'columns', (
        SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k, true), ', ' ORDER BY k)
        FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k))
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
{_OWN} AND a.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND t.relkind IN ('r', 'm')
    AND t.relispopulated
ORDER BY 1::text;
""".replace("{_OWN}", _OWN)

_BROKEN = """
SELECT pg_catalog.json_build_object('name', pg_catalog.format('%I.%I', n.nspname, c.relname))
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
{_OWN} AND NOT (i.indisvalid AND i.indisready AND i.indislive) ORDER BY n.nspname, c.relname;
""".replace("{_OWN}", _OWN)

_KEYS = """
SELECT pg_catalog.json_build_object(
    'name', k.conname, 'table', k.conrelid::pg_catalog.regclass::text, 'valid', k.convalidated,
    'definition', pg_catalog.pg_get_constraintdef(k.oid))
FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
{_OWN} AND k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conrelid::pg_catalog.regclass::text, k.conname;
""".replace("{_OWN}", _OWN)

# By the owners themselves: pg_shdepend, which the inventory asks, has no entry for the server's first superuser
# (PostgreSQL documentation, "pg_shdepend": pinned objects).
_OWNERS = """
SELECT pg_catalog.json_build_array(i.type, i.identity, pg_catalog.pg_get_userbyid(o.owner))
FROM (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, oid, relowner AS owner, relnamespace AS schema
    FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner, pronamespace FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typowner, typnamespace FROM pg_catalog.pg_type
    WHERE typtype IN ('e', 'd', 'r')
    UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, nspowner, oid FROM pg_catalog.pg_namespace
) AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.schema,
LATERAL pg_catalog.pg_identify_object(o.classid, o.oid, 0) AS i
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = o.classid AND e.objid = o.oid AND e.deptype = 'e')
ORDER BY 1::text;
"""

_SEQUENTIAL = "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;"
_ORDERED = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET enable_incremental_sort = off;"
    " SET max_parallel_workers_per_gather = 0;"
)


def read(reader: Reader, database: Database) -> list[Line]:
    """Return the inventory: every table read from its first row to its last.

    Raises:
        DrillError: something cannot be read; it names the tables.
    """
    try:
        with reader.session(database.name) as session:
            session.ask(f"{_SEQUENTIAL} BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
            return inventory(session)
    except SessionError as error:
        found = list(_unreadable(reader, database))
        raise DrillError("; ".join(found) or meaning(str(error))) from None


def _unreadable(reader: Reader, database: Database) -> Iterator[str]:
    """Look for the tables that cannot be read, each in a session of its own."""
    for table in _asked(reader, database, _TABLES):
        try:
            with reader.session(database.name) as session:
                session.ask(
                    f"{_SEQUENTIAL} SET row_security = off;\nSELECT pg_catalog.to_json("
                    f"pg_catalog.count(pg_catalog.md5((r.*)::text))) FROM ONLY {table['name']} AS r;"
                )
        except SessionError as error:
            yield f"{table['name']} cannot be read: {meaning(str(error))}"


def indexes(reader: Reader, database: Database, lines: Sequence[Line]) -> list[str]:
    """Read every index through, compare it with its table, and make all of them again; return what is wrong."""
    wrong = [f"the index {one['name']} is not valid" for one in _asked(reader, database, _BROKEN)]
    rows = {name: value.partition(" ")[0] for kind, name, value in lines if kind == "content"}
    for index in _asked(reader, database, _INDEXES):
        try:
            with reader.session(database.name) as session:
                (count,) = session.ask(
                    f"{_ORDERED} SET row_security = off;\nSELECT pg_catalog.to_json(pg_catalog.count(*)) FROM (\n"
                    f"SELECT {index['columns']} FROM ONLY {index['table']} ORDER BY {index['columns']}) AS r;"
                )
        except SessionError as error:
            wrong.append(f"the index {index['name']} cannot be read: {meaning(str(error))}")
            continue
        if str(count) != rows.get(index["table"], str(count)):
            wrong.append(
                f"the index {index['name']} has {count} entries and its table {rows[index['table']]} rows"
            )
    for table in _asked(reader, database, _TABLES):
        try:
            with reader.session(database.name) as session:
                session.ask(f"SET ROLE {quoted(database.owner)};\nREINDEX TABLE {table['name']};")
        except SessionError as error:
            wrong.append(f"the indexes of {table['name']} cannot be made again: {meaning(str(error))}")
    return wrong


def foreign_keys(reader: Reader, database: Database) -> list[str]:
    """Follow every foreign key from each row, by adding it a second time and undoing that; return what is wrong."""
    wrong, name = [], f"drill_{secrets.token_hex(6)}"
    for key in _asked(reader, database, _KEYS):
        if not key["valid"]:
            wrong.append(f"the foreign key {key['name']} of {key['table']} is not validated")
            continue
        try:
            with reader.session(database.name) as session:
                session.ask(
                    f"BEGIN; SET LOCAL ROLE {quoted(database.owner)};\n"
                    f"ALTER TABLE {key['table']} ADD CONSTRAINT {name} {key['definition']};\nROLLBACK;"
                )
        except SessionError as error:
            wrong.append(f"the foreign key {key['name']} of {key['table']}: {meaning(str(error))}")
    return wrong


def owners(fork: Fork, database: Database) -> list[str]:
    """Return what does not belong to the church's own role: of catalogs alone, so that no right is needed to see it."""
    with Session(fork.client, database.name, fork.private) as session:
        found = session.ask(_OWNERS)
    return [
        f"{kind} {name} belongs to {owner}"
        for kind, name, owner in found
        if owner != database.owner and not _isolations(kind, name)
    ]


def _isolations(kind: str, name: str) -> bool:
    """Tell whether the isolation job made it: the schema of the extensions. `public` is the server's own."""
    return kind == "schema" and name in {"extensions", "public"}


def _asked(reader: Reader, database: Database, question: str) -> list[Any]:
    with reader.session(database.name) as session:
        return session.ask(question)
