"""Cloud firewalls apply to tags and list what they allow.

A droplet's id changes when the droplet is replaced, and a firewall that names ids stops protecting it. The addresses
of load balancers change, so rules admit them by `source_load_balancer_uids`. SSH is for administrators' own addresses.
Outbound traffic has an allow-list: a firewall without outbound rules blocks everything (docs/digitalocean.md), and one
that allows everything lets an intruder send data anywhere.
"""

from collections.abc import Iterator
from ipaddress import ip_network

from policies.reading import Block, ResourcePolicy, blocks, is_set, items

SSH = 22
ALL_PORTS = (1, 65535)
WIDEST_OUTBOUND = 1024  # ports in one rule to everywhere
OPEN_PREFIX = 8  # shorter is a large part of the Internet: 0.0.0.0/0, ::/0, or their halves
SSH_PREFIX = {4: 16, 6: 32}  # must be longer
OTHER_SOURCES = ("source_load_balancer_uids", "source_tags", "source_droplet_ids", "source_kubernetes_ids")


def problems(firewall: Block) -> Iterator[str]:
    """What is wrong with one cloud firewall."""
    if firewall.get("droplet_ids"):
        yield "names droplet_ids; apply it by tags"
    if not any(is_set(tag) for tag in items(firewall.get("tags"))):
        yield "has no tags: it protects no droplet"
    for rule in blocks(firewall, "inbound_rule"):
        yield from (f"{_name('inbound', rule)}: {problem}" for problem in _of_inbound(rule))
    outbound = blocks(firewall, "outbound_rule")
    if not outbound:
        yield "has no outbound_rule: nothing can be installed or fetched"
    for rule in outbound:
        yield from (f"{_name('outbound', rule)}: {problem}" for problem in _of_outbound(rule))


def _of_inbound(rule: Block) -> Iterator[str]:
    addresses = _addresses(rule, "source_addresses")
    if any(_is_open(address) for address in addresses):
        yield "is open to everywhere"
    if not addresses and not any(rule.get(source) for source in OTHER_SOURCES):
        yield "names no source"
    if rule.get("protocol") not in ("tcp", "udp", "icmp"):
        yield "protocol must be tcp, udp or icmp"
    if rule.get("protocol") != "tcp":
        return
    first, last = _ports(rule)
    if (first, last) == (SSH, SSH):
        if not addresses or any(rule.get(source) for source in OTHER_SOURCES):
            yield "SSH is for source_addresses only"
        if any(ip_network(a, strict=False).prefixlen <= SSH_PREFIX[ip_network(a).version] for a in addresses):
            yield "SSH source_addresses must be narrower than /16 (IPv6: /32)"
        return
    if first <= SSH <= last:
        yield "holds port 22; give SSH a rule of its own"
    if addresses or rule.get("source_droplet_ids") or rule.get("source_kubernetes_ids"):
        yield "admit by source_load_balancer_uids or source_tags only"


def _of_outbound(rule: Block) -> Iterator[str]:
    addresses = _addresses(rule, "destination_addresses")
    if rule.get("protocol") not in ("tcp", "udp", "icmp"):
        yield "protocol must be tcp, udp or icmp"
    if rule.get("protocol") in ("tcp", "udp") and any(_is_open(address) for address in addresses):
        first, last = _ports(rule)
        if last - first >= WIDEST_OUTBOUND:
            yield "allows nearly all ports to everywhere; list the ports"


def _name(direction: str, rule: Block) -> str:
    return f"{direction}_rule {rule.get('protocol')} {rule.get('port_range', '')}".rstrip()


def _addresses(rule: Block, name: str) -> list[str]:
    """The addresses, written out; a reference to a resource's own address range is refused as unreadable."""
    value = rule.get(name) or []
    if not isinstance(value, list):
        raise ValueError(f"{name} is an expression; write the addresses out")
    return [str(item) for item in value]


def _is_open(address: str) -> bool:
    return ip_network(address, strict=False).prefixlen < OPEN_PREFIX


def _ports(rule: Block) -> tuple[int, int]:
    """First and last port; absent, `all` and `0` mean every port."""
    text = str(rule.get("port_range", "all"))
    if text in ("all", "0"):
        return ALL_PORTS
    first, _, last = text.partition("-")
    return int(first), int(last or first)


check = ResourcePolicy(
    "CKV_P360_7",
    "Cloud firewalls are applied by tags, admit only named sources, and list what may go out",
    ["digitalocean_firewall"],
    problems,
)
