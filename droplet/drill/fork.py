"""The fork, as its administrator and as each church: sessions that show of an error its code alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from droplet import record
from droplet.configuration import Cluster
from droplet.drill.deadline import Deadline
from droplet.names import BACKUP_PART, MIGRATION_PART
from droplet.postgres import Client, quoted
from droplet.session import Session, SessionError
from droplet.work_login import Login, Rights, login_within

TEMPORARY = "drill_"
"""Begins the name of a database that a drill makes on the fork."""

SETTINGS = {
    # Of catalogs alone, as the administrator; what reads a church's tables has the church's time (deadline.py).
    "statement_timeout": "1800000",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": "60000",
}

_DATABASES = """
SELECT pg_catalog.json_build_object(
    'name', datname, 'comment', pg_catalog.shobj_description(oid, 'pg_database'),
    'encoding', pg_catalog.pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype)
FROM pg_catalog.pg_database WHERE NOT datistemplate AND datallowconn ORDER BY datname;
"""

_SERVER = """
SELECT pg_catalog.json_build_object(
    'version', pg_catalog.current_setting('server_version_num')::int,
    'checksums', pg_catalog.current_setting('data_checksums'),
    'settings', (SELECT pg_catalog.json_agg(name) FROM pg_catalog.pg_settings),
    'bypasses', (SELECT rolbypassrls OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user));
