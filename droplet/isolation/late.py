"""Take back what readers held whose time is over (droplet/sql): the next look at the cluster drops them.

Their rights were granted by two roles, and each takes its own back: the administrator's are on two schemas, the owner
role's on what is the tenant's, so that a work login of that tenant does the second.
"""

from pathlib import Path

from droplet import journal
from droplet.isolation.result import Late, Result
from droplet.names import EXTENSIONS_SCHEMA
from droplet.postgres import Client, quoted
from droplet.session import Session, SessionError
from droplet.work_login import Rights, work_login

_SCHEMAS = """
SELECT pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM %I', nspname, :'role')
FROM pg_catalog.pg_namespace WHERE nspname IN ('public', :'extensions') \\gexec
"""


def take_back(client: Client, result: Result, private: Path) -> None:
    """Take back what each of a result's late readers holds; what remains is found by the run that follows.

    Args:
        client: the administrator's.
        result: of that cluster.
        private: a folder that only this user can read.
    """
    for one in list(result.late):
        try:
            take_back_from(client, one, private)
        except SessionError as error:
            journal.log(journal.WARNING, f"{result.cluster}: {one.role}: {error}")


def take_back_from(client: Client, one: Late, private: Path) -> None:
    """Take back what one reader holds in its database.

    Raises:
        SessionError: it was not taken back.
    """
    with Session(client, one.database, private) as session:
        session.lines(_SCHEMAS, role=one.role, extensions=EXTENSIONS_SCHEMA)
    rights = Rights(database=one.database, logins=[one.role])
    with (
        work_login(client, rights, private) as login,
        Session(login, one.database, private) as session,
    ):
        # Of what it holds it owns nothing: it may create nowhere.
        session.lines(f"DROP OWNED BY {quoted(one.role)};")
