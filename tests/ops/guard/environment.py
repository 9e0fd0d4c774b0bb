"""An environment as the stacks build it, by the contract of addresses in docs/plan-guard.md, and edits of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from model.naming import Names, tenant_database, tenant_user, user_key
from tests.ops.guard.builder import SECRET, Needs, Ref, Resource, Resources, Situation, at, exist

GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
HOPE = "7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002"
RIVER = "b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003"
SPRING = "c2f7a8e3-3d4e-4c6b-8f90-8b7d6e5f4004"

CLUSTER = "digitalocean_database_cluster"
DATABASE = "digitalocean_database_db"
USER = "digitalocean_database_user"
FIREWALL = "digitalocean_database_firewall"
BUCKET = "digitalocean_spaces_bucket"
OBJECT = "digitalocean_spaces_bucket_object"

ACTIVE_DATABASE = "tenant-plane_databases_database_9CF76D82"
RETIRED_DATABASE = "tenant-plane_databases_retired_1A2B3C4D"
TENANT_USER = "tenant-plane_databases_user_7899F7E9"
CREDENTIALS = "tenant-plane_credentials_tenant_D0AAD185"
REGISTRY = "control-plane_registry_tenant_D00A64D7"
SHARED_CLUSTER = "data_postgres-shared_cluster_5595FC18"
# Blocks that stay in the configuration with an empty `for_each`.
EMPTY_BLOCKS = (f"{DATABASE}.{RETIRED_DATABASE}", f"{DATABASE}.{ACTIVE_DATABASE}", f"{USER}.{TENANT_USER}")


@dataclass(frozen=True)
class Tenant:
    """An entry of tenants.yaml."""

    id: str
    slug: str
    name: str
    status: str = "active"
    tier: str = "shared"
    own_cluster: str = ""
    """Its size; empty: it has none."""
    own_retired: bool = False
    shared_copy: str = ""
    generation: int = 1
    keep: tuple[int, ...] = ()
    cell: str = ""

    @property
    def shared(self) -> str:
        """What guards its database in the shared cluster: kept, retired, or "" for none."""
        home = "kept" if self.tier == "shared" else self.shared_copy
        return "retired" if home and self.status == "retired" else home

    @property
    def dedicated(self) -> str:
        """What guards its own cluster."""
        if not self.own_cluster:
            return ""
        return "retired" if self.own_retired or self.status == "retired" else "kept"

    @property
    def generations(self) -> tuple[int, ...]:
        return (self.generation, *self.keep) if self.status == "active" else ()


TENANTS = (
    Tenant(GRACE, "grace", "Grace Chapel"),
    Tenant(HOPE, "hope", "Hope Assembly"),
    Tenant(RIVER, "river", "River of Life Church"),
)


@dataclass(frozen=True)
class Environment:
    """What an operator wrote."""

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
    secret: str = "first"
    user_data: str = "#cloud-config"
    droplet_size: str = "s-2vcpu-4gb"
    alternative_names: tuple[str, ...] = ()
    snapshot: str = ""
    """A volume beside the rest, which today's stacks do not have."""

    def but(self, **changes: Any) -> "Environment":
        return replace(self, **changes)

    def tenant(self, tenant: str, **changes: Any) -> "Environment":
        """Return it with one entry edited."""
        return self.but(
            tenants=tuple(replace(one, **changes) if one.id == tenant else one for one in self.tenants)
        )

    def without(self, tenant: str) -> "Environment":
        return self.but(tenants=tuple(one for one in self.tenants if one.id != tenant))

    def plus(self, *tenants: Tenant) -> "Environment":
        return self.but(tenants=(*self.tenants, *tenants))

    def of_cell(self, cell: str) -> tuple[Tenant, ...]:
        return tuple(sorted((one for one in self.tenants if one.cell == cell), key=lambda one: one.id))

    def stack(self, cell: str = "") -> Resources:
        """Return what one stack wants."""
        return at(_cell(self, cell) if cell else (*_shared(self), *_tenants(self, "")))

    def output(self, cell: str = "") -> dict[str, dict[str, str]]:
        """Return the output `tenants` of one stack."""
        return {
            one.id: {
                "slug": one.slug,
                "name": one.name,
                "status": one.status,
                "tier": one.tier,
                "database": tenant_database(one.id),
            }
            for one in self.of_cell(cell)
        }

    def moves(self, cell: str = "") -> list[tuple[str, str]]:
        """Return the `moved` blocks: for every tenant, whichever way it may have to go."""
        return [move for tenant in self.of_cell(cell) for move in _moves(tenant)]

    def addresses(self, cell: str = "") -> list[str]:
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
    """Return what Terraform is asked when the operators' files change from one to the other."""
    return Situation(
        exist(before.stack(cell)),
        after.stack(cell),
        moves=after.moves(cell),
        empty_blocks=EMPTY_BLOCKS,
        tenants_there=before.output(cell),
        tenants_wanted=after.output(cell),
    )


