"""The databases of a cluster that are dumped, and what is known of each: queries of catalogs alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet import record
from droplet.backup.errors import BackupError
from droplet.backup.history import History
from droplet.configuration import Cluster
from droplet.names import BACKUP_PART, ISOLATION_MARK, MEMBERSHIP_VERSION, MIGRATION_PART, TENANT_DATABASE
from droplet.postgres import Client
from droplet.session import Session

CONTROL_PLANE = "control_plane"

# Every one, whether anybody can log in to it or not: a suspended church's, a retired one's, what a move left behind,
# every generation of one.
# The roles that read it are made by the isolation job.
_DATABASES = """
WITH login AS (
    SELECT DISTINCT pg_catalog.regexp_replace(rolname, '_g[1-9][0-9]*$', '') AS home
    FROM pg_catalog.pg_roles WHERE rolname ~ :'logins'
)
SELECT pg_catalog.json_build_object(
    'name', datname, 'oid', d.oid::bigint, 'comment', pg_catalog.shobj_description(d.oid, 'pg_database'),
    'served', datname IN (SELECT home FROM login),
    'isolated', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = datname || '_owner')
        AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = datname || '_access'))
FROM pg_catalog.pg_database AS d
WHERE datname ~ :'databases' AND pg_catalog.pg_has_role(datdba, 'USAGE') ORDER BY datname;
"""

# Of the church's own tables and its large objects. The server's count of a whole database has the catalogs in it, so
# that its own ANALYZE, which writes pg_statistic, would look like a change.
_CHANGES = """(
    SELECT coalesce(pg_catalog.sum(n_tup_ins + n_tup_upd + n_tup_del), 0) + pg_catalog.count(*)
    FROM pg_catalog.pg_stat_all_tables
    WHERE relname = 'pg_largeobject' OR schemaname !~ '^pg_' AND schemaname <> 'information_schema')"""

_LOOK = f"""
SELECT pg_catalog.json_build_object(
    'version', pg_catalog.current_setting('server_version_num')::int,
    'encoding', pg_catalog.pg_encoding_to_char(encoding),
    'collation', datcollate,
    'bytes', pg_catalog.pg_database_size(d.oid),
    'changes', {_CHANGES},
    'bypasses', (SELECT rolbypassrls OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user),
    'forced', coalesce((
        SELECT pg_catalog.json_agg(pg_catalog.format('%I.%I', nspname, relname) ORDER BY nspname, relname)
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
        WHERE relrowsecurity AND relforcerowsecurity), '[]'),
    'extensions', (
        SELECT pg_catalog.json_object_agg(extname, nspname ORDER BY extname)
        FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace))
FROM pg_catalog.pg_database AS d WHERE datname = pg_catalog.current_database();
"""  # noqa: S608  (no value of anybody's is in it)


@dataclass(frozen=True)
class Database:
    """A database that is dumped.

    Attributes:
        cluster: where it is.
        client: reaches the cluster as its administrator.
        name: the database's.
        oid: the database's.
        isolated: whether the isolation job has visited it, and made the roles that read it.
        served: whether it has a user who logs in: not the church's that is suspended, nor what a move or a restore has
            beside the database that is served.
        history: what the record says of dumps.
        images: what the record says of migrations: the digests of the images that made the schema, the last one last.
        revision: the schema's, as the image names it; None if it names none.
    """

    cluster: Cluster
    client: Client
    name: str
    oid: int
    isolated: bool
    served: bool
    history: History
    images: Sequence[str]
    revision: str | None

    @property
    def place(self) -> tuple[str, str]:
        """Cluster and name: a church that moves has two databases of one name."""
        return self.cluster.name, self.name


@dataclass(frozen=True)
class Look:
    """What a database's own catalogs say.

    Attributes:
        version: the server's, as a number: 170004.
        encoding: of the database.
        collation: of the database.
        bytes: the database's size.
        changes: the server's count of rows that were written, and of tables; it begins anew when the server loses its
            statistics.
        bypasses: whether row level security does not apply to this administrator.
        forced: tables whose row level security applies to their owner too.
        extensions: by name, the schema of each.
    """

    version: int
    encoding: str
    collation: str
    bytes: int
    changes: int
    bypasses: bool
    forced: Sequence[str]
    extensions: Mapping[str, str]

    @property
    def bypass(self) -> bool:
        """Whether the login that dumps needs to see past row level security.

        Raises:
            BackupError: it does, and none can be made.
        """
        if self.forced and not (self.bypasses and self.version >= MEMBERSHIP_VERSION):
            raise BackupError(
                f"row level security is forced on the owner of {', '.join(self.forced[:3])}, and on this server no "
                "login can be made that reads all rows; Postgres 16 or newer can"
            )
        return bool(self.forced)


def databases_of(cluster: Cluster, client: Client, private: Path) -> list[Database]:
    """Return a cluster's, by name.

    Raises:
        SessionError: the cluster cannot be reached.
    """
    with Session(client, client.database, private) as session:
        found = session.ask(
            _DATABASES,
            logins=f"^({TENANT_DATABASE}_g[1-9][0-9]*|{CONTROL_PLANE})$",
            databases=f"^({TENANT_DATABASE}|{CONTROL_PLANE})$",
        )
    return [_database(cluster, client, one) for one in found]


def look(client: Client, database: str, private: Path) -> Look:
    """Look at a database, as the administrator, in it.

    Raises:
        SessionError: it cannot be reached.
    """
    with Session(client, database, private) as session:
        (found,) = session.ask(_LOOK)
    return Look(**{**found, "extensions": found["extensions"] or {}})


def changed(database: Database, private: Path) -> bool:
    """Tell whether rows were written since the last good dump, as far as the server knows.

    Raises:
        SessionError: the database cannot be reached.
    """
    with Session(database.client, database.name, private) as session:
        (changes,) = session.ask(f"SELECT pg_catalog.to_json({_CHANGES});")
    return int(changes) != database.history.changes


def _database(cluster: Cluster, client: Client, found: Mapping[str, Any]) -> Database:
    known = record.parse(found["comment"])
    migration = known.get(MIGRATION_PART)
    migration = migration if isinstance(migration, Mapping) else {}
    images, revision = migration.get("images"), migration.get("revision")
    return Database(
        cluster=cluster,
        client=client,
        name=found["name"],
        oid=found["oid"],
        isolated=found["isolated"] and ISOLATION_MARK in known,
        served=found["served"],
        history=History.of(known.get(BACKUP_PART)),
        images=[str(one) for one in images] if isinstance(images, list) else [],
        revision=str(revision) if revision else None,
    )
