"""The rules that Terraform JSON holds: cloud firewalls, database firewalls, load balancers, tags."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from typing import TypeVar

from model.access import EVERYWHERE
from model.addresses import CLUSTER, CLUSTER_FIREWALL, DROPLET, FIREWALL, LOAD_BALANCER, POOL
from model.reach.facts import (
    EVERY_PORT,
    Balancer,
    Cluster,
    Direction,
    Droplets,
    Facts,
    Firewall,
    Peer,
    PeerKind,
    Ports,
    Rule,
)
from model.reach.planned import REDIRECT_PORT
from model.services import Store
from ops.reach.stack import Body, Resource, Stack, Stacks, UnreadableError, blocks, check_settled
from policies.presence360.unseen import another_way

VPC = "digitalocean_vpc"

READ = frozenset({CLUSTER, CLUSTER_FIREWALL, DROPLET, FIREWALL, LOAD_BALANCER, POOL, VPC})
"""What is read for the rules in it."""

NO_PATH = frozenset(
    {
        "terraform_data",
        *(
            f"digitalocean_{kind}"
            for kind in (
                # Names and certificates: they say where to, and let nothing through.
                "certificate",
                "domain",
                "record",
                # Inside a cluster, behind its firewall.
                "database_db",
                # The other way: a cluster sends its logs to where the file says (`database_logs`).
                "database_logsink_rsyslog",
                "database_postgresql_config",
                "database_user",
                "database_valkey_config",
                # Asked over HTTPS with a key. Spaces has no firewall (docs/reach.md, "What it does not show").
                "spaces_bucket",
                "spaces_bucket_cors_configuration",
                "spaces_bucket_object",
                "spaces_key",
                # Asks from outside what everybody may ask.
                "monitor_alert",
                "uptime_alert",
                "uptime_check",
                # Who logs in, where things are listed, what a droplet's disk is.
                "project",
                "project_resources",
                "ssh_key",
                "tag",
                "volume",
                "volume_attachment",
            )
        ),
    }
)
"""Kinds of resources that open no path. A kind that is neither here nor in READ may open one."""

_ENGINES = {"pg": Store.POSTGRES, "valkey": Store.VALKEY}
_SOURCES = {
    "source_addresses": PeerKind.ADDRESS,
    "source_tags": PeerKind.TAG,
    "source_load_balancer_uids": PeerKind.LOAD_BALANCER,
    "source_droplet_ids": PeerKind.OTHER,
    "source_kubernetes_ids": PeerKind.OTHER,
}
_DESTINATIONS = {
    "destination_addresses": PeerKind.ADDRESS,
    "destination_tags": PeerKind.TAG,
    "destination_load_balancer_uids": PeerKind.LOAD_BALANCER,
    "destination_droplet_ids": PeerKind.OTHER,
    "destination_kubernetes_ids": PeerKind.OTHER,
}


T = TypeVar("T")


def read(stacks: Stacks, environment: str) -> tuple[Facts, list[str]]:
    """Return the rules of an environment's stacks, and what could not be read, which proves nothing.

    Args:
        stacks: all of the environment's.
        environment: its name, with which its tags begin.
    """
    reader = _Reader(stacks, environment)
    trusted: dict[str, frozenset[Peer]] = {}
    for cluster, peers in reader.each(CLUSTER_FIREWALL, _database_firewall):
        trusted[cluster] = trusted.get(cluster, frozenset()) | peers
    droplets = [*reader.each(DROPLET, reader.droplets), *reader.each(POOL, reader.pool)]
    ranges = sorted(reader.each(VPC, lambda one, stack: stack.text(one.body.get("ip_range"))))
    if len(ranges) != 1:
        reader.unreadable.append(
            f"{len(ranges)} private networks: an environment has one\n"
            "    Give all stacks of the environment, and none of another."
        )
    facts = Facts(
        vpc_range=ranges[0] if ranges else EVERYWHERE[0],
        firewalls=tuple(reader.each(FIREWALL, _firewall)),
        droplets=tuple(dict.fromkeys(droplets)),
        clusters=tuple(reader.each(CLUSTER, lambda one, stack: _cluster(one, stack, trusted))),
        balancers=tuple(reader.each(LOAD_BALANCER, _balancer)),
    )
    return facts, reader.unreadable


class _Reader:
    """Reads one environment, and goes on where something cannot be read."""

    def __init__(self, stacks: Stacks, environment: str) -> None:
        self._stacks = stacks
        self._group_tags = f"{environment}-group-"
        self.unreadable = [
            f"{kind}: not known whether it lets anything through\n"
            "    Add it to READ or to NO_PATH in ops/reach/read.py."
            for kind in sorted(stacks.kinds - READ - NO_PATH)
        ]

    def each(self, kind: str, read_one: Callable[[Resource, Stack], T]) -> Iterator[T]:
        """Yield what is read of each resource of a kind."""
        for resource, stack in self._stacks.of(kind):
            try:
                check_settled(resource.body)
                yield read_one(resource, stack)
            except (UnreadableError, ValueError) as error:
                self.unreadable.append(
                    f"{resource}: {error}\n    What cannot be read proves nothing: write out what it allows."
                )

    def droplets(self, resource: Resource, stack: Stack) -> Droplets:
        """Read a droplet; those of a group are alike."""
        tags = frozenset(stack.texts(resource.body.get("tags")))
        groups = sorted(tag for tag in tags if tag.startswith(self._group_tags))
        name = groups[0].removeprefix(self._group_tags) if groups else str(resource)
        return Droplets(name, tags, stack.text(_vpc(resource, stack)))

    def pool(self, resource: Resource, stack: Stack) -> Droplets:
        """Read the droplets of a pool."""
        (template,) = blocks(resource.body, "droplet_template")
        return self.droplets(Resource(resource.kind, resource.address, template), stack)


def _vpc(resource: Resource, stack: Stack) -> object:
    """Return the name of the private network that a resource says it is in."""
    value = resource.body.get("vpc_uuid", resource.body.get("private_network_uuid"))
    if value is None:
        return "of the region, which every droplet of the account is in"
    found, _ = stack.follow(value)
    return found.body.get("name")


def _firewall(resource: Resource, stack: Stack) -> Firewall:
    body = resource.body
    if body.get("droplet_ids"):
        raise UnreadableError("it names droplet_ids: firewalls are applied by tags")
    rules = [
        *(_rules(block, Direction.IN, _SOURCES, stack) for block in blocks(body, "inbound_rule")),
        *(_rules(block, Direction.OUT, _DESTINATIONS, stack) for block in blocks(body, "outbound_rule")),
    ]
    return Firewall(
        stack.text(body.get("name")), frozenset(stack.texts(body.get("tags"))), frozenset().union(*rules)
    )


def _rules(block: Body, direction: Direction, peers: Mapping[str, PeerKind], stack: Stack) -> frozenset[Rule]:
    protocol = stack.text(block.get("protocol"))
    ports = EVERY_PORT if protocol == "icmp" else _ports(block.get("port_range"), stack)
    found = frozenset(
        Rule(direction, protocol, ports, peer)
        for name, kind in peers.items()
        for peer in _peers(block.get(name), kind, stack)
    )
    if not found:
        raise UnreadableError(f"a rule for {protocol} names nobody: say for whom it is")
    return found


def _peers(value: object, kind: PeerKind, stack: Stack) -> Iterator[Peer]:
    if kind is PeerKind.LOAD_BALANCER and isinstance(value, list):
        for reference in value:
            found, _ = stack.follow(reference)
            yield Peer(kind, stack.text(found.body.get("name")))
        return
    yield from (_peer(kind, text) for text in stack.texts(value))


def _peer(kind: PeerKind, text: str) -> Peer:
    if kind is PeerKind.ADDRESS:
        ip_network(text, strict=False)  # a ValueError if it is none
    return Peer(kind, text)


def _ports(value: object, stack: Stack) -> Ports:
    """Read a range of ports; a reference to a cluster's port is the port of its data service."""
    if isinstance(value, str) and "${" in value:
        cluster, attribute = stack.follow(value)
        if cluster.kind != CLUSTER or attribute != "port":
            raise UnreadableError(f"{value} is not the port of a cluster")
        return Ports.one(_store(cluster))
    return Ports.read("" if value is None else str(value))


