"""The resources of tenants and their cells, at the addresses that the stacks give them (docs/plan-guard.md)."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.plans.resources import SECRET, Needs, Ref, Resource
from lab.plans.stack import SHARED_CLUSTER, cluster
from model.naming import Names, tenant_database, tenant_user, user_key
from ops.guard.kinds import CLUSTER, DATABASE, DATABASE_FIREWALL, OBJECT, USER

if TYPE_CHECKING:
    from lab.plans.environment import Environment, Tenant

ACTIVE_DATABASE = "tenant-plane_databases_database_9CF76D82"
RETIRED_DATABASE = "tenant-plane_databases_retired_1A2B3C4D"
TENANT_USER = "tenant-plane_databases_user_7899F7E9"
CREDENTIALS = "tenant-plane_credentials_tenant_D0AAD185"
REGISTRY = "control-plane_registry_tenant_D00A64D7"
# Blocks that stay in the configuration with an empty `for_each`.
EMPTY_BLOCKS = (f"{DATABASE}.{RETIRED_DATABASE}", f"{DATABASE}.{ACTIVE_DATABASE}", f"{USER}.{TENANT_USER}")


def cell_resources(it: "Environment", cell: str) -> Iterator[Resource]:
    """Yield the resources of a further cell's stack."""
    yield from cluster(
        it,
        SHARED_CLUSTER,
        "data_postgres-shared",
        name=Names(it.name).resource(f"pg-{cell}"),
        size=it.size,
        nodes=it.nodes,
        shared_stack=False,
    )
    yield from tenant_resources(it, cell)


def tenant_resources(it: "Environment", cell: str) -> Iterator[Resource]:
    """Yield what the tenants of a cell have."""
    shared = Ref(f"{CLUSTER}.{SHARED_CLUSTER}")
    for tenant in it.of_cell(cell):
        if tenant.shared:
            block = ACTIVE_DATABASE if tenant.shared == "kept" else RETIRED_DATABASE
            yield Resource(
                DATABASE, block, {"cluster_id": shared, "name": tenant_database(tenant.id)}, tenant.id
            )
        if tenant.dedicated:
            yield from _own_cluster(it, tenant, not cell)
        if tenant.tier == "shared":
            for generation in tenant.generations:
                yield _user(TENANT_USER, shared, tenant, generation)
        if tenant.status == "active":
            yield _credentials(it, tenant)
        yield _registry(it, tenant)


def _own_cluster(it: "Environment", tenant: "Tenant", shared_stack: bool) -> Iterator[Resource]:
    construct = f"tenant-plane_{'' if tenant.dedicated == 'kept' else 'retired-'}dedicated"
    block = f"{construct}_cluster_0D0D0D0D"
    yield from cluster(
        it,
        block,
        construct,
        name=Names(it.name).resource(f"pg-{tenant.id}"),
        size=tenant.own_cluster,
        nodes=2,
        key=tenant.id,
        shared_stack=shared_stack,
    )
    own = Ref(f'{CLUSTER}.{block}["{tenant.id}"]')
    yield Resource(
        DATABASE,
        f"{construct}_database_0E0E0E0E",
        {"cluster_id": own, "name": tenant_database(tenant.id)},
        tenant.id,
    )
    # Before its move a tenant's users are in the shared cluster.
    if tenant.tier == "dedicated":
        for generation in tenant.generations:
            yield _user(f"{construct}_user_0F0F0F0F", own, tenant, generation)


def _user(block: str, cluster: Ref, tenant: "Tenant", generation: int) -> Resource:
    name = tenant_user(tenant.id, generation)
    return Resource(USER, block, {"cluster_id": cluster, "name": name}, user_key(tenant.id, generation))


def _credentials(it: "Environment", tenant: "Tenant") -> Resource:
    own = tenant.tier == "dedicated"
    block = "tenant-plane_dedicated_user_0F0F0F0F" if own else TENANT_USER
    users = tuple(
        Ref(f'{USER}.{block}["{user_key(tenant.id, number)}"]', "password") for number in tenant.generations
    )
    text = f"{SECRET} of {'own' if own else 'shared'} cluster, generations {tenant.generations}"
    return Resource(
        OBJECT,
        CREDENTIALS,
        {
            "bucket": Names(it.name).bucket("tenant-credentials"),
            "region": it.region,
            "key": f"tenants/{tenant.id}.json",
            "acl": "private",
            "content": Needs(text, users),
        },
        tenant.id,
    )


def _registry(it: "Environment", tenant: "Tenant") -> Resource:
    said = {"slug": tenant.slug, "name": tenant.name, "status": tenant.status, "tier": tenant.tier}
    return Resource(
        OBJECT,
        REGISTRY,
        {
            "bucket": Names(it.name).bucket("tenant-registry"),
            "region": it.region,
            "key": f"tenants/{tenant.id}.json",
            "acl": "private",
            "content": json.dumps(said),
        },
        tenant.id,
    )


def moves_of(tenant: "Tenant") -> Iterator[tuple[str, str]]:
    """Yield a tenant's `moved` blocks: from, to."""
    key = f'["{tenant.id}"]'
    active, retired = f"{DATABASE}.{ACTIVE_DATABASE}{key}", f"{DATABASE}.{RETIRED_DATABASE}{key}"
    if tenant.shared:
        yield (active, retired) if tenant.shared == "retired" else (retired, active)
    if tenant.dedicated:
        for kind, name in (
            (CLUSTER, "cluster_0D0D0D0D"),
            (DATABASE_FIREWALL, "firewall_008153E4"),
            ("digitalocean_database_postgresql_config", "config_D47CED41"),
            (DATABASE, "database_0E0E0E0E"),
        ):
            kept = f"{kind}.tenant-plane_dedicated_{name}{key}"
            gone = f"{kind}.tenant-plane_retired-dedicated_{name}{key}"
            yield (kept, gone) if tenant.dedicated == "retired" else (gone, kept)
