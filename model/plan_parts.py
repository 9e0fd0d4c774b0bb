"""What several plans have in common: a cluster, a private bucket, a state."""

from collections.abc import Mapping
from dataclasses import dataclass

from model.environment import EnvironmentFile, Maintenance, PostgresCluster
from model.naming import Names


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
    maintenance: Maintenance
    client_groups: tuple[str, ...]
    """The droplet groups that may connect."""


@dataclass(frozen=True, kw_only=True)
class PrivateBucketPlan:
    """A private bucket and the key that reads it and nothing else."""

    name: str
    region: str
    noncurrent_days: int
    """How long the object before an edit stays readable."""


@dataclass(frozen=True, kw_only=True)
class StatePlan:
    """Where a stack's Terraform state is kept."""

    environment: str
    bucket: str
    region: str
    key: str


@dataclass(frozen=True, kw_only=True)
class IsolationPlan:
    """What the isolation job is told of a stack's Postgres clusters (cloud_init/files/isolation.sql)."""

    clusters: tuple[str, ...]
    """By the operators' names, sorted; tenants' own clusters are not listed."""
    connections: int
    """That each user of a database may hold at a time."""
    overrides: Mapping[str, int]
    """By database, where it differs; so a tenant with the usual limit changes nothing here."""
    statement_timeout_ms: int
    idle_in_transaction_timeout_ms: int


def plan_cluster(
    file: EnvironmentFile, key: str, cluster: PostgresCluster, client_groups: tuple[str, ...]
) -> ClusterPlan:
    """Decide a Postgres cluster: a named one, a cell's or a tenant's own."""
    return ClusterPlan(
        key=key,
        name=Names(file.environment).cluster(key),
        region=file.region,
        size=cluster.size,
        nodes=cluster.nodes,
        version=cluster.version,
        maintenance=cluster.maintenance,
        client_groups=client_groups,
    )
