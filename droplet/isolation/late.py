"""Take back what readers hold (droplet/sql): all of it when their time is over, before that what they were not given.

Their rights were granted by two roles, and each takes its own back: the administrator's are on two schemas, the owner
role's on what is the tenant's, so that a work login of that tenant does the second (reader.sql). A church may grant a
reader more, let others grant to it, and have its code run as the reader, by a view that the reader reads.
"""

from pathlib import Path

from droplet import journal
from droplet.isolation.result import Reader, Result
from droplet.isolation.variables import FOLDER
from droplet.names import EXTENSIONS_SCHEMA, READ_SUFFIX, owner_of
from droplet.postgres import Client
from droplet.session import Session, SessionError
from droplet.work_login import Rights, work_login

TIMEOUT_SECONDS = 60.0

_BOUNDS = "SET lock_timeout = '2s'; SET statement_timeout = '20s';"
"""In a tenant's database: a lock that the church holds delays nobody for longer."""

_SCHEMAS = """
SELECT pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM %I', nspname, :'role')
FROM pg_catalog.pg_namespace WHERE nspname IN ('public', :'extensions') \\gexec
"""

_MORE = """
SELECT 1 WHERE EXISTS (
    SELECT FROM pg_temp.held JOIN pg_catalog.pg_roles AS r ON r.oid = grantee
    WHERE rolname = :'role' AND (grantable OR NOT reads)
) OR EXISTS (
    SELECT FROM pg_catalog.pg_shdepend JOIN pg_catalog.pg_roles AS r ON r.oid = refobjid
    WHERE rolname = :'role' AND refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND deptype = 'o'
    AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
);
"""
"""Whether a reader holds more than it may, or owns something. It reads catalogs alone."""


def take_back(client: Client, result: Result, private: Path) -> None:
    """Take back what each of a result's readers holds and may not; what remains is found by the run that follows.

    Args:
        client: the administrator's.
        result: of that cluster.
        private: a folder that only this user can read.
    """
    for one in list(result.late):
        try:
            _take_back_all(client, one, private)
        except SessionError as error:
            journal.log(journal.WARNING, f"{result.cluster}: {one.role}: {error}")
    for one in list(result.open):
        try:
            if _holds_more(client, one, private):
                _run(client, one, private, over=False)
                journal.log(
                    journal.WARNING,
                    f"{result.cluster}: {one.role} held more than it may in {one.database}: taken back",
                )
        except SessionError as error:
            journal.log(journal.WARNING, f"{result.cluster}: {one.role}: {error}")


def _take_back_all(client: Client, one: Reader, private: Path) -> None:
    with Session(client, one.database, private) as session:
        session.lines(_BOUNDS)
        session.lines(_SCHEMAS, role=one.role, extensions=EXTENSIONS_SCHEMA)
    _run(client, one, private, over=True)


def _holds_more(client: Client, one: Reader, private: Path) -> bool:
    with Session(client, one.database, private) as session:
        session.lines(_BOUNDS)
        session.lines(f"\\i {FOLDER / 'held.sql'}")
        return bool(session.lines(_MORE, role=one.role))


def _run(client: Client, one: Reader, private: Path, *, over: bool) -> None:
    """Run reader.sql.

    Raises:
        SessionError: not all was taken back.
    """
    readers = f"^{one.database}{READ_SUFFIX}$"
    with Session(client, client.database, private) as session:
        logins = session.lines(
            "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname ~ :'readers';", readers=readers
        )
    with work_login(client, Rights(database=one.database, logins=logins), private) as login:
        code, output, messages = login.run_script(
            one.database,
            FOLDER / "reader.sql",
            {"owner": owner_of(one.database), "reader": one.role, "readers": readers, "over": str(int(over))},
            TIMEOUT_SECONDS,
        )
    if code != 0 or "done" not in output.splitlines():
        raise SessionError(f"{client.cluster}: {messages.strip()[-500:] or f'psql: exit {code}'}")