def _shared(it: Environment) -> Iterator[Resource]:
    names = Names(it.name)
    project = Resource("digitalocean_project", "project_22F52B9F", {"name": names.resource("project")})
    vpc = Resource(
        "digitalocean_vpc",
        "network_vpc_4E8F0223",
        {"name": names.resource("vpc"), "region": it.region, "ip_range": "10.60.0.0/20"},
    )
    yield from (project, vpc)
    for group in it.groups:
        yield Resource(
            "digitalocean_tag", f"network_tag-group-{group}_628424BE", {"name": names.group_tag(group)}
        )
    yield from _edge(it, vpc, project)
    yield from _cluster(
        it,
        SHARED_CLUSTER,
        "data_postgres-shared",
        name=names.resource("pg-shared"),
        size=it.size,
        nodes=it.nodes,
    )
    yield from _valkey(it)
    yield _bucket(it, "data_exports_bucket_AA19A07E", "exports", it.ttl)
    yield _bucket(it, "control-plane_registry_bucket_BE1CCC48", "tenant-registry", {})
    yield _bucket(it, "tenant-plane_credentials_bucket_676C9ACB", "tenant-credentials", {})
    shared = Ref(f"{CLUSTER}.{SHARED_CLUSTER}")
    yield Resource(
        DATABASE, "control-plane_database_13C81745", {"cluster_id": shared, "name": "control_plane"}
    )
    yield Resource(USER, "control-plane_user_F6D40395", {"cluster_id": shared, "name": "control_plane"})
    for group in it.groups:
        yield from _group(it, group, vpc)
    if it.snapshot:
        yield Resource(
            "digitalocean_volume",
            "drill_disk_0A0B0C0D",
            {"name": it.snapshot, "region": it.region, "size": 100},
        )


def _edge(it: Environment, vpc: Resource, project: Resource) -> Iterator[Resource]:
    zone = Resource("digitalocean_domain", "edge_zone_0AE99B69", {"name": f"{it.name}.presence360.app"})
    names = [f"{it.name}.presence360.app", f"*.{it.name}.presence360.app", *it.alternative_names]
    certificate = Resource(
        "digitalocean_certificate",
        "edge_certificate_4B15C2CA",
        {"name": Names(it.name).certificate(names), "type": "lets_encrypt", "domains": names},
        create_before_destroy=True,
    )
    yield from (zone, certificate)
    for group in it.public:
        balancer = Resource(
            "digitalocean_loadbalancer",
            f"edge_load-balancer-{group}_A9D12031",
            {
                "name": f"{it.name}-{group}",
                "region": it.region,
                "vpc_uuid": Ref(vpc.address),
                "project_id": Ref(project.address),
                "certificate_name": Ref(certificate.address, "name"),
            },
        )
        yield balancer
        for label in ("api", "app", "*") if group == it.public[0] else ("cp", "admin"):
            yield Resource(
                "digitalocean_record",
                f"edge_a-name-{label.replace('*', 'wildcard')}_F6A34E83",
                {
                    "domain": Ref(zone.address, "name"),
                    "name": label,
                    "type": "A",
                    "value": Ref(balancer.address),
                    "ttl": 300,
                },
            )


