"""The resources of an environment's own stack, at the addresses that the stacks give them (docs/plan-guard.md)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.plans.resources import SECRET, Ref, Resource
from model.naming import Names
from ops.guard.kinds import BUCKET, CLUSTER, DATABASE, DATABASE_FIREWALL, OBJECT, USER

if TYPE_CHECKING:
    from lab.plans.environment import Environment

SHARED_CLUSTER = "data_postgres-shared_cluster_5595FC18"


def environment_resources(it: "Environment") -> Iterator[Resource]:
    """Yield what an environment has besides its tenants."""
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
    yield from cluster(
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


def _edge(it: "Environment", vpc: Resource, project: Resource) -> Iterator[Resource]:
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


def cluster(
    it: "Environment",
    block: str,
    construct: str,
    *,
    name: str,
    size: str,
    nodes: int,
    key: str | None = None,
    shared_stack: bool = True,
) -> Iterator[Resource]:
    """Yield a Postgres cluster with its firewall and settings."""
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
        DATABASE_FIREWALL,
        f"{construct}_firewall_008153E4",
        {"cluster_id": Ref(cluster.address), "rule": rules},
        key,
    )
    yield Resource(
        "digitalocean_database_postgresql_config",
        f"{construct}_config_D47CED41",
        {"cluster_id": Ref(cluster.address), "timezone": "UTC"},
        key,
    )


def _valkey(it: "Environment") -> Iterator[Resource]:
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
        DATABASE_FIREWALL,
        "data_valkey_firewall_99D733DC",
        {"cluster_id": Ref(cluster.address), "rule": rules},
    )


def _bucket(it: "Environment", block: str, what: str, ttl: dict[str, int]) -> Resource:
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


def _group(it: "Environment", group: str, vpc: Resource) -> Iterator[Resource]:
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
