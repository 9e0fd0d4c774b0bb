"""The managed data services: Postgres, Valkey, and the bucket for exports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.environment import EnvironmentFile, PostgresCluster
from model.layout import Placement, clients, page_origins
from model.naming import Names
from model.services import Store

SNAPSHOTS_PREFIX = "snapshots/"
EXPORTS_PREFIX = "exports/"

# The one version that DigitalOcean sells (OpenAPI document, databases options, valkey).
VALKEY_VERSION = "8"


@dataclass(frozen=True, kw_only=True)
class LogSinkPlan:
    """Where a cluster sends its own logs, by TLS."""

    name: str
    server: str
    port: int
    authority: str | None
    """Who signs the server's certificate, as PEM; None: a public authority."""


@dataclass(frozen=True, kw_only=True)
class ClusterPlan:
    """A managed cluster of either engine."""

    key: str
    """The operators' name for it; of a tenant's own cluster, the tenant's id."""
    name: str
    region: str
    size: str
    nodes: int
    version: str
    day: str
    """Of the week, when DigitalOcean may restart it."""
    hour: str
    """In UTC, of that day."""
    client_groups: tuple[str, ...]
    """The droplet groups that may connect."""
    logs: LogSinkPlan | None = None
    """None: its logs stay with DigitalOcean."""


@dataclass(frozen=True, kw_only=True)
class BucketPlan:
    """The bucket for consented snapshots and exports; it has no place for raw video."""

    name: str
    region: str
    ttl_days: Mapping[str, int]
    """By prefix: days until an object is deleted. There are no other prefixes."""


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """Where data lives."""

    postgres: tuple[ClusterPlan, ...]
    valkey: ClusterPlan
    exports: BucketPlan
    page_origins: tuple[str, ...]
    """Whose pages may reach the bucket for exports by signed requests, as a browser names them."""


def plan_data(file: EnvironmentFile, names: Names, placements: Sequence[Placement]) -> DataPlan:
    """Decide the data services."""
    postgres_clients = clients(placements, Store.POSTGRES)
    return DataPlan(
        postgres=tuple(
            plan_postgres(file, names, key, cluster, postgres_clients)
            for key, cluster in sorted(file.postgres.clusters.items())
        ),
        valkey=ClusterPlan(
            key="valkey",
            name=names.resource("valkey"),
            region=file.region,
            size=file.valkey.size,
            nodes=file.valkey.nodes,
            version=VALKEY_VERSION,
            day=file.valkey.maintenance.day,
            hour=file.valkey.maintenance.hour,
            client_groups=clients(placements, Store.VALKEY),
            logs=plan_logs(file, names),
        ),
        exports=plan_exports(file, names),
        page_origins=page_origins(placements, file.base_domain),
    )


def plan_exports(file: EnvironmentFile, names: Names) -> BucketPlan:
    """Decide the bucket for exports and snapshots."""
    return BucketPlan(
        name=names.bucket("exports"),
        region=file.region,
        ttl_days={
            EXPORTS_PREFIX: file.storage.export_ttl_days,
            SNAPSHOTS_PREFIX: file.storage.snapshot_ttl_days,
        },
    )


def plan_postgres(
    file: EnvironmentFile, names: Names, key: str, cluster: PostgresCluster, client_groups: tuple[str, ...]
) -> ClusterPlan:
    """Decide a Postgres cluster: a named one, a cell's or a tenant's own."""
    return ClusterPlan(
        key=key,
        name=names.cluster(key),
        region=file.region,
        size=cluster.size,
        nodes=cluster.nodes,
        version=cluster.version,
        day=cluster.maintenance.day,
        hour=cluster.maintenance.hour,
        client_groups=client_groups,
        logs=plan_logs(file, names),
    )


def plan_logs(file: EnvironmentFile, names: Names) -> LogSinkPlan | None:
    """Decide where clusters send their logs: all of an environment to one server."""
    wanted = file.database_logs
    if wanted is None:
        return None
    return LogSinkPlan(
        name=names.resource("logs"),
        server=wanted.server,
        port=wanted.port,
        # The provider keeps it without the line's end (2.99.1, flattenLogsinkConfigRsyslog): with one, every plan would
        # show a change.
        authority=wanted.authority.strip() if wanted.authority else None,
    )
