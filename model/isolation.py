"""The isolation job's configuration for a stack's Postgres clusters, and the timeouts of their sessions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model import naming
from model.environment import EnvironmentFile
from model.tenants import Tenant

STATEMENT_TIMEOUT_MS = 60_000
"""Nobody waits longer for a page. A migration or an export, which takes longer, raises the limit of its own session."""

IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
"""A transaction that a crashed client left open holds back VACUUM for every tenant of the cluster. It is set for each
cluster, where DigitalOcean's control panel can change it, and by the isolation job for each user."""


@dataclass(frozen=True, kw_only=True)
class IsolationPlan:
    """One object of the isolation job's configuration."""

    clusters: tuple[str, ...]
    """By the operators' names, sorted; tenants' own clusters are not listed."""
    connections: int
    """That each user of a database may hold at a time."""
    overrides: Mapping[str, int]
    """By database, where it differs; so a tenant with the usual limit changes nothing here."""
    statement_timeout_ms: int
    idle_in_transaction_timeout_ms: int
    extensions: tuple[str, ...]
    """That every database has, sorted."""


def plan_isolation(
    file: EnvironmentFile, tenants: Iterable[Tenant], clusters: tuple[str, ...]
) -> IsolationPlan:
    """Decide the job's configuration for one stack, whose tenants and clusters these are."""
    default = file.limits.connections
    return IsolationPlan(
        clusters=clusters,
        connections=default,
        overrides={
            naming.tenant_database(tenant.id, generation): tenant.limits.connections
            for tenant in tenants
            for generation in sorted(tenant.database.there)
            if tenant.limits.connections and tenant.limits.connections != default
        },
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        idle_in_transaction_timeout_ms=IDLE_IN_TRANSACTION_TIMEOUT_MS,
        extensions=tuple(sorted(set(file.postgres.extensions))),
    )
