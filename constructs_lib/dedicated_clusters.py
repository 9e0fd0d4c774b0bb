"""Tenants' own Postgres clusters, from a local map, like their databases in a shared one (`tenant_databases`)."""

from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from itertools import pairwise
from typing import Any

from cdktf import MapTerraformIterator, TerraformIterator, TerraformLocal, TerraformResourceLifecycle
from cdktf_cdktf_provider_digitalocean.data_digitalocean_database_ca import DataDigitaloceanDatabaseCa
from cdktf_cdktf_provider_digitalocean.database_cluster import DatabaseCluster
from cdktf_cdktf_provider_digitalocean.database_db import DatabaseDb
from cdktf_cdktf_provider_digitalocean.database_user import DatabaseUser
from constructs import Construct

from constructs_lib.lifecycle import KEEP, KEEP_CLUSTER, RETIRED_CLUSTER
from constructs_lib.postgres import administration, postgres_cluster, postgres_settings
from constructs_lib.site import Site
from constructs_lib.terraform_text import EACH_KEY, address, each_value
from model.addresses import DEDICATED, RETIRED_GENERATIONS, Address
from model.data import ClusterPlan
from model.generations import ONE_GENERATION
from model.naming import Names, tenant_database, tenant_user_of
from model.tenancy import Guard, Tier
from model.tenant_plane import TenantDatabase, TenantPlan, TenantPlanePlan

_ALIKE = frozenset({"key", "name", "region", "client_groups", "logs"})
"""What the clusters of a stack have alike, and what is made of the tenant's id. Everything else stands in the map."""


class DedicatedClusters(Construct):
    """The clusters of those tenants of a cell that have one, all guarded alike.

    The blocks of the kept ones, and of what restores made in them, are there even when there are none:
    `prevent_destroy` protects an entry that leaves the map, and would vanish with the block.

    Attributes:
        administration: an expression, without `${}`: the list of the isolation job's entries; None without any.
        ids: an expression, without `${}`: the list of the clusters' ids; None without any.
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
        self.ids: str | None = None
        self.passwords: str | None = None
        self.servers: str | None = None
        if not tenants and guard is not Guard.KEPT:
            return
        entries = TerraformLocal(
            self, "clusters", {tenant.id: _entry(tenant.cluster) for tenant in tenants if tenant.cluster}
        )
        each = TerraformIterator.from_map(entries.as_any_map)
        of_each = _plan_of_each(each, plan, environment, guard)
        lifecycle = KEEP_CLUSTER if guard is Guard.KEPT else RETIRED_CLUSTER
        cluster = postgres_cluster(self, site, of_each, lifecycle=lifecycle, for_each=each)
        self._databases(cluster, each, plan, guard)
        if tenants:
            self._equip(cluster, each, of_each, tenants, site)

    def _equip(
        self,
        cluster: DatabaseCluster,
        each: MapTerraformIterator,
        of_each: ClusterPlan,
        tenants: tuple[TenantPlan, ...],
        site: Site,
    ) -> None:
        own = f"${{{address(cluster)}[each.key].id}}"
        postgres_settings(self, own, site, of_each, for_each=each)
        authority = DataDigitaloceanDatabaseCa(self, "ca", for_each=each, cluster_id=own)
        authorities = f"data.{authority.terraform_resource_type}.{authority.friendly_unique_id}"
        entry = administration("id", "cluster", f"{authorities}[id].certificate")
        self.ids = f"[for cluster in {address(cluster)} : cluster.id]"
        self.administration = f"[for id, cluster in {address(cluster)} : {entry}]"
        self.servers = (
            f"{{ for id, cluster in {address(cluster)} : id => {{ host = cluster.private_host, port = cluster.port, "
            f"ca = {authorities}[id].certificate }} }}"
        )
        self._users(cluster, tenants)

    def _databases(
        self,
        cluster: DatabaseCluster,
        each: MapTerraformIterator,
        plan: TenantPlanePlan,
        guard: Guard,
    ) -> None:
        """Make the databases: of the first generation, of later ones, and those that are retired in kept clusters."""
        here = {tenant.id for tenant in plan.dedicated(guard)}
        found = [one for one in plan.databases(Tier.DEDICATED, guard) if one.tenant_id in here]
        first = [one for one in found if one.is_first]
        later = [one for one in found if not one.is_first]
        lifecycle = KEEP if guard is Guard.KEPT else None
        self._of_keys(cluster, "restored", later, lifecycle)
        # What is moved passes by there, so both blocks have to be there for all that may have been in them.
        passes_by = guard is Guard.KEPT and any(
            tenant.cluster and _restores(tenant) for tenant in plan.tenants
        )
        if passes_by:
            self._of_keys(cluster, "retired", retired_generations(plan), None)
        if len(first) < len(here) or (passes_by and not here):
            self._of_keys(cluster, "database", first, lifecycle)
        elif here:
            # Nearly always every cluster has its first one.
            DatabaseDb(
                self,
                "database",
                for_each=each,
                cluster_id=f"${{{address(cluster)}[each.key].id}}",
                name=tenant_database(EACH_KEY),
                lifecycle=lifecycle,
            )

    def _of_keys(
        self,
        cluster: DatabaseCluster,
        construct_id: str,
        databases: Sequence[TenantDatabase],
        lifecycle: TerraformResourceLifecycle | None,
    ) -> None:
        """Make a database of each key, in the cluster of its tenant."""
        keys = TerraformLocal(self, f"{construct_id}-keys", {one.key: one.tenant_id for one in databases})
        DatabaseDb(
            self,
            construct_id,
            for_each=TerraformIterator.from_map(keys.as_any_map),
            cluster_id=f"${{{address(cluster)}[each.value].id}}",
            name=tenant_database(EACH_KEY),
            lifecycle=lifecycle,
        )

    def _users(self, cluster: DatabaseCluster, tenants: tuple[TenantPlan, ...]) -> None:
        """Make the users of those who are served from here; before its move a tenant's are in the shared cluster."""
        keys = {key: tenant.id for tenant in tenants if tenant.tier is Tier.DEDICATED for key in tenant.users}
        if not keys:
            return
        each = TerraformIterator.from_map(TerraformLocal(self, "generations", keys).as_any_map)
        users = DatabaseUser(
            self,
            "user",
            for_each=each,
            cluster_id=f"${{{address(cluster)}[each.value].id}}",
            name=tenant_user_of(EACH_KEY),
        )
        self.passwords = f"{{ for key, user in {address(users)} : key => user.password }}"


