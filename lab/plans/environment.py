"""An environment as operators write it, edits of it, and what Terraform plans for them."""

from dataclasses import dataclass, field, replace
from typing import Any

from lab.plans.planner import Situation
from lab.plans.resources import Resources, at, exist
from lab.plans.stack import environment_resources
from lab.plans.tenants import EMPTY_BLOCKS, cell_resources, moves_of, tenant_resources
from model.generations import ONE_GENERATION, Database, key_of
from model.naming import tenant_database

GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
HOPE = "7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002"
RIVER = "b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003"
SPRING = "c2f7a8e3-3d4e-4c6b-8f90-8b7d6e5f4004"


@dataclass(frozen=True)
class Tenant:
    """An entry of tenants.yaml."""

    id: str
    slug: str
    name: str
    status: str = "active"
    tier: str = "shared"
    own_cluster: str = ""
    """The size of its own cluster; empty if it has none."""
    own_retired: bool = False
    shared_copy: str = ""
    generation: int = 1
    keep: tuple[int, ...] = ()
    cell: str = ""
    database: Database = ONE_GENERATION

    @property
    def shared(self) -> str:
        """Whether its database in the shared cluster is "kept" or "retired"; empty if it has none there."""
        home = "kept" if self.tier == "shared" else self.shared_copy
        return "retired" if home and self.status == "retired" else home

    @property
    def dedicated(self) -> str:
        """Whether its own cluster is "kept" or "retired"; empty if it has none."""
        if not self.own_cluster:
            return ""
        return "retired" if self.own_retired or self.status == "retired" else "kept"

    @property
    def key(self) -> str:
        """The key of the database that is served."""
        return key_of(self.id, self.database)

    @property
    def generations(self) -> tuple[int, ...]:
        """The generations of its credentials."""
        return (self.generation, *self.keep) if self.status == "active" else ()


TENANTS = (
    Tenant(GRACE, "grace", "Grace Chapel"),
    Tenant(HOPE, "hope", "Hope Assembly"),
    Tenant(RIVER, "river", "River of Life Church"),
)


@dataclass(frozen=True)
class Environment:
    """What operators write."""

    name: str = "staging"
    region: str = "fra1"
    groups: dict[str, int] = field(default_factory=lambda: {"app": 1, "worker": 1})
    public: tuple[str, ...] = ("app",)
    tenants: tuple[Tenant, ...] = TENANTS
    cells: tuple[str, ...] = ()
    size: str = "db-s-1vcpu-2gb"
    nodes: int = 1
    version: str = "17"
    valkey_nodes: int = 1
    ttl: dict[str, int] = field(default_factory=lambda: {"snapshots/": 30, "exports/": 7})
    admin_cidrs: tuple[str, ...] = ("198.51.100.7/32",)
    release: str = "1.4.2"
    settings: str = "debug"
    secret: str = "first"  # noqa: S105  (made up)
    user_data: str = "#cloud-config"
    droplet_size: str = "s-2vcpu-4gb"
    alternative_names: tuple[str, ...] = ()
    snapshot: str = ""
    """The name of a volume, a kind that the stacks do not have and the guard does not list."""

    def but(self, **changes: Any) -> "Environment":
        """Return it with other values."""
        return replace(self, **changes)

    def tenant(self, tenant: str, **changes: Any) -> "Environment":
        """Return it with one entry edited."""
        return self.but(
            tenants=tuple(replace(one, **changes) if one.id == tenant else one for one in self.tenants)
        )

    def without(self, tenant: str) -> "Environment":
        """Return it without one entry."""
        return self.but(tenants=tuple(one for one in self.tenants if one.id != tenant))

    def plus(self, *tenants: Tenant) -> "Environment":
        """Return it with more entries."""
        return self.but(tenants=(*self.tenants, *tenants))

    def of_cell(self, cell: str) -> tuple[Tenant, ...]:
        """Return a cell's entries, sorted by id."""
        return tuple(sorted((one for one in self.tenants if one.cell == cell), key=lambda one: one.id))

    def stack(self, cell: str = "") -> Resources:
        """Return the configuration of one stack."""
        return at(
            cell_resources(self, cell)
            if cell
            else (*environment_resources(self), *tenant_resources(self, ""))
        )

    def output(self, cell: str = "") -> dict[str, dict[str, str]]:
        """Return the output `tenants` of one stack."""
        return {
            one.id: {
                "slug": one.slug,
                "name": one.name,
                "status": one.status,
                "tier": one.tier,
                "database": tenant_database(one.id, one.database.current),
            }
            for one in self.of_cell(cell)
        }

    def moves(self, cell: str = "") -> list[tuple[str, str]]:
        """Return the `moved` blocks: one for each tenant, towards the address where it belongs."""
        return [move for tenant in self.of_cell(cell) for move in moves_of(tenant)]

    def addresses(self, cell: str = "") -> list[str]:
        """Return the addresses of one stack, sorted."""
        return sorted(self.stack(cell))


STAGING = Environment()
PRODUCTION = Environment(
    name="production",
    groups={"tenant": 3, "control": 2, "worker": 2},
    public=("tenant", "control"),
    size="db-s-4vcpu-8gb",
    nodes=2,
    valkey_nodes=2,
    ttl={"snapshots/": 90, "exports/": 14},
    release="1.4.1",
    settings="info",
)
ENVIRONMENTS = {"staging": STAGING, "production": PRODUCTION}


def situation(before: Environment, after: Environment, cell: str = "") -> Situation:
    """Return the state of one environment, and the configuration of another to plan against it."""
    return Situation(
        exist(before.stack(cell)),
        after.stack(cell),
        moves=after.moves(cell),
        empty_blocks=EMPTY_BLOCKS,
        tenants_there=before.output(cell),
        tenants_wanted=after.output(cell),
    )