def _cluster(
    it: Environment,
    block: str,
    construct: str,
    *,
    name: str,
    size: str,
    nodes: int,
    key: str | None = None,
    shared_stack: bool = True,
) -> Iterator[Resource]:
    cluster = Resource(
        CLUSTER,
        block,
        {
            "name": name,
            "engine": "pg",
            "version": it.version,
            "region": it.region,
            "size": size,
            "node_count": nodes,
            # A further cell finds network and project by name.
            "private_network_uuid": Ref("digitalocean_vpc.network_vpc_4E8F0223")
            if shared_stack
            else "found vpc",
            "project_id": Ref("digitalocean_project.project_22F52B9F") if shared_stack else "found project",
            "backup_restore": [],
        },
        key,
    )
    rules = [{"type": "tag", "value": Names(it.name).group_tag(group)} for group in it.groups]
    yield cluster
    yield Resource(
        FIREWALL, f"{construct}_firewall_008153E4", {"cluster_id": Ref(cluster.address), "rule": rules}, key
    )
    yield Resource(
        "digitalocean_database_postgresql_config",
        f"{construct}_config_D47CED41",
        {"cluster_id": Ref(cluster.address), "timezone": "UTC"},
        key,
    )


def _valkey(it: Environment) -> Iterator[Resource]:
    cluster = Resource(
        CLUSTER,
        "data_valkey_cluster_2B360DBA",
        {
            "name": f"{it.name}-valkey",
            "engine": "valkey",
            "version": "8",
            "region": it.region,
            "size": "db-s-1vcpu-1gb",
            "node_count": it.valkey_nodes,
            "eviction_policy": "noeviction",
            "private_network_uuid": Ref("digitalocean_vpc.network_vpc_4E8F0223"),
            "project_id": Ref("digitalocean_project.project_22F52B9F"),
        },
    )
    rules = [{"type": "tag", "value": Names(it.name).group_tag(group)} for group in it.groups]
    yield cluster
    yield Resource(
        "digitalocean_database_valkey_config",
        "data_valkey_config_111F6EF6",
        {"cluster_id": Ref(cluster.address), "persistence": "rdb"},
    )
    yield Resource(
        FIREWALL, "data_valkey_firewall_99D733DC", {"cluster_id": Ref(cluster.address), "rule": rules}
    )


def _bucket(it: Environment, block: str, what: str, ttl: dict[str, int]) -> Resource:
    rules = [
        {
            "id": f"expire-{prefix.rstrip('/')}",
            "prefix": prefix,
            "enabled": True,
            "expiration": [{"days": days}],
            "noncurrent_version_expiration": [{"days": 7}],
        }
        for prefix, days in ttl.items()
    ] or [
        {
            "id": "expire-old-versions",
            "prefix": "",
            "enabled": True,
            "expiration": [],
            "noncurrent_version_expiration": [{"days": 30}],
        }
    ]
    return Resource(
        BUCKET,
        block,
        {
            "name": Names(it.name).bucket(what),
            "region": it.region,
            "acl": "private",
            "force_destroy": False,
            "versioning": [{"enabled": True}],
            "lifecycle_rule": rules,
        },
    )


