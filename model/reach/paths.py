"""Which paths follow from rules: a packet needs a rule at each end that has one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from model.reach.facts import (
    EVERY_PORT,
    Balancer,
    Direction,
    Droplets,
    Facts,
    Firewall,
    Peer,
    PeerKind,
    Ports,
    Rule,
)


class NodeKind(StrEnum):
    """What is at an end of a path."""

    INTERNET = "internet"
    ADDRESSES = "addresses"
    LOAD_BALANCER = "load balancer"
    DROPLETS = "droplets"
    CLUSTER = "cluster"


@dataclass(frozen=True, order=True)
class Node:
    """An end of a path."""

    kind: NodeKind
    name: str = ""

    def __str__(self) -> str:
        if self.kind is NodeKind.INTERNET:
            return "the internet"
        if self.kind is NodeKind.ADDRESSES:
            return self.name
        return f"droplets of {self.name}" if self.kind is NodeKind.DROPLETS else f"{self.kind} {self.name}"


INTERNET = Node(NodeKind.INTERNET)


@dataclass(frozen=True, order=True)
class Path:
    """Somebody can reach somebody.

    Attributes:
        source: who begins.
        target: who answers.
        protocol: the transport.
        ports: of the target.
        rule: what allows it.
        why: the reason, where the rule has one.
    """

    source: Node
    target: Node
    protocol: str
    ports: Ports
    rule: str
    why: str = ""

    @property
    def port(self) -> str:
        """The port and the transport: 443/tcp."""
        return self.protocol if self.protocol == "icmp" else f"{self.ports}/{self.protocol}"

    def __str__(self) -> str:
        return f"{self.source} can reach {self.target} on {self.port}"


def paths(facts: Facts) -> tuple[Path, ...]:
    """Return every path, sorted, each of them once."""
    return tuple(sorted(set(_all(facts))))


def _all(facts: Facts) -> Iterator[Path]:
    for balancer in facts.balancers:
        yield from _through(balancer, facts)
    for droplets in facts.droplets:
        yield from _from_outside(droplets, facts)
        yield from _outwards(droplets, facts)
        for other in facts.droplets:
            yield from _between(droplets, other, facts)
    yield from _to_clusters(facts)


def _through(balancer: Balancer, facts: Facts) -> Iterator[Path]:
    node = Node(NodeKind.LOAD_BALANCER, balancer.name)
    if balancer.public:
        for ports in balancer.entries:
            yield Path(INTERNET, node, "tcp", ports, f"load balancer {balancer.name}")
    for droplets in facts.droplets:
        if balancer.backends & droplets.tags:
            for firewall, rule in _rules(facts.around(droplets), Direction.IN):
                if rule.peer == Peer(PeerKind.LOAD_BALANCER, balancer.name) or rule.peer.everywhere:
                    for ports in _meeting(rule.ports, balancer.targets):
                        yield _path(node, droplets, rule, ports, firewall)


def _from_outside(droplets: Droplets, facts: Facts) -> Iterator[Path]:
    firewalls = facts.around(droplets)
    if not firewalls:
        for protocol in ("tcp", "udp"):
            yield Path(INTERNET, _node(droplets), protocol, EVERY_PORT, "no cloud firewall is around them")
    for firewall, rule in _rules(firewalls, Direction.IN):
        if rule.peer.kind in {PeerKind.ADDRESS, PeerKind.OTHER}:
            yield _path(_outside(rule.peer), droplets, rule, rule.ports, firewall)


def _outwards(droplets: Droplets, facts: Facts) -> Iterator[Path]:
    firewalls = facts.around(droplets)
    if not firewalls:
        for protocol in ("tcp", "udp"):
            yield Path(_node(droplets), INTERNET, protocol, EVERY_PORT, "no cloud firewall is around them")
    for firewall, rule in _rules(firewalls, Direction.OUT):
        # Inside the private network somebody has to answer: `_between` and `_to_clusters` say who.
        inside = rule.peer.kind is PeerKind.TAG or rule.peer.value == facts.vpc_range
        if not inside:
            yield Path(
                _node(droplets), _outside(rule.peer), rule.protocol, rule.ports, *_said(firewall, rule)
            )


def _between(source: Droplets, target: Droplets, facts: Facts) -> Iterator[Path]:
    """Yield what droplets reach of other droplets, or of others of their own group."""
    around = facts.around(source)
    for firewall, rule in _rules(facts.around(target), Direction.IN):
        named = rule.peer.kind is PeerKind.TAG and rule.peer.value in source.tags
        if not (named or rule.peer.holds(facts.vpc_range)):
            continue
        if not around:
            yield _path(_node(source), target, rule, rule.ports, firewall)
        for _, leaving in _rules(around, Direction.OUT):
            ports = leaving.ports.meet(rule.ports)
            if ports and leaving.protocol == rule.protocol and _reaches(leaving.peer, target.tags, facts):
                yield _path(_node(source), target, rule, ports, firewall)


def _to_clusters(facts: Facts) -> Iterator[Path]:
    for cluster in facts.clusters:
        node, port = Node(NodeKind.CLUSTER, cluster.name), Ports.one(cluster.store)
        rule = f"database firewall of {cluster.name}"
        if cluster.sources is None:
            yield Path(INTERNET, node, "tcp", port, "the cluster has no firewall")
            continue
        for peer in cluster.sources:
            if peer.kind is not PeerKind.TAG:
                yield Path(_outside(peer), node, "tcp", port, rule)
        admitted = {peer.value for peer in cluster.sources if peer.kind is PeerKind.TAG}
        for droplets in facts.droplets:
            around = facts.around(droplets)
            leaving = [
                one
                for _, one in _rules(around, Direction.OUT)
                if one.protocol == "tcp" and one.ports.meet(port) and one.peer.holds(facts.vpc_range)
            ]
            if admitted & droplets.tags and (leaving or not around):
                why = next((one.why for one in sorted(leaving) if one.why), "")
                yield Path(_node(droplets), node, "tcp", port, rule, why)


def _rules(firewalls: Iterable[Firewall], direction: Direction) -> Iterator[tuple[Firewall, Rule]]:
    for firewall in firewalls:
        yield from ((firewall, rule) for rule in firewall.rules if rule.direction is direction)


def _reaches(peer: Peer, tags: frozenset[str], facts: Facts) -> bool:
    """Tell whether an outbound rule lets through what goes to droplets with these tags."""
    return peer.value in tags if peer.kind is PeerKind.TAG else peer.holds(facts.vpc_range)


def _meeting(ports: Ports, targets: Iterable[Ports]) -> Iterator[Ports]:
    yield from (met for target in targets if (met := ports.meet(target)))


def _node(droplets: Droplets) -> Node:
    return Node(NodeKind.DROPLETS, droplets.name)


def _outside(peer: Peer) -> Node:
    return INTERNET if peer.everywhere else Node(NodeKind.ADDRESSES, str(peer))


def _path(source: Node, target: Droplets, rule: Rule, ports: Ports, firewall: Firewall) -> Path:
    return Path(source, _node(target), rule.protocol, ports, *_said(firewall, rule))


def _said(firewall: Firewall, rule: Rule) -> tuple[str, str]:
    return f"cloud firewall {firewall.name}, {rule.direction}bound", rule.why
