"""A tenant's life in Terraform's terms: which databases, users and objects it has, and what guards them.

                    status: active        suspended      retired        entry removed
    database        kept                  kept           retired        dropped
    users           one a generation      none           none
    credentials     published             withdrawn      withdrawn
    registry        says so               says so        says so        gone
    its host        serves                503            410

A *kept* database stands in a resource with `prevent_destroy`, a *retired* one in a resource without. A `moved` block
takes it from one to the other and back, so that no edit but the last one plans its loss, and the last one is no
accident: an entry can only be removed after it was retired.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from model import naming
from model.environment import EnvironmentFile
from model.plan_parts import ClusterPlan, PrivateBucketPlan, plan_cluster
from model.tenants import Tenant

MAX_TENANTS_OF_A_CELL = 250
"""Terraform's plan is quadratic in the instances of a `for_each`, and DigitalOcean counts requests (decision 11)."""

# The answers of nginx for a host that is closed: to come back, or not to (RFC 9110, sections 15.6.4 and 15.5.11).
CLOSED_STATUS = {"suspended": 503, "retired": 410}


class Guard(StrEnum):
    """What stands between a database and a mistaken edit."""

    KEPT = "kept"
    """`prevent_destroy`: no plan may drop it."""
    RETIRED = "retired"
    """Nothing: it goes with the line that says it is there."""


@dataclass(frozen=True)
class Homes:
    """Where a tenant's data is. In the middle of a move it is in both places.

    Attributes:
        shared: the database in its cell's cluster; None: there is none.
        dedicated: the cluster of its own with its database; None: there is none.
    """

    shared: Guard | None
    dedicated: Guard | None


def homes(tenant: Tenant) -> Homes:
    """Say where a tenant's data is according to its entry."""
    retired = tenant.status == "retired"
    shared: Guard | None = Guard.KEPT
    if tenant.tier == "dedicated":
        shared = Guard(tenant.shared_copy) if tenant.shared_copy else None
    dedicated = None
    if tenant.dedicated:
        dedicated = Guard.RETIRED if tenant.dedicated.retired else Guard.KEPT
    return Homes(
        Guard.RETIRED if shared and retired else shared, Guard.RETIRED if dedicated and retired else dedicated
    )


@dataclass(frozen=True, kw_only=True)
class TenantPlan:
    """A church: what the registry says of it, and where its data is."""

    id: str
    slug: str
    name: str
    status: str
    tier: str
    generation: int
    """Of the credentials that are published."""
    keep: tuple[int, ...]
    """Generations before that whose users stay, newest first."""
    queue_prefix: str
    requests_per_second: int
    connections: int
    homes: Homes
    cluster: ClusterPlan | None
    """Its own; None: it has none."""

    @property
    def served(self) -> bool:
        """Whether it has credentials and users: neither suspended nor retired."""
        return self.status == "active"

    @property
    def users(self) -> tuple[str, ...]:
        """The keys of its users; empty unless it is served."""
        if not self.served:
            return ()
        return tuple(naming.user_key(self.id, number) for number in (self.generation, *self.keep))


@dataclass(frozen=True, kw_only=True)
class TenantPlanePlan:
    """What the tenant plane owns in one stack: the tenants of one cell."""

    cell: str
    """Its name to the registry: the environment's, or the operators' name of a further cell."""
    first: bool
    """Whether it is the environment's own stack, which makes what all cells share."""
    cluster: str
    """The operators' name for the cell's cluster."""
    tenants: tuple[TenantPlan, ...]
    """Sorted by id, so that the order in the file never shows in a plan."""
    credentials: PrivateBucketPlan

    def shared(self, guard: Guard) -> tuple[TenantPlan, ...]:
        """Return the tenants with a database in the cell's cluster that is guarded so."""
        return tuple(tenant for tenant in self.tenants if tenant.homes.shared is guard)

    def dedicated(self, guard: Guard) -> tuple[TenantPlan, ...]:
        """Return the tenants with a cluster of their own that is guarded so."""
        return tuple(tenant for tenant in self.tenants if tenant.homes.dedicated is guard)


def plan_tenant(tenant: Tenant, file: EnvironmentFile, client_groups: tuple[str, ...]) -> TenantPlan:
    """Decide one tenant; the droplet groups are those that connect to Postgres."""
    limits = tenant.limits
    return TenantPlan(
        id=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        status=tenant.status,
        tier=tenant.tier,
        generation=tenant.credentials.generation,
        keep=tuple(sorted(tenant.credentials.keep, reverse=True)),
        queue_prefix=naming.queue_prefix(tenant.id, tenant.queue_prefix),
        requests_per_second=limits.requests_per_second or file.limits.requests_per_second,
        connections=limits.connections or file.limits.connections,
        homes=homes(tenant),
        cluster=plan_cluster(file, tenant.id, tenant.dedicated, client_groups) if tenant.dedicated else None,
    )


def of_cell(tenants: Iterable[Tenant], cell: str | None) -> tuple[Tenant, ...]:
    """Return the tenants of a cell, None for the environment's own, sorted by id."""
    return tuple(sorted((tenant for tenant in tenants if tenant.cell == cell), key=lambda tenant: tenant.id))


def closed_hosts(tenants: Iterable[Tenant], base_domain: str) -> dict[str, int]:
    """Return by full host name the HTTP status that answers for a tenant that is not served, sorted."""
    return {
        f"{tenant.slug}.{base_domain}": CLOSED_STATUS[tenant.status]
        for tenant in sorted(tenants, key=lambda tenant: tenant.slug)
        if tenant.status in CLOSED_STATUS
    }
