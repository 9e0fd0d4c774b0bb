"""Cloud firewalls apply to tags and list what they allow.

A droplet's id changes when the droplet is replaced, and a firewall that names ids stops protecting it. The addresses
of load balancers change, so rules admit them by `source_load_balancer_uids`. Outbound traffic has an allow-list: a
firewall without outbound rules blocks everything, and one that allows everything lets an intruder send data anywhere.
"""

from collections.abc import Iterator
from ipaddress import ip_network

from policies.policy import Section, Severity, each
from policies.rules.droplets import MACHINES, machine
from policies.stack import Resource, Stack
from policies.values import Block, block, blocks, is_set, items

FIREWALL = "digitalocean_firewall"
SSH = 22
ALL_PORTS = (1, 65535)
WIDEST_OUTBOUND = 1024  # ports in one rule to everywhere
OPEN_PREFIX = 8  # shorter is a large part of the Internet: 0.0.0.0/0, ::/0, or their halves
SSH_PREFIX = {4: 16, 6: 32}  # must be longer
OTHER_SOURCES = ("source_load_balancer_uids", "source_tags", "source_droplet_ids", "source_kubernetes_ids")
DATABASE_PORTS = (25060, 25061, 5432, 6379, 3306, 27017, 9200)
"""DigitalOcean's for clusters and pools, and the usual ones of Postgres, Valkey, MySQL, MongoDB, OpenSearch."""


def _inbound(firewall: Resource) -> list[tuple[str, Block]]:
    return [(_name("inbound", rule), rule) for rule in blocks(firewall.body, "inbound_rule")]


def _outbound(firewall: Resource) -> list[tuple[str, Block]]:
    return [(_name("outbound", rule), rule) for rule in blocks(firewall.body, "outbound_rule")]


def _name(direction: str, rule: Block) -> str:
    return f"{direction}_rule {rule.get('protocol')} {rule.get('port_range', '')}".rstrip()


def _addresses(rule: Block, name: str) -> list[str]:
    """Return the addresses, written out; a reference to a resource's own address range is refused as unreadable."""
    value = rule.get(name) or []
    if not isinstance(value, list):
        raise ValueError(f"{name} is an expression; write the addresses out")
    return [str(item) for item in value]


def _is_open(address: str) -> bool:
    return ip_network(address, strict=False).prefixlen < OPEN_PREFIX


def _ports(rule: Block) -> tuple[int, int]:
    """Return the first and the last port; absent, `all` and `0` mean every port."""
    text = str(rule.get("port_range") or "all")
    if text in ("all", "0"):
        return ALL_PORTS
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _is_open_at(rule: Block, *ports: int) -> bool:
    if rule.get("protocol") == "icmp" or not any(map(_is_open, _addresses(rule, "source_addresses"))):
        return False
    first, last = _ports(rule)
    return any(first <= port <= last for port in ports)


@each(
    FIREWALL, 7, Severity.HIGH, "Firewalls admit named sources only",
    "Admit by source_load_balancer_uids or source_tags: addresses of load balancers and ids of droplets change.",
    section=Section.NETWORK,
)  # fmt: skip
def named_sources(firewall: Resource) -> Iterator[str]:
    """Nothing is open to everywhere, and each rule says for whom it is."""
    for where, rule in _inbound(firewall):
        yield from (f"{where}: {problem}" for problem in _of_sources(rule))


def _of_sources(rule: Block) -> Iterator[str]:
    addresses = _addresses(rule, "source_addresses")
    if any(_is_open(address) for address in addresses):
        yield "is open to everywhere"
    if not addresses and not any(rule.get(source) for source in OTHER_SOURCES):
        yield "names no source"
    if rule.get("protocol") not in ("tcp", "udp", "icmp"):
        yield "protocol must be tcp, udp or icmp"
    if rule.get("protocol") != "tcp" or _ports(rule) == (SSH, SSH):
        return
    if addresses or rule.get("source_droplet_ids") or rule.get("source_kubernetes_ids"):
        yield "admit by source_load_balancer_uids or source_tags only"


@each(
    FIREWALL, 37, Severity.CRITICAL, "SSH is for administrators' addresses",
    "Give port 22 a rule of its own, with source_addresses narrower than /16 (IPv6: /32).",
    section=Section.NETWORK,
)  # fmt: skip
def ssh(firewall: Resource) -> Iterator[str]:
    """No world-open SSH, and none hidden in a range."""
    for where, rule in _inbound(firewall):
        if rule.get("protocol") == "tcp":
            yield from (f"{where}: {problem}" for problem in _of_ssh(rule))