"""

_FORCED = """
SELECT pg_catalog.json_build_object(
    'forced', EXISTS (SELECT FROM pg_catalog.pg_class WHERE relrowsecurity AND relforcerowsecurity),
    -- A backup has none of their rows, and their sequences begin anew.
    'unlogged', coalesce((
        SELECT pg_catalog.json_agg(oid::pg_catalog.regclass::text) FROM pg_catalog.pg_class
        WHERE relpersistence = 'u' AND relkind IN ('r', 'm', 'S')), '[]'),
    'schemas', coalesce((
        SELECT pg_catalog.json_agg(nspname) FROM pg_catalog.pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema', 'extensions')), '[]'),
    'extensions', coalesce((
        SELECT pg_catalog.json_object_agg(extname, nspname ORDER BY extname)
        FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace
        WHERE nspname <> 'pg_catalog'), '{}'));
"""


_END = """
SELECT pg_catalog.to_json(pg_catalog.pg_terminate_backend(pid))
FROM pg_catalog.pg_stat_activity WHERE usename = :'role';
"""

LONGEST_MILLISECONDS = 2**31 - 1
"""Of statement_timeout (PostgreSQL documentation, "Client Connection Defaults": an integer)."""


@dataclass(frozen=True)
class Database:
    """A database of the fork.

    Attributes:
        name: its name.
        backup: what its record says of dumps.
        migration: what its record says of migrations.
        encoding, collate, ctype: of the database.
    """

    name: str
    backup: Mapping[str, Any]
    migration: Mapping[str, Any]
    encoding: str
    collate: str
    ctype: str

    @property
    def owner(self) -> str:
        """The role that owns what is in it."""
        return f"{self.name}_owner"

    @property
    def access(self) -> str:
        """The role that may connect."""
        return f"{self.name}_access"


@dataclass(frozen=True)
class Inside:
    """What a database's own catalogs say.

    Attributes:
        forced: whether row level security applies to the owner of a table.
        unlogged: tables and sequences that are not in the write-ahead log, and so in no backup.
        schemas: its own beside `public`.
        extensions: by name, the schema of each.
    """

    forced: bool
    unlogged: frozenset[str]
    schemas: list[str]
    extensions: Mapping[str, str]


@dataclass(frozen=True)
class Fork:
    """The fork.

    Attributes:
        cluster: how it is reached.
        client: reaches it as its administrator.
        private: a folder in memory that only this user can read.
        version: the server's.
        checksums: whether its pages have checksums.
        settings: the parameters that it knows.
        bypasses: whether row level security does not apply to its administrator.
        pooler: PgBouncer's program; None where there is none.
    """

    cluster: Cluster
    client: Client
    private: Path
    version: int
    checksums: bool
    settings: frozenset[str]
    bypasses: bool
    pooler: Path | None = None

    @classmethod
    def reach(
        cls, cluster: Cluster, private: Path, programs: Path | None, pooler: Path | None = None
    ) -> "Fork":
        """Connect to it.

        Raises:
            SessionError: it cannot be reached.
        """
        client = Client.prepare(
            cluster, private / "fork", programs, application="presence360-drill", settings=SETTINGS,
            PGCLIENTENCODING="UTF8",
        )  # fmt: skip
        with Session(client, client.database, private) as session:
            (said,) = session.ask(_SERVER)
        return cls(
            cluster=cluster,
            client=client,
            private=private,
            version=int(said["version"]),
            checksums=said["checksums"] == "on",
            settings=frozenset(said["settings"]),
            bypasses=bool(said["bypasses"]),
            pooler=pooler,
        )

    def administration(self) -> Session:
        """Return a session of the administrator's in its own database."""
        return Session(self.client, self.client.database, self.private)

    def databases(self) -> dict[str, Database]:
        """Return the databases of the fork, by name."""
        with self.administration() as session:
            found = session.ask(_DATABASES)
        return {one["name"]: _database(one) for one in found}

    def inside(self, database: str) -> Inside:
        """Look at a database's catalogs, as the administrator."""
        with Session(self.client, database, self.private) as session:
            (said,) = session.ask(_FORCED)
        return Inside(said["forced"], frozenset(said["unlogged"]), said["schemas"], said["extensions"])

    @contextmanager
    def login(self, database: Database, inside: Inside, deadline: Deadline) -> Iterator["Reader"]:
        """Make a login with a church's rights and no others, end its sessions at the deadline, and drop it."""
        rights = Rights(database.name, bypass_rls=inside.forced and self.bypasses)
        with (
            self.administration() as session,
            login_within(session, rights) as login,
            self.client.as_user(login.name, login.password, self.private) as environment,
        ):
            reader = Reader(self, replace(self.client, environment=environment), login, deadline)
            with deadline.ending(reader.end):
                yield reader


@dataclass(frozen=True)
class Reader:
    """A login with one church's rights.

    Attributes:
        fork: where.
        client: connects as it.
        login: its name and password.
        deadline: when its time is over.
    """

    fork: Fork
    client: Client
    login: Login
    deadline: Deadline
    _open: set[Session] = field(default_factory=set)

    @contextmanager
    def session(self, database: str) -> Iterator[Session]:
        """Open a session that shows of an error its code alone: its text may quote rows.

        Raises:
            LateError: there is no time left.
        """
        self.deadline.check()
        with Session(self.client, database, self.fork.private) as session:
            self._open.add(session)
            try:
                left = min(round(self.deadline.left * 1000), LONGEST_MILLISECONDS)
                session.lines(f"\\set VERBOSITY sqlstate\nSET statement_timeout = {max(left, 1)};")
                yield session
            finally:
                self._open.discard(session)

    def end(self) -> None:
        """End all sessions of the login, here and at the server: also pg_dump's, and such as catch `query_canceled`."""
        with suppress(SessionError), self.fork.administration() as session:
            session.ask(f"GRANT {quoted(self.login.name)} TO CURRENT_USER;")
            session.ask(_END, role=self.login.name)
        for one in tuple(self._open):
            one.kill()


def _database(said: Mapping[str, Any]) -> Database:
    known = record.parse(said["comment"])
    parts = [known.get(part) for part in (BACKUP_PART, MIGRATION_PART)]
    backup, migration = (part if isinstance(part, Mapping) else {} for part in parts)
    return Database(said["name"], backup, migration, said["encoding"], said["collate"], said["ctype"])
