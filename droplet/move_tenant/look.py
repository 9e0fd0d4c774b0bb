"""What is known of both sides before anything is done, and the reasons to refuse."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.move_tenant.outcome import FailedError, RefusedError
from droplet.move_tenant.session import Session
from droplet.names import ISOLATION_MARK, MEMBERSHIP_VERSION, MOVE_LOCK, Tenant

SHOWN = 20
"""Objects or differences that are printed; all are counted."""

_EXCLUDING_EXTENSIONS = 17
"""The first pg_dump with --exclude-extension (PostgreSQL 17 release notes); Debian 13 has it."""

_SCHEMAS = ("public", "pg_catalog")
"""Schemas that every database has, so that an extension can be made in them before anything else is copied."""

_LOOK = Path(__file__).with_name("look.sql")


@dataclass(frozen=True)
class Side:
    """The tenant's database in one cluster, as look.sql sees it.

    Attributes:
        version: the server's, as a number: 170004.
        encoding: of the database.
        collation: of the database.
        bytes: the database's size.
        isolated: whether the isolation job has visited it, and made the owner role.
        inherits: whether this administrator has the owner role's rights.
        logins: the tenant's users.
        sessions: of others than the administrator and the provider's superusers.
        foreign: objects that do not belong to the owner role, members of extensions apart.
        belongings: how many objects there are.
        schemas: those beside public.
        extensions: by name, the schema of each.
        settings: the parameters that the server knows.
        alone: whether no other run is in progress here.
    """

    version: int
    encoding: str
    collation: str
    bytes: int
    isolated: bool
    inherits: bool
    logins: Sequence[str]
    sessions: int
    foreign: Sequence[str]
    belongings: int
    schemas: Sequence[str]
    extensions: Mapping[str, str]
    settings: Sequence[str]
    alone: bool

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.version // 10000

    @property
    def by_membership(self) -> bool:
        """Whether the administrator needs a membership to have the rights of a role that it made."""
        return self.version >= MEMBERSHIP_VERSION


def look(session: Session, tenant: Tenant) -> Side:
    """Look at one side.

    Raises:
        RefusedError: it cannot be reached or looked at; nothing has been done.
    """
    try:
        (found,) = session.ask(
            _LOOK.read_text(encoding="utf-8"),
            database=tenant.database,
            owner=tenant.owner,
            lock=MOVE_LOCK,
            mark_prefix=ISOLATION_MARK,
        )
    except FailedError as error:
        raise RefusedError(str(error)) from None
    return Side(**found)


def refusals(tenant: Tenant, source: Side, target: Side, client: int, *, check: bool) -> list[str]:
    """Return every reason against the move, or with ``check`` against the comparison.

    Args:
        tenant: whose database.
        source: the side that has it.
        target: the side that is to have it.
        client: the major version of pg_dump.
        check: nothing is to be copied.
    """
    found = [*_of_source(tenant, source), *_of_both(tenant, source, target)]
    if not check:
        found += _of_copy(source, target, client)
    return found


def _of_source(tenant: Tenant, source: Side) -> Iterator[str]:
    if source.logins:
        logins = ", ".join(source.logins)
        yield f"the tenant is not suspended: {logins} can log in to the source (status: suspended, deploy)"
    if source.sessions:
        yield (
            f"{source.sessions} sessions use the source; wait until they end, or end them (docs/isolation.md)"
        )
    if source.foreign:
        yield (
            f"not owned by {tenant.owner}, so a copy would have another owner (ALTER ... OWNER TO, or DROP): "
            + "; ".join(source.foreign[:SHOWN])
        )
    elsewhere = [
        f"{name} in {schema}" for name, schema in source.extensions.items() if schema not in _SCHEMAS
    ]
    if elsewhere:
        yield (
            f"extensions in other schemas than public: {', '.join(elsewhere)} "
            "(ALTER EXTENSION ... SET SCHEMA public)"
        )


def _of_both(tenant: Tenant, source: Side, target: Side) -> Iterator[str]:
    for name, side in (("source", source), ("target", target)):
        if not side.isolated:
            yield (
                f"the isolation job has not visited the database at the {name}: wait a minute, then read its journal"
            )
        if not side.by_membership and side.isolated and not side.inherits:
            yield (
                f"this administrator does not have the rights of {tenant.owner} at the {name}: "
                "GRANT that role to the administrator"
            )
    if target.encoding != source.encoding:
        yield f"encodings differ: {source.encoding} and {target.encoding}"
    if target.major < source.major:
        yield f"Postgres {target.major} is older than the source's {source.major}"
    if not target.alone:
        yield "another run is in progress at the target"


def _of_copy(source: Side, target: Side, client: int) -> Iterator[str]:
    if target.sessions:
        yield f"{target.sessions} sessions use the target"
    if target.belongings:
        yield f"the target is not empty: {target.belongings} tables, functions and so on are in it"
    if client < _EXCLUDING_EXTENSIONS:
        yield f"pg_dump {client} is too old; {_EXCLUDING_EXTENSIONS} is needed"
    if client < source.major:
        yield f"pg_dump {client} cannot dump Postgres {source.major}"
