"""The resources of an environment's own stack, at the addresses that the stacks give them (docs/plan-guard.md)."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.plans.resources import SECRET, Ref, Resource
from model import addresses
from model.addresses import Address
from model.naming import Names

if TYPE_CHECKING:
    from lab.plans.environment import Environment

SHARED_CLUSTER = addresses.postgres("shared")
VOLUME = Address("digitalocean_volume", "drill/disk")
"""A kind that the stacks do not have and the guard does not list."""


def environment_resources(it: "Environment") -> Iterator[Resource]:
    """Yield what an environment has besides its tenants."""
    names = Names(it.name)
    project = Resource.at(addresses.PROJECT, {"name": names.resource("project")})
    vpc = Resource.at(
        addresses.VPC,
        {"name": names.resource("vpc"), "region": it.region, "ip_range": "10.60.0.0/20"},
    )
    yield from (project, vpc)
    for group in it.groups:
        yield Resource.at(addresses.group_tag(group), {"name": names.group_tag(group)})
    yield from _edge(it, vpc, project)
    yield from cluster(
        it,
        (SHARED_CLUSTER, addresses.postgres_firewall("shared"), addresses.postgres_config("shared")),
        name=names.resource("pg-shared"),
        size=it.size,
        nodes=it.nodes,
    )
    yield from _valkey(it)
    yield _bucket(it, addresses.EXPORTS_BUCKET, "exports", it.ttl)
    yield _bucket(it, addresses.DIRECTORY_BUCKET, "tenant-registry", {})
    yield _bucket(it, addresses.CREDENTIALS_BUCKET, "tenant-credentials", {})
    shared = Ref.to(SHARED_CLUSTER)
    yield Resource.at(addresses.CONTROL_PLANE_DATABASE, {"cluster_id": shared, "name": "control_plane"})
    yield Resource.at(addresses.CONTROL_PLANE_USER, {"cluster_id": shared, "name": "control_plane"})
    for group in it.groups:
        yield from _group(it, group, vpc)
    if it.snapshot:
        yield Resource.at(VOLUME, {"name": it.snapshot, "region": it.region, "size": 100})


def _edge(it: "Environment", vpc: Resource, project: Resource) -> Iterator[Resource]:
    zone = Resource.at(addresses.DOMAIN, {"name": f"{it.name}.presence360.app"})
    names = [f"{it.name}.presence360.app", f"*.{it.name}.presence360.app", *it.alternative_names]
    certificate = Resource.at(
        addresses.CERTIFICATE,
        {"name": Names(it.name).certificate(names), "type": "lets_encrypt", "domains": names},
        create_before_destroy=True,
    )
    yield from (zone, certificate)
    for group in it.public:
        balancer = Resource.at(
            addresses.load_balancer(group),
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
            yield Resource.at(
                Address("digitalocean_record", f"edge/a-name-{label.replace('*', 'wildcard')}"),
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
    places: tuple[Address, Address, Address],
    *,
    name: str,
    size: str,
    nodes: int,
    key: str | None = None,
    shared_stack: bool = True,
) -> Iterator[Resource]:
    """Yield a Postgres cluster with its firewall and settings, each at its place."""
    own, firewall, config = places
    cluster = Resource.at(
        own,
        {
            "name": name,
            "engine": "pg",
            "version": it.version,
            "region": it.region,
            "size": size,
            "node_count": nodes,
            # A further cell finds network and project by name.
            "private_network_uuid": Ref.to(addresses.VPC) if shared_stack else "found vpc",
            "project_id": Ref.to(addresses.PROJECT) if shared_stack else "found project",
            "backup_restore": [],
        },
        key,
    )
    rules = [{"type": "tag", "value": Names(it.name).group_tag(group)} for group in it.groups]
    yield cluster
    yield Resource.at(firewall, {"cluster_id": Ref(cluster.address), "rule": rules}, key)
    yield Resource.at(config, {"cluster_id": Ref(cluster.address), "timezone": "UTC"}, key)


def _valkey(it: "Environment") -> Iterator[Resource]:
    cluster = Resource.at(
        addresses.VALKEY,
        {
            "name": f"{it.name}-valkey",
            "engine": "valkey",
            "version": "8",
            "region": it.region,
            "size": "db-s-1vcpu-1gb",
            "node_count": it.valkey_nodes,
            "eviction_policy": "noeviction",
            "private_network_uuid": Ref.to(addresses.VPC),
            "project_id": Ref.to(addresses.PROJECT),
        },
    )
    rules = [{"type": "tag", "value": Names(it.name).group_tag(group)} for group in it.groups]
    yield cluster
    yield Resource.at(addresses.VALKEY_CONFIG, {"cluster_id": Ref(cluster.address), "persistence": "rdb"})
    yield Resource.at(addresses.VALKEY_FIREWALL, {"cluster_id": Ref(cluster.address), "rule": rules})


def _bucket(it: "Environment", address: Address, what: str, ttl: dict[str, int]) -> Resource:
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
    return Resource.at(
        address,
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
    bucket = _bucket(it, addresses.config_bucket(group), f"config-{group}", {})
    yield bucket
    reader = Resource.at(
        Address("digitalocean_spaces_key", f"config-{group}/reader"), {"name": bucket.attributes["name"]}
    )
    yield reader
    release = json.dumps({"images": {"worker": f"registry.example/church/worker:{it.release}"}})
    texts = {
        "release.json": release,
        "settings.env": it.settings,
        "secrets.worker.env": f"{SECRET} {it.secret}",
    }
    for name, text in texts.items():
        yield Resource.at(
            addresses.config_object(group, name),
            {
                "bucket": Ref(bucket.address, "name"),
                "region": it.region,
                "key": name,
                "acl": "private",
                "content": text,
            },
        )
    balancer = [{"protocol": "tcp", "port_range": "443", "source_load_balancer_uids": ["its load balancer"]}]
    yield Resource.at(
        addresses.firewall(group),
        {
            "name": f"{it.name}-{group}",
            "tags": [Ref.to(addresses.group_tag(group), "name")],
            "inbound_rule": [
                {"protocol": "tcp", "port_range": "22", "source_addresses": list(it.admin_cidrs)},
                *(balancer if group in it.public else []),
            ],
        },
    )
    serving: list[Ref] = []
    for number in range(1, it.groups[group] + 1):
        droplet = Resource.at(
            addresses.droplet(group, number),
            {
                "name": f"{it.name}-{group}-{number}-{len(it.user_data + it.droplet_size):06d}",
                "image": "debian-13-x64",
                "region": it.region,
                "size": it.droplet_size,
                "vpc_uuid": Ref(vpc.address),
                "tags": [it.name, Ref.to(addresses.group_tag(group), "name")],
                # With the size, so that a change of it makes successors first (constructs_lib/droplet_group.py).
                "user_data": f"{it.user_data} {it.droplet_size} {SECRET}",
            },
            create_before_destroy=True,
        )
        yield droplet
        wait = Resource.at(
            Address("terraform_data", f"group-{group}/serving-{number}"),
            {"triggers_replace": Ref(droplet.address)},
            create_before_destroy=True,
        )
        yield wait
        serving.append(Ref(wait.address))
    yield Resource.at(
        Address("terraform_data", f"group-{group}/serving"), {"input": serving}, create_before_destroy=True
    )
