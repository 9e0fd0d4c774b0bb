"""What the tenant plane owns in one stack: the tenants of one cell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model import naming
from model.data import ClusterPlan, plan_postgres
from model.environment import EnvironmentFile
from model.generations import Database, key_of
from model.layout import Placement, clients
from model.naming import Names
from model.private_bucket import PrivateBucketPlan, plan_credentials
from model.services import Store
from model.tenancy import Guard, Homes, Status, Tier
from model.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class TenantPlan:
    """A church: what the directory says of it, and where its data is."""

    id: str
    slug: str
    name: str
    status: Status
    tier: Tier
    served: bool
    """Whether it has credentials and users: neither suspended nor retired."""
    generation: int
    """Of the credentials that are published."""
    keep: tuple[int, ...]
    """Generations before that whose users stay, newest first."""
    queue_prefix: str
    requests_per_second: int
    connections: int
    homes: Homes
    database: Database
    """The generations of its database."""
    cluster: ClusterPlan | None
    """Its own; None: it has none."""

    @property
    def key(self) -> str:
        """The key of the database that is served."""
        return key_of(self.id, self.database)

    @property
    def users(self) -> tuple[str, ...]:
        """The keys of its users; empty unless it is served."""
        if not self.served:
            return ()
        return tuple(naming.user_key(self.key, number) for number in (self.generation, *self.keep))


@dataclass(frozen=True)
class TenantDatabase:
    """One generation of a tenant's database."""

    tenant_id: str
    generation: int

    @property
    def key(self) -> str:
        """Its key."""
        return naming.database_key(self.tenant_id, self.generation)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that the tenant began with: those of all tenants have a block of their own."""
        return self.generation == naming.FIRST_GENERATION


@dataclass(frozen=True, kw_only=True)
class TenantPlanePlan:
    """The tenants of one cell."""

    cell: str
    """Its name in the directory: the environment's, or the operators' name of a further cell."""
    first: bool
    """Whether it is the environment's own stack, which makes what all cells share."""
    cluster: str
    """The operators' name for the cell's cluster."""
    tenants: tuple[TenantPlan, ...]
    """Sorted by id, so that the order in the file never shows in a plan."""
    credentials: PrivateBucketPlan

    def databases(self, place: Tier, guard: Guard) -> tuple[TenantDatabase, ...]:
        """Return the databases in the cell's cluster, or in tenants' own, that are guarded so."""
        return tuple(
            TenantDatabase(tenant.id, generation)
            for tenant in self.tenants
            for home in [tenant.homes.shared if place is Tier.SHARED else tenant.homes.dedicated]
            if home
            for generation in sorted(tenant.database.there)
            if tenant.database.guard(generation, home) is guard
        )

    def dedicated(self, guard: Guard) -> tuple[TenantPlan, ...]:
        """Return the tenants with a cluster of their own that is guarded so."""
        return tuple(tenant for tenant in self.tenants if tenant.homes.dedicated is guard)


def of_cell(tenants: Iterable[Tenant], cell: str | None) -> tuple[Tenant, ...]:
    """Return the tenants of a cell, None for the environment's own, sorted by id."""
    return tuple(sorted((tenant for tenant in tenants if tenant.cell == cell), key=lambda tenant: tenant.id))


def plan_tenant_plane(
    file: EnvironmentFile,
    tenants: Iterable[Tenant],
    names: Names,
    placements: Sequence[Placement],
    *,
    cell: str | None,
) -> TenantPlanePlan:
    """Decide the tenant plane of one stack, whose tenants these are; None stands for the environment's own."""
    client_groups = clients(placements, Store.POSTGRES)
    return TenantPlanePlan(
        cell=cell or file.environment,
        first=cell is None,
        cluster=cell or file.postgres.tenants,
        tenants=tuple(_plan_tenant(tenant, file, names, client_groups) for tenant in tenants),
        credentials=plan_credentials(file, names),
    )


def _plan_tenant(
    tenant: Tenant, file: EnvironmentFile, names: Names, client_groups: tuple[str, ...]
) -> TenantPlan:
    limits = tenant.limits
    own = tenant.dedicated
    return TenantPlan(
        id=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        status=tenant.status,
        tier=tenant.tier,
        served=tenant.served,
        generation=tenant.credentials.generation,
        keep=tuple(sorted(tenant.credentials.keep, reverse=True)),
        queue_prefix=naming.queue_prefix(tenant.id, tenant.queue_prefix),
        requests_per_second=limits.requests_per_second or file.limits.requests_per_second,
        connections=limits.connections or file.limits.connections,
        homes=tenant.homes,
        database=tenant.database,
        cluster=plan_postgres(file, names, tenant.id, own, client_groups) if own else None,
    )