def _store(cluster: Resource) -> Store:
    engine = cluster.body.get("engine")
    if engine not in _ENGINES:
        raise UnreadableError(f"the engine {engine!r} is not one of {', '.join(_ENGINES)}")
    return _ENGINES[engine]


def _database_firewall(resource: Resource, stack: Stack) -> tuple[str, frozenset[Peer]]:
    cluster, _ = stack.follow(resource.body.get("cluster_id"))
    peers = set()
    for rule in blocks(resource.body, "rule"):
        kind = {"tag": PeerKind.TAG, "ip_addr": PeerKind.ADDRESS}.get(str(rule.get("type")), PeerKind.OTHER)
        peers.add(_peer(kind, stack.text(rule.get("value"))))
    return stack.text(cluster.body.get("name")), frozenset(peers)


def _cluster(resource: Resource, stack: Stack, trusted: Mapping[str, frozenset[Peer]]) -> Cluster:
    name = stack.text(resource.body.get("name"))
    # A firewall without a rule lets everybody in (docs/digitalocean.md).
    return Cluster(name, _store(resource), trusted.get(name) or None, stack.text(_vpc(resource, stack)))


def _check_kind(body: Body, stack: Stack) -> None:
    """Refuse load balancers whose packets take another way than the model knows."""
    for problem in another_way(body, blocks(body, "forwarding_rule"), stack.text):
        raise UnreadableError(problem)


def _balancer(resource: Resource, stack: Stack) -> Balancer:
    body = resource.body
    _check_kind(body, stack)
    forwarding = blocks(body, "forwarding_rule")
    health = blocks(body, "healthcheck")
    entries = {Ports.read(stack.text(rule.get("entry_port"))) for rule in forwarding}
    if body.get("redirect_http_to_https") is True:
        entries.add(Ports.one(REDIRECT_PORT))
    targets = {Ports.read(stack.text(rule.get("target_port"))) for rule in forwarding}
    targets |= {Ports.read(stack.text(check.get("port"))) for check in health}
    if body.get("droplet_ids"):
        raise UnreadableError("it names droplet_ids: load balancers find droplets by tag")
    return Balancer(
        name=stack.text(body.get("name")),
        public=stack.text(body.get("network", "EXTERNAL")) != "INTERNAL",
        entries=frozenset(entries),
        targets=frozenset(targets),
        backends=frozenset(stack.texts([body["droplet_tag"]] if body.get("droplet_tag") else [])),
        vpc=stack.text(_vpc(resource, stack)),
    )
