"""The resources of tenants and their cells, at the addresses that the stacks give them (docs/plan-guard.md)."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from lab.plans.resources import SECRET, Needs, Ref, Resource
from lab.plans.stack import SHARED_CLUSTER, cluster
from model.addresses import (
    CELL_POSTGRES,
    CELL_POSTGRES_CONFIG,
    CELL_POSTGRES_FIREWALL,
    DEDICATED,
    RESTORED_DATABASES,
    RETIRED_GENERATIONS,
    TENANT_CREDENTIALS,
    TENANT_DATABASES,
    TENANT_DIRECTORY,
    TENANT_USERS,
    Address,
)
from model.generations import ONE_GENERATION
from model.naming import FIRST_GENERATION, Names, database_key, tenant_database, tenant_user, user_key
from model.tenancy import Guard

if TYPE_CHECKING:
    from lab.plans.environment import Environment, Tenant

ACTIVE_DATABASE = TENANT_DATABASES[Guard.KEPT]
RETIRED_DATABASE = TENANT_DATABASES[Guard.RETIRED]
# Blocks that stay in the configuration with an empty `for_each`.
EMPTY_BLOCKS = tuple(
    map(
        str,
        (RETIRED_DATABASE, ACTIVE_DATABASE, RESTORED_DATABASES, DEDICATED[Guard.KEPT].restored, TENANT_USERS),
    )
)


def cell_resources(it: "Environment", cell: str) -> Iterator[Resource]:
    """Yield the resources of a further cell's stack."""
    yield from cluster(
        it,
        (CELL_POSTGRES, CELL_POSTGRES_FIREWALL, CELL_POSTGRES_CONFIG),
        name=Names(it.name).resource(f"pg-{cell}"),
        size=it.size,
        nodes=it.nodes,
        shared_stack=False,
    )
    yield from tenant_resources(it, cell)


def tenant_resources(it: "Environment", cell: str) -> Iterator[Resource]:
    """Yield what the tenants of a cell have."""
    shared = Ref.to(CELL_POSTGRES if cell else SHARED_CLUSTER)
    for tenant in it.of_cell(cell):
        for key, way in _databases(tenant, own=False):
            yield Resource.at(way[-1], {"cluster_id": shared, "name": tenant_database(key)}, key)
        if tenant.dedicated:
            yield from _own_cluster(it, tenant, not cell)
        if tenant.tier == "shared":
            for generation in tenant.generations:
                yield _user(TENANT_USERS, shared, tenant, generation)
        if tenant.status == "active":
            yield _credentials(it, tenant)
        yield _entry(it, tenant)


def _own_cluster(it: "Environment", tenant: "Tenant", shared_stack: bool) -> Iterator[Resource]:
    places = DEDICATED[Guard(tenant.dedicated)]
    yield from cluster(
        it,
        (places.cluster, places.firewall, places.config),
        name=Names(it.name).resource(f"pg-{tenant.id}"),
        size=tenant.own_cluster,
        nodes=2,
        key=tenant.id,
        shared_stack=shared_stack,
    )
    own = Ref.to(places.cluster, key=tenant.id)
    for key, way in _databases(tenant, own=True):
        yield Resource.at(way[-1], {"cluster_id": own, "name": tenant_database(key)}, key)
    # Before its move a tenant's users are in the shared cluster.
    if tenant.tier == "dedicated":
        for generation in tenant.generations:
            yield _user(places.user, own, tenant, generation)


def _databases(tenant: "Tenant", *, own: bool) -> Iterator[tuple[str, list[Address]]]:
    """Yield each database of a tenant in one place: its key, and the addresses by which it may come to its own."""
    home = tenant.dedicated if own else tenant.shared
    for number in sorted(tenant.database.there) if home else ():
        first = number == FIRST_GENERATION
        if own:
            kept, retired = (
                DEDICATED[guard].databases(is_first=first) for guard in (Guard.KEPT, Guard.RETIRED)
            )
        else:
            kept, retired = TENANT_DATABASES[Guard.KEPT] if first else RESTORED_DATABASES, RETIRED_DATABASE
        between = [RETIRED_GENERATIONS] if own and tenant.database != ONE_GENERATION else []
        if home == "retired":
            way = [*between, kept, retired]
        elif number != tenant.database.retired:
            way = [retired, *between, kept]
        else:
            way = [retired, kept, *between] if own else [kept, retired]
        yield database_key(tenant.id, number), way


def _user(address: Address, cluster: Ref, tenant: "Tenant", generation: int) -> Resource:
    name = tenant_user(tenant.key, generation)
    return Resource.at(address, {"cluster_id": cluster, "name": name}, user_key(tenant.key, generation))


def _credentials(it: "Environment", tenant: "Tenant") -> Resource:
    own = tenant.tier == "dedicated"
    address = DEDICATED[Guard.KEPT].user if own else TENANT_USERS
    users = tuple(
        Ref.to(address, "password", key=user_key(tenant.key, number)) for number in tenant.generations
    )
    text = f"{SECRET} of {'own' if own else 'shared'} cluster, generations {tenant.generations}"
    return Resource.at(
        TENANT_CREDENTIALS,
        {
            "bucket": Names(it.name).bucket("tenant-credentials"),
            "region": it.region,
            "key": f"tenants/{tenant.id}.json",
            "acl": "private",
            "content": Needs(text, users),
        },
        tenant.id,
    )


def _entry(it: "Environment", tenant: "Tenant") -> Resource:
    said = {"slug": tenant.slug, "name": tenant.name, "status": tenant.status, "tier": tenant.tier}
    said["database"] = tenant_database(tenant.key)
    return Resource.at(
        TENANT_DIRECTORY,
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
    for own in (False, True):
        for key, way in _databases(tenant, own=own):
            yield from ((source.instance(key), target.instance(key)) for source, target in pairwise(way))
    if tenant.dedicated:
        kept, retired = (DEDICATED[guard].moved for guard in (Guard.KEPT, Guard.RETIRED))
        for pair in zip(kept, retired, strict=True):
            yield _move(
                dict(zip((Guard.KEPT, Guard.RETIRED), pair, strict=True)), tenant, Guard(tenant.dedicated)
            )


def _move(places: Mapping[Guard, Address], tenant: "Tenant", guard: Guard) -> tuple[str, str]:
    (other,) = (one for one in places if one is not guard)
    return places[other].instance(tenant.id), places[guard].instance(tenant.id)
