"""Paths as a drawing has them: fewer lines that say the same."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from model.plan import EnvironmentPlan
from model.reach.facts import Ports
from model.reach.paths import Node, NodeKind, Path, paths
from model.reach.planned import facts_of

ALL = Node(NodeKind.DROPLETS, "*")
"""The box around all droplets: an end of what every group has alike."""
OUTSIDE = Node(NodeKind.INTERNET, "outside")
"""The internet where droplets reach it, apart from where requests come from."""

_MOST_NAMES = 3
"""Names of clusters that are written out; more are counted."""


@dataclass(frozen=True)
class Graph:
    """What is drawn.

    Attributes:
        title: of the whole.
        network: the private network, in words.
        labels: what is written into each node, as lines.
        edges: what is written beside each arrow, as lines, by where it comes from and goes to.
    """

    title: str
    network: str
    labels: Mapping[Node, tuple[str, ...]]
    edges: Mapping[tuple[Node, Node], tuple[str, ...]] = field(default_factory=dict)

    def nodes(self, kind: NodeKind) -> list[Node]:
        """Return the nodes of a kind, without the box around all droplets."""
        return sorted(node for node in self.labels if node.kind is kind and node != ALL)


def graph_of(plan: EnvironmentPlan) -> Graph:
    """Return the drawing of an environment."""
    facts = facts_of(plan)
    groups = {Node(NodeKind.DROPLETS, group.group) for group in plan.groups}
    edges, alike = _clusters_alike(_edges(paths(facts)))
    edges = _once(edges, groups)
    labels: dict[Node, tuple[str, ...]] = {
        Node(NodeKind.DROPLETS, group.group): (
            group.group,
            *(service.name for service in group.placement.services),
        )
        for group in plan.groups
    }
    for node in {node for edge in edges for node in edge} - labels.keys():
        labels[node] = _label(node, alike.get(node, ()))
    return Graph(
        title=plan.name,
        network=f"private network {plan.network.name}, {plan.network.ip_range}",
        labels=dict(sorted(labels.items())),
        edges={edge: _words(edges[edge]) for edge in sorted(edges)},
    )


Port = tuple[str, Ports]
Edges = dict[tuple[Node, Node], frozenset[Port]]


def _edges(every: Iterable[Path]) -> Edges:
    found: defaultdict[tuple[Node, Node], set[Port]] = defaultdict(set)
    for path in every:
        target = OUTSIDE if path.target.kind is NodeKind.INTERNET else path.target
        found[path.source, target].add((path.protocol, path.ports))
    return {edge: frozenset(ports) for edge, ports in found.items()}


def _words(ports: Iterable[Port]) -> tuple[str, ...]:
    """Write the ports of an arrow, a line for each transport."""
    by_protocol: defaultdict[str, list[str]] = defaultdict(list)
    for protocol, port in sorted(ports):
        by_protocol[protocol].append("its port" if port.store else str(port))
    return tuple(
        f"{', '.join(found)} {protocol}" if protocol != "icmp" else protocol
        for protocol, found in by_protocol.items()
    )


def _clusters_alike(edges: Edges) -> tuple[Edges, dict[Node, tuple[str, ...]]]:
    """Draw clusters that the same groups reach as one; return the edges, and the names in each such node."""
    reached: defaultdict[Node, set[tuple[Node, frozenset[Port]]]] = defaultdict(set)
    for (source, target), ports in edges.items():
        if target.kind is NodeKind.CLUSTER:
            reached[target].add((source, ports))
    alike: defaultdict[frozenset[tuple[Node, frozenset[Port]]], list[Node]] = defaultdict(list)
    # Churches' own clusters have long names: those that many share come first.
    for node in sorted(reached, key=lambda node: (len(node.name), node.name)):
        alike[frozenset(reached[node])].append(node)
    left_out = {node for nodes in alike.values() for node in nodes[1:]}
    kept = {edge: ports for edge, ports in edges.items() if edge[1] not in left_out}
    return kept, {nodes[0]: tuple(node.name for node in nodes) for nodes in alike.values()}


def _once(edges: Edges, groups: set[Node]) -> Edges:
    """Draw what all groups have alike once, from or to the box around them."""
    if len(groups) == 1:
        return edges
    drawn = dict(edges)
    for outer in {node for edge in edges for node in edge} - groups:
        for outwards in (True, False):

            def edge(node: Node, outer: Node = outer, outwards: bool = outwards) -> tuple[Node, Node]:
                return (node, outer) if outwards else (outer, node)

            common = frozenset[Port].intersection(*(edges.get(edge(group), frozenset()) for group in groups))
            if common:
                drawn |= {edge(group): edges[edge(group)] - common for group in groups}
                drawn[edge(ALL)] = common
    return {ends: ports for ends, ports in drawn.items() if ports}


def _label(node: Node, names: tuple[str, ...]) -> tuple[str, ...]:
    match node.kind:
        case NodeKind.INTERNET:
            return ("anywhere outside",) if node == OUTSIDE else ("the internet",)
        case NodeKind.ADDRESSES:
            return ("addresses", node.name)
        case NodeKind.LOAD_BALANCER:
            return ("load balancer", node.name)
        case NodeKind.DROPLETS:
            return ("all droplets",)
        case NodeKind.CLUSTER:
            more = len(names) - _MOST_NAMES
            return (
                "cluster" if len(names) == 1 else f"{len(names)} clusters",
                *names[:_MOST_NAMES],
                *([f"and {more} more"] if more > 0 else []),
            )
