"""What a migration that failed is said to have failed of: one line without secrets and without what people wrote.

The line leaves the droplet, and every tenant of the cluster can read it in the database's record. A message of Postgres
or of a program may quote a row (`invalid input syntax for type integer: "anna@example.org"`), and what a migration
raises by itself may be anything. So nothing of a message is told but what is known: the error's class, the place in the
migration, and messages in which Postgres quotes names of the schema only.
"""

import re
from collections.abc import Iterable

from droplet.converge.status import one_line

MOST = 200
"""Characters. All records of a cluster are read by one query, and 250 of them are told in one object."""

LONGEST_LINE = 1000

# What libraries print of an error: `psycopg.errors.UniqueViolation: ...`, `KeyError: ...`.
_CLASS = re.compile(
    r"^((?:psycopg|psycopg2|asyncpg|sqlalchemy|alembic)(?:\.\w{1,40}){1,4}"
    r"|(?:\w{1,40}\.){0,4}[A-Z]\w{0,40}(?:Error|Exception|Interrupt|Exit))(?::\s+(.*))?$"
)
# SQLAlchemy puts the driver's own error before the message (sqlalchemy/exc.py, DBAPIError).
_OF_THE_DRIVER = re.compile(r"^\(([\w.]{1,80})\)\s+(.*)$")
# psql, and programs in other languages; Alembic (alembic/util/messaging.py).
_SAID = re.compile(r"^(?:psql:[^:]{1,200}:\d{1,9}: )?(ERROR|FATAL|FAILED):\s+(.*)$")
_PLACE = re.compile(r'^\s*File "[^"]{0,300}/versions/([\w.-]{1,80}\.py)", line (\d{1,6})\b')

SHOWN = (
    'could not create unique index "%s"',
    'duplicate key value violates unique constraint "%s"',
    'null value in column "%s" of relation "%s" violates not-null constraint',
    'column "%s" of relation "%s" contains null values',
    'new row for relation "%s" violates check constraint "%s"',
    'check constraint "%s" of relation "%s" is violated by some row',
    'insert or update on table "%s" violates foreign key constraint "%s"',
    'update or delete on table "%s" violates foreign key constraint "%s" on table "%s"',
    'conflicting key value violates exclusion constraint "%s"',
    'relation "%s" already exists',
    'relation "%s" does not exist',
    'column "%s" of relation "%s" already exists',
    'column "%s" of relation "%s" does not exist',
    'constraint "%s" of relation "%s" does not exist',
    'constraint "%s" for relation "%s" already exists',
    'index "%s" does not exist',
    'table "%s" does not exist',
    'schema "%s" does not exist',
    'type "%s" already exists',
    "permission denied for table %s",
    "permission denied for schema %s",
    "permission denied for database %s",
    "permission denied for sequence %s",
    "permission denied for function %s",
    "must be owner of table %s",
    "must be owner of schema %s",
    "must be owner of database %s",
    'permission denied to create extension "%s"',
    "permission denied to create role",
    'extension "%s" is not available',
    "cannot alter type of a column used by a view or rule",
    "deadlock detected",
    "canceling statement due to lock timeout",
    "canceling statement due to statement timeout",
    "canceling statement due to user request",
    "could not serialize access due to concurrent update",
    "current transaction is aborted, commands ignored until end of transaction block",
    "%s cannot run inside a transaction block",
    "terminating connection due to administrator command",
    "terminating connection due to idle-in-transaction timeout",
    "out of shared memory",
    "sorry, too many clients already",
    "the database system is shutting down",
    "the database system is starting up",
)
"""Messages of Postgres's that quote names of the schema at most, as its source has them (a test looks for each in the
server's program)."""

HIDDEN = (
    'column "%s" does not exist',
    'type "%s" does not exist',
    "function %s does not exist",
    '%s at or near "%s"',
    'invalid input syntax for type %s: "%s"',
    'invalid input value for enum %s: "%s"',
    "value too long for type character varying(%d)",
    'column "%s" cannot be cast automatically to type %s',
    "cannot drop %s because other objects depend on it",
)
"""Those that may quote a row, or a statement that was made of one: told without what they quote."""

# Of the schema, or a command's.
_NAME = r"(?:(?:[A-Za-z_][\w$]{0,62}\.)?[A-Za-z_][\w$-]{0,62}|[A-Z]{1,20}(?: [A-Z]{1,20}){0,3})"


def _pattern(message: str, value: str) -> "re.Pattern[str]":
    return re.compile("^" + re.sub(r"%[sd]", lambda _: value, re.escape(message)) + "$", re.ASCII)


_SHOWN = tuple(_pattern(message, _NAME) for message in SHOWN)
_HIDDEN = {message: _pattern(message, ".*") for message in HIDDEN}
_REVISION = re.compile(r"^Can't locate revision identified by '([\w-]{1,64})'$")
"""Of Alembic (alembic/script/base.py)."""

GAVE_WAY = re.compile(
    r"canceling statement due to lock timeout|deadlock detected|LockNotAvailable|DeadlockDetected"
)
"""Of Postgres (errcodes.txt, 55P03 and 40P01) and psycopg: somebody else held a lock."""

_EXITS = {
    125: "Docker could not start it",
    126: "its command cannot be run",
    127: "the image does not have its command",
    137: "it was killed: it may have needed more memory than it may have",
}
"""Docker's documentation, "docker run", Exit status; 128 and a signal's number."""

NOT_TOLD = "the message is not told, because it may hold what people wrote"


def reason(output: str, code: int) -> str:
    """Say why a migration failed, by all that it printed and its exit status, which is not 0."""
    # Cut before any expression sees it: some take the square of a line's length.
    lines = [line[:LONGEST_LINE].rstrip() for line in output.splitlines()]
    told = next(filter(None, map(_told, reversed(lines))), "")
    place = next((found for line in reversed(lines) if (found := _PLACE.match(line))), None)
    text = told or _EXITS.get(code, f"exit status {code}, and no error that is known")
    where = f" ({place[1]}, line {place[2]})" if place and told else ""
    return f"{text[: MOST - len(where)]}{where}"


def _told(line: str) -> str:
    """Return what may be told of a line; nothing if it is no error."""
    if found := _SAID.match(line):
        return f"{found[1]}: {_message(found[2])}"
    if not (found := _CLASS.match(line)):
        return ""
    name, message = found[1], found[2] or ""
    if inner := _OF_THE_DRIVER.match(message):
        name, message = inner[1], inner[2]
    return f"{name}: {_message(message)}"


def _message(message: str) -> str:
    text = message.strip()
    if _REVISION.match(text) or any(one.match(text) for one in _SHOWN):
        return text
    hidden = next((known for known, one in _HIDDEN.items() if one.match(text)), None)
    return re.sub(r'"?%[sd]"?', "...", hidden) if hidden else NOT_TOLD


def unknown_revision(output: str) -> str:
    """Return the revision that an image says it does not have; nothing if it says no such thing."""
    for line in reversed(output.splitlines()):
        said = _SAID.match(line[:LONGEST_LINE].rstrip())
        if said and (found := _REVISION.match(said[2].strip())):
            return found[1]
    return ""


def of_ours(error: Exception, secrets: Iterable[str]) -> str:
    """Say why a migration could not be run, in this program's own words."""
    return one_line(str(error), secrets)[:MOST]
