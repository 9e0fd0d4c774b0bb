"""The login itself: it may connect to one database and read what is the tenant's there, until its time is over.

created            LOGIN NOINHERIT, a connection limit, VALID UNTIL; member of nothing, so that it can become nobody
by settings        its transactions read only, its statements and its idle sessions end: all of it can be switched off
                   by a session, so nothing rests on it
by privileges      CONNECT to the one database; USAGE of its schemas and SELECT on its tables, views and sequences. This
                   is what keeps it from writing, and no session can change it
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from droplet import journal
from droplet.names import EXTENSIONS_SCHEMA, MEMBERSHIP_VERSION, READ_CONNECTIONS, READ_SETTINGS, owner_of
from droplet.postgres import Client, quoted
from droplet.session import Session, SessionError
from droplet.sql.request import Request, SqlError
from droplet.work_login import Rights, verifier, work_login

OPENING_SECONDS = 300
"""For how long a login lives until all of it is made: the unit's TimeoutStartSec. One whose droplet was lost meanwhile
ends then."""

_LOOK = """
SELECT pg_catalog.json_build_object(
    'database', EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = :'database'),
    'roles', 2 = (SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles
        WHERE rolname IN (:'database' || '_owner', :'database' || '_access')),
    'reader', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'role'),
    'bypasses', pg_catalog.current_setting('server_version_num')::int >= :membership AND (
        SELECT rolbypassrls OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user),
    'until', pg_catalog.to_char((pg_catalog.now() + :seconds * interval '1 second') AT TIME ZONE 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'opening', (pg_catalog.now() + :opening * interval '1 second')::text);
"""

_SCHEMAS = """
SELECT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', nspname, :'role')
FROM pg_catalog.pg_namespace WHERE nspname IN ('public', :'extensions') \\gexec
"""
"""By the administrator, whose they are; catalogs alone are read."""

_TABLES = """
SET ROLE :"owner";
SELECT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', nspname, :'role')
FROM pg_catalog.pg_namespace JOIN pg_catalog.pg_roles AS r ON r.oid = nspowner WHERE rolname = :'owner' \\gexec
SELECT pg_catalog.format('GRANT SELECT ON %s %I.%I TO %I',
    CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname, :'role')
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
WHERE relowner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :'owner')
AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't' \\gexec
SELECT pg_catalog.count(*) FROM pg_catalog.pg_class
JOIN pg_catalog.pg_roles AS r ON r.oid = relowner WHERE rolname = :'owner' AND relkind IN ('r', 'p', 'v', 'm', 'f');
"""
"""By a work login, with the tenant's own rights."""


@dataclass(frozen=True)
class Reader:
    """A login that was made.

    Attributes:
        role: its name.
        password: it is nowhere else; Postgres has its verifier.
        until: when it ends, UTC.
        tables: how many tables and views it may read.
        all_rows: whether row level security hides no row from it: from Postgres 16 on, for an administrator with the
            attribute BYPASSRLS.
    """

    role: str
    password: str = field(repr=False)
    until: str
    tables: int
    all_rows: bool


def open_reader(client: Client, request: Request, private: Path) -> Reader:
    """Make the login, or make the one of an earlier try anew, with another password and its whole time.

    Args:
        client: the cluster's administrator.
        request: what is asked for.
        private: a folder that only this user can read.

    Raises:
        SqlError: there is no such database, or the isolation job has not visited it.
        SessionError: a statement failed. What was made ends at once.
    """
    role = quoted(request.role)
    with Session(client, client.database, private) as session:
        (seen,) = session.ask(
            _LOOK,
            database=request.database,
            role=request.role,
            membership=MEMBERSHIP_VERSION,
            seconds=request.seconds,
            opening=min(OPENING_SECONDS, request.seconds),
        )
        if not seen["database"]:
            raise SqlError("the cluster has no database of that name")
        if not seen["roles"]:
            raise SqlError("the isolation job has not visited the database yet")
        password = secrets.token_urlsafe(24)
        attributes = (
            f"LOGIN NOINHERIT {'BYPASSRLS ' if seen['bypasses'] else ''}CONNECTION LIMIT {READ_CONNECTIONS} "
            f"PASSWORD '{verifier(password)}' VALID UNTIL '{seen['opening']}'"
        )
        try:
            # In one transaction: the isolation job removes a reader without these settings.
            session.lines(
                f"BEGIN;\n{'ALTER' if seen['reader'] else 'CREATE'} ROLE {role} {attributes};\n"
                + "".join(
                    f"ALTER ROLE {role} SET {name} TO '{value}';\n" for name, value in READ_SETTINGS.items()
                )
                + f"GRANT CONNECT ON DATABASE {quoted(request.database)} TO {role};\nCOMMIT;"
            )
            tables = _grant(client, request, private)
            session.lines(f"ALTER ROLE {role} VALID UNTIL '{seen['until']}';")
        except BaseException:
            _give_up(client, request, private)
            raise
    return Reader(request.role, password, seen["until"], tables, bool(seen["bypasses"]))


def close_reader(client: Client, request: Request, private: Path) -> bool:
    """End a login's time: the watch ends its sessions and drops it within seconds. False if there is none.

    Raises:
        SessionError: it could not be ended.
    """
    with Session(client, client.database, private) as session:
        found = session.lines("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = :'role';", role=request.role)
        if found:
            session.lines(f"ALTER ROLE {quoted(request.role)} VALID UNTIL '-infinity';")
        return bool(found)


def _give_up(client: Client, request: Request, private: Path) -> None:
    """End what was made, over a connection of its own: the one that failed may be lost."""
    try:
        close_reader(client, request, private)
    except SessionError as error:
        journal.log(
            journal.ERROR,
            f"{request.role} could not be ended, and ends by itself within {OPENING_SECONDS} s: {error}",
        )


def _grant(client: Client, request: Request, private: Path) -> int:
    with Session(client, request.database, private) as session:
        session.lines(_SCHEMAS, role=request.role, extensions=EXTENSIONS_SCHEMA)
    with (
        work_login(client, Rights(request.database), private) as login,
        Session(login, request.database, private) as session,
    ):
        *_, tables = session.lines(_TABLES, role=request.role, owner=owner_of(request.database))
    return int(tables)