def retired_generations(plan: TenantPlanePlan) -> list[TenantDatabase]:
    """Return the databases that are retired while the cluster that has them is kept."""
    kept = {tenant.id for tenant in plan.dedicated(Guard.KEPT)}
    return [one for one in plan.databases(Tier.DEDICATED, Guard.RETIRED) if one.tenant_id in kept]


def moves(plan: TenantPlanePlan) -> list[dict[str, str]]:
    """Return the `moved` blocks that take tenants' clusters, with what belongs to them, to what guards them now."""
    gone = retired_generations(plan)
    found = []
    for guard in (Guard.RETIRED, Guard.KEPT):
        (other,) = set(Guard) - {guard}
        tenants = {tenant.id: tenant for tenant in plan.dedicated(guard)}
        for tenant_id in sorted(tenants):
            found += [
                _move(tenant_id, source, target)
                for source, target in zip(DEDICATED[other].moved, DEDICATED[guard].moved, strict=True)
            ]
        for one in plan.databases(Tier.DEDICATED, guard):
            if one.tenant_id in tenants and one not in gone:
                source, target = (DEDICATED[each].databases(is_first=one.is_first) for each in (other, guard))
                way = [source, target]
                if _restores(tenants[one.tenant_id]):
                    # By way of the third address where it may be, since an address is the end of one move alone. What
                    # is retired comes straight from where it was kept (policies/rules/protection.py).
                    way.insert(1 if guard is Guard.KEPT else 0, RETIRED_GENERATIONS)
                found += [_move(one.key, *pair) for pair in pairwise(way)]
    for one in gone:
        kept, retired = (
            DEDICATED[each].databases(is_first=one.is_first) for each in (Guard.KEPT, Guard.RETIRED)
        )
        found += [_move(one.key, *pair) for pair in pairwise((retired, kept, RETIRED_GENERATIONS))]
    return found


def _restores(tenant: TenantPlan) -> bool:
    """Whether a church has, or had, more generations than one, so that one of them may have been retired."""
    return tenant.database != ONE_GENERATION


def _move(key: str, source: Address, target: Address) -> dict[str, str]:
    return {"from": source.instance(key), "to": target.instance(key)}


def _differing() -> list[Field[Any]]:
    """Return the attributes that differ between tenants' clusters: all that are not known to be alike.

    So an attribute that is added to every cluster stands in the map without an edit here.
    """
    return [field for field in fields(ClusterPlan) if field.name not in _ALIKE]


def _entry(cluster: ClusterPlan) -> dict[str, object]:
    return {field.name: getattr(cluster, field.name) for field in _differing()}


def _plan_of_each(
    each: MapTerraformIterator, plan: TenantPlanePlan, environment: str, guard: Guard
) -> ClusterPlan:
    """Return the plan of every cluster of the map at once; what differs is read from the entry by Terraform."""
    read: dict[object, Callable[[str], Any]] = {
        str: each_value,
        int: each.get_number,
        bool: each.get_boolean,
    }
    differing: dict[str, Any] = {field.name: read[field.type](field.name) for field in _differing()}
    first = next((tenant.cluster for tenant in plan.tenants if tenant.cluster), None)
    return ClusterPlan(
        key=EACH_KEY,
        # The model's naming, applied by Terraform to each key.
        name=Names(environment).cluster(EACH_KEY),
        region=plan.credentials.region,
        client_groups=first.client_groups if first else (),
        # A retired tenant's cluster sends none: nobody works with it.
        logs=first.logs if first and guard is Guard.KEPT else None,
        **differing,
    )


def with_passwords(users: DatabaseUser, dedicated: DedicatedClusters) -> str:
    """Return an expression, without `${}`: the passwords of a cell's users by key, wherever they are."""
    own = f"{{ for key, user in {address(users)} : key => user.password }}"
    return f"merge({own}, {dedicated.passwords})" if dedicated.passwords else own