def _group(it: Environment, group: str, vpc: Resource) -> Iterator[Resource]:
    bucket = _bucket(it, f"config-{group}_bucket_461B0A78", f"config-{group}", {})
    yield bucket
    reader = Resource(
        "digitalocean_spaces_key", f"config-{group}_reader_B3AA26A7", {"name": bucket.attributes["name"]}
    )
    yield reader
    texts = {"release-json": it.release, "settings-env": it.settings, "secrets-env": f"{SECRET} {it.secret}"}
    for name, text in texts.items():
        yield Resource(
            OBJECT,
            f"config-{group}_{name}_910B9FBF",
            {
                "bucket": Ref(bucket.address, "name"),
                "region": it.region,
                "key": name.replace("-", "."),
                "acl": "private",
                "content": text,
            },
        )
    balancer = [{"protocol": "tcp", "port_range": "443", "source_load_balancer_uids": ["its load balancer"]}]
    yield Resource(
        "digitalocean_firewall",
        f"group-{group}_firewall_5BBBF765",
        {
            "name": f"{it.name}-{group}",
            "tags": [Ref(f"digitalocean_tag.network_tag-group-{group}_628424BE", "name")],
            "inbound_rule": [
                {"protocol": "tcp", "port_range": "22", "source_addresses": list(it.admin_cidrs)},
                *(balancer if group in it.public else []),
            ],
        },
    )
    for number in range(1, it.groups[group] + 1):
        droplet = Resource(
            "digitalocean_droplet",
            f"group-{group}_{number}_BF12197E",
            {
                "name": f"{it.name}-{group}-{number}-{len(it.user_data):06d}",
                "image": "debian-13-x64",
                "region": it.region,
                "size": it.droplet_size,
                "vpc_uuid": Ref(vpc.address),
                "tags": [it.name, Ref(f"digitalocean_tag.network_tag-group-{group}_628424BE", "name")],
                "user_data": f"{it.user_data} {SECRET}",
            },
            create_before_destroy=True,
        )
        yield droplet
        yield Resource(
            "terraform_data",
            f"group-{group}_serving-{number}_A08557AF",
            {"triggers_replace": Ref(droplet.address)},
            create_before_destroy=True,
        )


def _cell(it: Environment, cell: str) -> Iterator[Resource]:
    yield from _cluster(
        it,
        SHARED_CLUSTER,
        "data_postgres-shared",
        name=Names(it.name).resource(f"pg-{cell}"),
        size=it.size,
        nodes=it.nodes,
        shared_stack=False,
    )
    yield from _tenants(it, cell)


def _tenants(it: Environment, cell: str) -> Iterator[Resource]:
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


def _own_cluster(it: Environment, tenant: Tenant, shared_stack: bool) -> Iterator[Resource]:
    construct = f"tenant-plane_{'' if tenant.dedicated == 'kept' else 'retired-'}dedicated"
    block = f"{construct}_cluster_0D0D0D0D"
    yield from _cluster(
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


def _user(block: str, cluster: Ref, tenant: Tenant, generation: int) -> Resource:
    name = tenant_user(tenant.id, generation)
    return Resource(USER, block, {"cluster_id": cluster, "name": name}, user_key(tenant.id, generation))


def _credentials(it: Environment, tenant: Tenant) -> Resource:
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


def _registry(it: Environment, tenant: Tenant) -> Resource:
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


def _moves(tenant: Tenant) -> Iterator[tuple[str, str]]:
    key = f'["{tenant.id}"]'
    active, retired = f"{DATABASE}.{ACTIVE_DATABASE}{key}", f"{DATABASE}.{RETIRED_DATABASE}{key}"
    if tenant.shared:
        yield (active, retired) if tenant.shared == "retired" else (retired, active)
    if tenant.dedicated:
        for kind, name in (
            (CLUSTER, "cluster_0D0D0D0D"),
            (FIREWALL, "firewall_008153E4"),
            ("digitalocean_database_postgresql_config", "config_D47CED41"),
            (DATABASE, "database_0E0E0E0E"),
        ):
            kept = f"{kind}.tenant-plane_dedicated_{name}{key}"
            gone = f"{kind}.tenant-plane_retired-dedicated_{name}{key}"
            yield (kept, gone) if tenant.dedicated == "retired" else (gone, kept)
