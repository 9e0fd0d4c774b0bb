"""Take back what tenants left where it keeps roles from being dropped: clear.sql, by a login of each tenant's own."""

from pathlib import Path

from droplet import journal
from droplet.isolation.result import Clear, Result
from droplet.isolation.variables import FOLDER
from droplet.names import MEMBERSHIP_VERSION, READ_SUFFIX, TENANT_DATABASE, WORK_SUFFIX
from droplet.postgres import Client
from droplet.session import Session, SessionError
from droplet.work_login import Rights, work_login

TIMEOUT_SECONDS = 60.0


def clear(client: Client, result: Result, private: Path) -> None:
    """Run clear.sql wherever a result says so; what remains is found by the run that follows.

    Args:
        client: the administrator's.
        result: of that cluster.
        private: a folder that only this user can read.
    """
    for one in list(result.clears):
        try:
            _clear(client, one, result, private)
        except SessionError as error:
            journal.log(journal.WARNING, f"{result.cluster}: {one.tenant} in {one.database}: {error}")


def _clear(client: Client, one: Clear, result: Result, private: Path) -> None:
    own = one.tenant == one.database
    tenants = f"({TENANT_DATABASE}|control_plane)"
    logins = f"^{one.tenant}(_g[1-9][0-9]*|{WORK_SUFFIX})$"
    # What its owner role grants to a reader of this database is meant to be there (droplet/sql/reader.py).
    but = f"(?!{one.tenant}{READ_SUFFIX}$)" if own else ""
    rights = Rights(
        database=one.tenant,
        access=() if own else _accessible(client, one.database, private),
        logins=_administered(client, logins, private),
    )
    with work_login(client, rights, private) as login:
        output = login.run_script(
            one.database,
            FOLDER / "clear.sql",
            {
                "owner": f"{one.tenant}_owner",
                "logins": logins,
                "ours": f"^{but}{tenants}(_g[1-9][0-9]*|_access|_owner|{WORK_SUFFIX}|{READ_SUFFIX})?$",
                "own": str(int(own)),
            },
            TIMEOUT_SECONDS,
        )
    result.take(*output, database=one.database)


def _accessible(client: Client, database: str, private: Path) -> tuple[str, ...]:
    """Return the database if connecting to it takes a role: those of tenants do, and the provider's do not."""
    question = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = :'access';"
    with Session(client, client.database, private) as session:
        return (database,) if session.lines(question, access=f"{database}_access") else ()


def _administered(client: Client, logins: str, private: Path) -> list[str]:
    """Return the tenant's logins whose rights this administrator may grant."""
    question = """
        SELECT rolname FROM pg_catalog.pg_roles WHERE rolname ~ :'logins' AND CASE
            WHEN pg_catalog.current_setting('server_version_num')::int < :by_membership THEN true
            ELSE pg_catalog.pg_has_role(oid, 'USAGE WITH ADMIN OPTION')
        END;"""
    with Session(client, client.database, private) as session:
        return session.lines(question, logins=logins, by_membership=MEMBERSHIP_VERSION)