def _of_ssh(rule: Block) -> Iterator[str]:
    first, last = _ports(rule)
    if (first, last) != (SSH, SSH):
        if first <= SSH <= last:
            yield "holds port 22; give SSH a rule of its own"
        return
    addresses = [ip_network(address, strict=False) for address in _addresses(rule, "source_addresses")]
    if not addresses or any(rule.get(source) for source in OTHER_SOURCES):
        yield "SSH is for source_addresses only"
    if any(address.prefixlen <= SSH_PREFIX[address.version] for address in addresses):
        yield "SSH source_addresses must be narrower than /16 (IPv6: /32)"


@each(
    FIREWALL, 38, Severity.CRITICAL, "No database's port is open to everywhere",
    "Admit a database's clients by source_tags.",
    section=Section.NETWORK,
)  # fmt: skip
def databases(firewall: Resource) -> Iterator[str]:
    """Databases on droplets, and what forwards to one."""
    for where, rule in _inbound(firewall):
        if _is_open_at(rule, *DATABASE_PORTS):
            yield f"{where}: a database's port is open to everywhere"


@each(
    FIREWALL, 39, Severity.HIGH, "Outbound traffic is listed",
    "List what may go out, port by port: without a rule nothing does, and with a rule for all ports everything does.",
    section=Section.NETWORK,
)  # fmt: skip
def outbound(firewall: Resource) -> Iterator[str]:
    """An intruder cannot send data anywhere."""
    rules = _outbound(firewall)
    if not rules:
        yield "has no outbound_rule: nothing can be installed or fetched"
    for where, rule in rules:
        yield from (f"{where}: {problem}" for problem in _of_outbound(rule))


def _of_outbound(rule: Block) -> Iterator[str]:
    addresses = _addresses(rule, "destination_addresses")
    if rule.get("protocol") not in ("tcp", "udp", "icmp"):
        yield "protocol must be tcp, udp or icmp"
    if rule.get("protocol") in ("tcp", "udp") and any(_is_open(address) for address in addresses):
        first, last = _ports(rule)
        if last - first >= WIDEST_OUTBOUND:
            yield "allows nearly all ports to everywhere; list the ports"


@each(
    FIREWALL, 40, Severity.HIGH, "Firewalls are attached by tag to droplets that exist",
    "Set tags, one of which some droplet or pool has, and remove droplet_ids.",
    section=Section.NETWORK,
)  # fmt: skip
def attached(firewall: Resource, stack: Stack) -> Iterator[str]:
    """It protects something, also after a replacement."""
    if firewall["droplet_ids"]:
        yield "names droplet_ids; apply it by tags"
    tags = {stack.name_of(tag) for tag in items(firewall["tags"]) if is_set(tag)}
    if not tags:
        yield "has no tags: it protects no droplet"
    carried = {
        stack.name_of(tag)
        for one in stack.of(*MACHINES.split())
        if firewall.is_there_with(one) and not one.is_absent
        for tag in items(machine(one).get("tags"))
    }
    if tags and not tags & carried:
        yield "no droplet of this stack has one of its tags, or it may not exist where the droplet does"


@each(
    "digitalocean_loadbalancer", 41, Severity.HIGH, "Droplets take requests from their load balancer, at its port",
    "Add an inbound_rule with source_load_balancer_uids for each target_port to a firewall on the droplet_tag.",
    section=Section.NETWORK,
)  # fmt: skip
def load_balancer_is_source(balancer: Resource, stack: Stack) -> Iterator[str]:
    """What a load balancer sends arrives, and it alone may send it."""
    tag = stack.name_of(balancer["droplet_tag"])
    rules = [
        rule
        for firewall in stack.of(FIREWALL)
        if firewall.is_there_with(balancer)
        if tag in {stack.name_of(one) for one in items(firewall["tags"])}
        for _, rule in _inbound(firewall)
        if balancer
        in [found for uid in items(rule.get("source_load_balancer_uids")) for found in stack.follow(uid)]
    ]
    ports = {rule.get("target_port") for rule in blocks(balancer.body, "forwarding_rule")}
    for port in sorted(
        int(port) for port in {*ports, block(balancer.body, "healthcheck").get("port")} if port
    ):
        if not any(first <= port <= last for first, last in map(_ports, rules)):
            yield f"no firewall on tag {tag} admits it at port {port}"


@each(
    FIREWALL, 42, Severity.CRITICAL, "No port of a service is open to everywhere",
    "Let a load balancer be the source; it ends TLS, redirects HTTP and finds sick droplets.",
    section=Section.NETWORK,
)  # fmt: skip
def services(firewall: Resource) -> Iterator[str]:
    """Nobody goes around the load balancer."""
    for where, rule in _inbound(firewall):
        if rule.get("protocol") == "icmp" or not any(map(_is_open, _addresses(rule, "source_addresses"))):
            continue
        first, last = _ports(rule)
        if (first, last) != (SSH, SSH):
            yield f"{where}: a service's port is open to everywhere"
