"""Tenants' own Postgres clusters, from a local map, like their databases in a shared one (`tenant_databases`)."""

from cdktf import MapTerraformIterator, TerraformElement, TerraformIterator, TerraformLocal, TerraformStack
from cdktf_cdktf_provider_digitalocean.data_digitalocean_database_ca import DataDigitaloceanDatabaseCa
from cdktf_cdktf_provider_digitalocean.database_cluster import DatabaseCluster
from cdktf_cdktf_provider_digitalocean.database_db import DatabaseDb
from cdktf_cdktf_provider_digitalocean.database_user import DatabaseUser
from constructs import Construct

from constructs_lib.lifecycle import KEEP, KEEP_CLUSTER, RETIRED_CLUSTER
from constructs_lib.postgres import Shape, administration, postgres_cluster, postgres_settings
from constructs_lib.site import Site
from constructs_lib.terraform_text import address
from model.naming import Names, tenant_database, tenant_user_of
from model.tenancy import Guard
from model.tenant_plane import TenantPlan, TenantPlanePlan

# What a retired tenant's cluster takes along: construct id and type.
_MOVED = {
    "cluster": "digitalocean_database_cluster",
    "config": "digitalocean_database_postgresql_config",
    "firewall": "digitalocean_database_firewall",
    "database": "digitalocean_database_db",
}


class DedicatedClusters(Construct):
    """The clusters of those tenants of a cell that have one, all guarded alike.

    The block of the kept ones is there even when there are none: `prevent_destroy` protects an entry that leaves
    the map, and would vanish with the block.

    Attributes:
        administration: an expression, without `${}`: what the isolation job is told of each, a list; None
            without any.
        passwords: an expression, without `${}`: the users' passwords by key; None without users.
        servers: an expression, without `${}`: by tenant id host, port and certificate authority; None without
            any.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        plan: TenantPlanePlan,
        guard: Guard,
        environment: str,
        site: Site,
    ) -> None:
        super().__init__(scope, construct_id)
        tenants = plan.dedicated(guard)
        self.administration: str | None = None
        self.passwords: str | None = None
        self.servers: str | None = None
        if not tenants and guard is not Guard.KEPT:
            return
        entries = TerraformLocal(self, "clusters", {tenant.id: _entry(tenant) for tenant in tenants})
        each = TerraformIterator.from_map(entries.as_any_map)
        shape = Shape(
            # The model's naming, applied by Terraform to each key.
            name=Names(environment).cluster(each.key),
            region=plan.credentials.region,
            version=each.get_string("version"),
            size=each.get_string("size"),
            nodes=each.get_number("nodes"),
            day=each.get_string("day"),
            hour=each.get_string("hour"),
        )
        lifecycle = KEEP_CLUSTER if guard is Guard.KEPT else RETIRED_CLUSTER
        cluster = postgres_cluster(self, site, shape, lifecycle=lifecycle, for_each=each)
        if tenants:
            self._equip(cluster, each, tenants, guard, site)

    def _equip(
        self,
        cluster: DatabaseCluster,
        each: MapTerraformIterator,
        tenants: tuple[TenantPlan, ...],
        guard: Guard,
        site: Site,
    ) -> None:
        own = f"${{{address(cluster)}[each.key].id}}"
        clients = next(tenant.cluster.client_groups for tenant in tenants if tenant.cluster)
        postgres_settings(self, own, site, clients, for_each=each)
        DatabaseDb(
            self,
            "database",
            for_each=each,
            cluster_id=own,
            name=tenant_database(each.key),
            lifecycle=KEEP if guard is Guard.KEPT else None,
        )
        authority = DataDigitaloceanDatabaseCa(self, "ca", for_each=each, cluster_id=own)
        authorities = f"data.{authority.terraform_resource_type}.{authority.friendly_unique_id}"
        entry = administration("id", "cluster", f"{authorities}[id].certificate")
        self.administration = f"[for id, cluster in {address(cluster)} : {entry}]"
        self.servers = (
            f"{{ for id, cluster in {address(cluster)} : id => {{ host = cluster.private_host, port = cluster.port, "
            f"ca = {authorities}[id].certificate }} }}"
        )
        self._users(cluster, tenants)

    def _users(self, cluster: DatabaseCluster, tenants: tuple[TenantPlan, ...]) -> None:
        """Make the users of those who are served from here; before its move a tenant's are in the shared cluster."""
        keys = {key: tenant.id for tenant in tenants if tenant.tier == "dedicated" for key in tenant.users}
        if not keys:
            return
        each = TerraformIterator.from_map(TerraformLocal(self, "generations", keys).as_any_map)
        users = DatabaseUser(
            self,
            "user",
            for_each=each,
            cluster_id=f"${{{address(cluster)}[each.value].id}}",
            name=tenant_user_of(each.key),
        )
        self.passwords = f"{{ for key, user in {address(users)} : key => user.password }}"


def moves(source: DedicatedClusters, target: DedicatedClusters, tenant_id: str) -> list[dict[str, str]]:
    """Return the `moved` blocks that take a tenant's cluster and what belongs to it from one guard to the other."""
    return [
        {
            "from": f'{_address(source, name, kind)}["{tenant_id}"]',
            "to": f'{_address(target, name, kind)}["{tenant_id}"]',
        }
        for name, kind in _MOVED.items()
    ]


def _address(clusters: DedicatedClusters, name: str, kind: str) -> str:
    """Return a block's address, whether it is there or not: what was moved away from may be empty."""
    child = clusters.node.try_find_child(name) or Construct(clusters, name)
    stack = TerraformStack.of(clusters)
    logical_id = stack.get_logical_id(child if isinstance(child, TerraformElement) else child.node)
    return f"{kind}.{logical_id}"


def _entry(tenant: TenantPlan) -> dict[str, object]:
    cluster = tenant.cluster
    if cluster is None:
        raise ValueError(f"{tenant.id} has no cluster of its own")
    return {
        "size": cluster.size,
        "nodes": cluster.nodes,
        "version": cluster.version,
        "day": cluster.maintenance.day,
        "hour": cluster.maintenance.hour,
    }


def with_passwords(users: DatabaseUser, dedicated: DedicatedClusters) -> str:
    """Return an expression, without `${}`: the passwords of a cell's users by key, wherever they are."""
    own = f"{{ for key, user in {address(users)} : key => user.password }}"
    return f"merge({own}, {dedicated.passwords})" if dedicated.passwords else own
