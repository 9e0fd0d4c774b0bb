"""The databases of a cluster that are to be migrated, and what their records say: one query of shared catalogs."""

from dataclasses import dataclass, replace
from pathlib import Path

from droplet import record
from droplet.configuration import Cluster
from droplet.migrate.history import History
from droplet.migrate.wanted import CONTROL_PLANE, TENANTS
from droplet.names import ISOLATION_MARK, MIGRATION_PART, TENANT_DATABASE, tenant_of
from droplet.postgres import Client
from droplet.session import Session

# A database is migrated where its users log in: a suspended tenant has none, and neither has the copy that a move has
# not filled yet, or has left behind, nor any generation of a database but the one that is served. Its owner role is
# made by the isolation job.
_QUERY = """
WITH login AS (
    SELECT DISTINCT pg_catalog.regexp_replace(rolname, '_g[1-9][0-9]*$', '') AS home
    FROM pg_catalog.pg_roles WHERE rolname ~ :'logins'
)
SELECT pg_catalog.json_build_object(
    'name', datname, 'oid', d.oid::bigint, 'comment', pg_catalog.shobj_description(d.oid, 'pg_database'),
    'isolated', EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = datname || '_owner')
        AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = datname || '_access'))
FROM pg_catalog.pg_database AS d JOIN login ON home = datname
WHERE datname ~ :'databases' AND pg_catalog.pg_has_role(datdba, 'USAGE') ORDER BY datname;
"""


@dataclass(frozen=True)
class Database:
    """A database that is to have the wanted schema.

    Attributes:
        cluster: where it is.
        client: reaches the cluster as its administrator.
        name: the database's.
        oid: the database's.
        isolated: whether the isolation job has visited it; before that nothing can be made in it.
        history: what the record says.
    """

    cluster: Cluster
    client: Client
    name: str
    oid: int
    isolated: bool
    history: History

    @property
    def kind(self) -> str:
        """Whose it is."""
        return CONTROL_PLANE if self.name == CONTROL_PLANE else TENANTS

    @property
    def tenant(self) -> str:
        """The tenant's id; empty for the control plane's."""
        return tenant_of(self.name)

    def read_again(self, session: Session) -> "Database":
        """Return it with what its record says now."""
        found = session.ask(
            "SELECT pg_catalog.to_json(pg_catalog.shobj_description(oid, 'pg_database'))\n"
            "FROM pg_catalog.pg_database WHERE oid = :'oid'::oid;",
            oid=self.oid,
        )
        return replace(self, history=_history(found[0] if found else None))


def databases_of(cluster: Cluster, client: Client, private: Path) -> list[Database]:
    """Return a cluster's, by name.

    Raises:
        SessionError: the cluster cannot be reached.
    """
    with Session(client, client.database, private) as session:
        found = session.ask(
            _QUERY,
            logins=f"^({TENANT_DATABASE}_g[1-9][0-9]*|control_plane)$",
            databases=f"^({TENANT_DATABASE}|control_plane)$",
        )
    return [
        Database(
            cluster=cluster,
            client=client,
            name=one["name"],
            oid=one["oid"],
            isolated=one["isolated"] and ISOLATION_MARK in record.parse(one["comment"]),
            history=_history(one["comment"]),
        )
        for one in found
    ]


def _history(comment: str | None) -> History:
    return History.of(record.parse(comment).get(MIGRATION_PART))
