"""What is known of both sides before anything is done, and the reasons to refuse."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.names import (
    EXTENSIONS_SCHEMA,
    ISOLATION_MARK,
    MEMBERSHIP_VERSION,
    MOVE_LOCK,
    WORK_SUFFIX,
    Place,
)
from droplet.outcome import RefusedError
from droplet.session import Session, SessionError

SHOWN = 20
"""Objects or differences that are printed; all are counted."""

_EXCLUDING_EXTENSIONS = 17
"""The first pg_dump with --exclude-extension (PostgreSQL 17 release notes); Debian 13 has it."""

_SCHEMAS = (EXTENSIONS_SCHEMA, "pg_catalog")
"""Schemas in which the isolation job or Postgres itself makes extensions, so that the target has them already."""

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
        logins: the tenant's users.
        sessions: of others than the administrator, its work logins and the provider's superusers.
        foreign: objects that do not belong to the owner role, members of extensions apart.
        belongings: how many objects there are.
        schemas: those beside public.
        extensions: by name, the schema of each.
        settings: the parameters that the server knows.
        forced: tables whose row level security applies to their owner too.
        bypasses: whether row level security does not apply to this administrator.
        alone: whether no other run is in progress here.
    """

    version: int
    encoding: str
    collation: str
    bytes: int
    isolated: bool
    logins: Sequence[str]
    sessions: int
    foreign: Sequence[str]
    belongings: int
    schemas: Sequence[str]
    extensions: Mapping[str, str]
    settings: Sequence[str]
    forced: Sequence[str]
    bypasses: bool
    alone: bool

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.version // 10000

    @property
    def by_membership(self) -> bool:
        """Whether rights belong to memberships here (droplet/names.py)."""
        return self.version >= MEMBERSHIP_VERSION

    @property
    def may_bypass(self) -> bool:
        """Whether the administrator may make a login that row level security does not apply to."""
        return self.by_membership and self.bypasses


def look(session: Session, place: Place) -> Side:
    """Look at one side.

    Raises:
        RefusedError: it cannot be reached or looked at; nothing has been done.
    """
    try:
        (found,) = session.ask(
            _LOOK.read_text(encoding="utf-8"),
            database=place.database,
            owner=place.owner,
            lock=MOVE_LOCK,
            mark_name=ISOLATION_MARK,
            work=WORK_SUFFIX,
            extensions=EXTENSIONS_SCHEMA,
        )
    except SessionError as error:
        raise RefusedError(str(error)) from None
    return Side(**found)


def refusals(
    place: Place, source: Side, target: Side, client: int, *, check: bool, over: bool = False
) -> list[str]:
    """Return every reason against the move, or with ``check`` against the comparison.

    Args:
        place: the database.
        source: the side that has it.
        target: the side that is to have it.
        client: the major version of pg_dump.
        check: nothing is to be copied.
        over: the source is a fork of the target's cluster: its users are there, and the target is not empty.
    """
    found = [*_of_source(place, source, over=over), *_of_both(source, target)]
    if not check:
        found += _of_copy(source, target, client, over=over)
    return found


def _of_source(place: Place, source: Side, *, over: bool) -> Iterator[str]:
    if source.logins and not over:
        logins = ", ".join(source.logins)
        yield f"the tenant is not suspended: {logins} can log in to the source (status: suspended, deploy)"
    if source.sessions:
        yield (
            f"{source.sessions} sessions use the source; wait until they end, or end them (docs/isolation.md)"
        )
    if source.foreign:
        yield (
            f"not owned by {place.owner}, so a copy would have another owner (ALTER ... OWNER TO, or DROP): "
            + "; ".join(source.foreign[:SHOWN])
        )
    elsewhere = [
        f"{name} in {schema}" for name, schema in source.extensions.items() if schema not in _SCHEMAS
    ]
    if elsewhere:
        yield (
            f"extensions in other schemas than {EXTENSIONS_SCHEMA}: {', '.join(elsewhere)} "
            f"(ALTER EXTENSION ... SET SCHEMA {EXTENSIONS_SCHEMA}, as the administrator)"
        )


def _of_both(source: Side, target: Side) -> Iterator[str]:
    for name, side in (("source", source), ("target", target)):
        if not side.isolated:
            yield (
                f"the isolation job has not visited the database at the {name}: wait a minute, then read its journal"
            )
        if source.forced and not side.may_bypass:
            yield (
                f"row level security is forced on the owner of {', '.join(source.forced[:SHOWN])}, and this "
                f"administrator cannot make a login at the {name} that reads all of its rows: "
                "ALTER TABLE ... NO FORCE ROW LEVEL SECURITY before the move, and FORCE after it"
            )
    if target.encoding != source.encoding:
        yield f"encodings differ: {source.encoding} and {target.encoding}"
    if target.major < source.major:
        yield f"Postgres {target.major} is older than the source's {source.major}"
    if not target.alone:
        yield "another run is in progress at the target"


def _of_copy(source: Side, target: Side, client: int, *, over: bool) -> Iterator[str]:
    if over and target.logins:
        logins = ", ".join(target.logins)
        yield f"the tenant is not suspended: {logins} can log in to the target (status: suspended, deploy)"
    if target.sessions:
        yield f"{target.sessions} sessions use the target"
    if target.belongings and not over:
        yield f"the target is not empty: {target.belongings} tables, functions and so on are in it"
    if missing := sorted(source.extensions.keys() - target.extensions.keys()):
        yield (
            f"extensions are missing at the target: {', '.join(missing)} (postgres.extensions of the environment names "
            "them; then the isolation job makes them within a minute)"
        )
    if client < _EXCLUDING_EXTENSIONS:
        yield f"pg_dump {client} is too old; {_EXCLUDING_EXTENSIONS} is needed"
    if client < source.major:
        yield f"pg_dump {client} cannot dump Postgres {source.major}"
