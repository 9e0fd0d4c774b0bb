"""A login made for one purpose: it has one tenant's rights and no others, and is dropped after it.

A tenant owns its database, so that operators, casts, functions and constraints in it are the tenant's code. The
administrator runs statements on catalogs there and nothing else. All that reads or writes a tenant's objects is such
a login, so that code which escapes every restriction still has no more than its tenant's rights.

``tenant_<uuid>_work_<8 hex digits>`` inherits the tenant's access and owner roles. Its maker holds an advisory lock in
the administrator's database while the login is needed; the isolation job drops those whose maker is gone.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from droplet.names import MEMBERSHIP_VERSION, WORK_LOCK
from droplet.postgres import Client, quoted
from droplet.session import Session, SessionError

VALID = "1 day"
"""How long its password is accepted: longer than the longest copy."""

_ITERATIONS = 4096
"""Postgres's own default (scram_iterations)."""


@dataclass(frozen=True)
class Rights:
    """What a work login may do.

    Attributes:
        database: whose access and owner role it inherits, by the database's name.
        access: further databases that it may connect to.
        logins: login roles of the same tenant whose rights it has too.
        bypass_rls: whether row level security does not apply to it, so that it reads every row of the tenant's tables
            where they force it on their owner. From Postgres 16 on, for an administrator that has the attribute.
    """

    database: str
    access: Sequence[str] = ()
    logins: Sequence[str] = ()
    bypass_rls: bool = False


@contextmanager
def work_login(administrator: Client, rights: Rights, private: Path) -> Iterator[Client]:
    """Make a login, yield a client that connects as it, and drop it.

    Args:
        administrator: of the cluster.
        rights: what the login may do.
        private: a folder that only this user can read.

    Raises:
        SessionError: it could not be made. One that cannot be dropped is left to the isolation job.
    """
    with (
        Session(administrator, administrator.database, private) as session,
        login_within(session, rights) as login,
        administrator.as_user(login.name, login.password, private) as environment,
    ):
        yield replace(administrator, environment=environment)


@dataclass(frozen=True)
class Login:
    """A work login, for a program that connects by itself."""

    name: str
    password: str = field(repr=False)


@contextmanager
def login_within(session: Session, rights: Rights) -> Iterator[Login]:
    """Make a login in a session of the administrator's in its own database, and drop it there.

    Raises:
        SessionError: it could not be made. One that cannot be dropped is left to the isolation job.
    """
    login = Login(f"{rights.database}_work_{secrets.token_hex(4)}", secrets.token_urlsafe(24))
    _make(session, login.name, login.password, rights)
    try:
        yield login
    finally:
        _drop(session, login.name)


def _make(session: Session, name: str, password: str, rights: Rights) -> None:
    (version,) = session.ask(
        "SELECT pg_catalog.to_json(pg_catalog.current_setting('server_version_num')::int);"
    )
    by_membership = version >= MEMBERSHIP_VERSION
    bypass = " BYPASSRLS" if rights.bypass_rls else ""
    role = quoted(name)
    session.ask(
        "BEGIN;\n"
        f"CREATE ROLE {role} LOGIN INHERIT{bypass} PASSWORD '{verifier(password)}'\n"
        f"VALID UNTIL '{_until(session)}';"
    )
    inherited = [f"{database}_access" for database in (rights.database, *rights.access)]
    for granted in (*inherited, *rights.logins):
        how = " WITH INHERIT TRUE, SET FALSE" if by_membership else ""
        session.ask(f"GRANT {quoted(granted)} TO {role}{how};")
    how = " WITH INHERIT TRUE, SET TRUE" if by_membership else ""
    session.ask(f"GRANT {quoted(f'{rights.database}_owner')} TO {role}{how};")
    session.ask(
        f"SELECT pg_catalog.pg_advisory_lock({WORK_LOCK}::bigint << 32 | oid::bigint) IS NULL AS ignored\n"
        f"FROM pg_catalog.pg_roles WHERE rolname = '{name}' \\gset\nCOMMIT;"
    )


def _until(session: Session) -> str:
    (until,) = session.ask(f"SELECT pg_catalog.to_json((pg_catalog.now() + interval '{VALID}')::text);")
    return str(until)


def _drop(session: Session, name: str) -> None:
    try:
        # Having its rights is what ending its sessions takes.
        session.ask(f"GRANT {quoted(name)} TO CURRENT_USER;")
        session.ask(
            "SELECT pg_catalog.to_json(pg_catalog.pg_terminate_backend(pid, 5000))\n"
            "FROM pg_catalog.pg_stat_activity WHERE usename = :'role';",
            role=name,
        )
        session.ask(f"DROP ROLE {quoted(name)};")
    except SessionError:
        # Its lock goes with this session, and the next run of the isolation job drops it.
        return


def verifier(password: str) -> str:
    """Return what Postgres stores of a password, so that no statement, and no log, holds the password (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    shown = (base64.b64encode(part).decode() for part in (salt, client, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *shown)
