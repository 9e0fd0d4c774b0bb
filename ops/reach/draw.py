"""Drawings of who can reach whom: Mermaid, which GitHub renders, and Graphviz's language, from which comes SVG."""

import subprocess
from collections.abc import Iterator

from model.reach.paths import Node, NodeKind
from ops.errors import OperationError
from ops.node import NODE
from ops.paths import ROOT
from ops.reach.graph import ALL, Graph

VIZ = ROOT / "ops" / "reach" / "viz.cjs"
PACKAGE = ROOT / "node_modules" / "@viz-js" / "viz"

_MERMAID_SHAPES = {
    NodeKind.INTERNET: ('(["', '"])'),
    NodeKind.ADDRESSES: ('(["', '"])'),
    NodeKind.LOAD_BALANCER: ('{{"', '"}}'),
    NodeKind.DROPLETS: ('["', '"]'),
    NodeKind.CLUSTER: ('[("', '")]'),
}
_DOT_SHAPES = {
    NodeKind.INTERNET: "ellipse",
    NodeKind.ADDRESSES: "ellipse",
    NodeKind.LOAD_BALANCER: "hexagon",
    NodeKind.DROPLETS: "box",
    NodeKind.CLUSTER: "cylinder",
}
_INSIDE = (NodeKind.DROPLETS, NodeKind.CLUSTER)


def mermaid(graph: Graph) -> str:
    """Return a flowchart in Mermaid."""
    return "\n".join(_mermaid(graph)) + "\n"


def _mermaid(graph: Graph) -> Iterator[str]:
    yield "flowchart LR"
    ids = _ids(graph)
    for kind in NodeKind:
        if kind not in _INSIDE:
            yield from (f"  {_mermaid_node(node, graph, ids)}" for node in graph.nodes(kind))
    yield f'  subgraph network["{graph.network}"]'
    yield '    subgraph droplets["all droplets"]'
    yield from (f"      {_mermaid_node(node, graph, ids)}" for node in graph.nodes(NodeKind.DROPLETS))
    yield "    end"
    yield from (f"    {_mermaid_node(node, graph, ids)}" for node in graph.nodes(NodeKind.CLUSTER))
    yield "  end"
    for (source, target), words in graph.edges.items():
        yield f'  {ids[source]} -->|"{"<br/>".join(words)}"| {ids[target]}'


def _mermaid_node(node: Node, graph: Graph, ids: dict[Node, str]) -> str:
    before, after = _MERMAID_SHAPES[node.kind]
    first, *rest = graph.labels[node]
    return f"{ids[node]}{before}{'<br/>'.join([first, *rest])}{after}"


def dot(graph: Graph) -> str:
    """Return the same in Graphviz's language."""
    return "\n".join(_dot(graph)) + "\n"


def _dot(graph: Graph) -> Iterator[str]:
    ids = _ids(graph)
    yield f"digraph {_quoted(graph.title)} {{"
    yield '  graph [rankdir=LR, compound=true, fontname="Helvetica", fontsize=14, nodesep=0.35, ranksep=1.3]'
    yield '  node [fontname="Helvetica", fontsize=12, style=filled, fillcolor=white, margin="0.18,0.1"]'
    yield '  edge [fontname="Helvetica", fontsize=10, color="#555555"]'
    for kind in NodeKind:
        if kind not in _INSIDE:
            yield from (f"  {_dot_node(node, graph, ids)}" for node in graph.nodes(kind))
    yield f"  subgraph cluster_network {{ label={_quoted(graph.network)} style=rounded color={_quoted('#888888')}"
    yield f'    subgraph cluster_droplets {{ label="all droplets" style="rounded,filled" fillcolor={_quoted("#eef3f8")}'
    yield from (f"      {_dot_node(node, graph, ids)}" for node in graph.nodes(NodeKind.DROPLETS))
    yield "    }"
    yield from (f"    {_dot_node(node, graph, ids)}" for node in graph.nodes(NodeKind.CLUSTER))
    yield "  }"
    groups = graph.nodes(NodeKind.DROPLETS)
    # An arrow of the box needs a node in it, which it is cut off before: the one in the middle.
    inside = ids[groups[len(groups) // 2]]
    for (source, target), words in graph.edges.items():
        ends = [inside if node == ALL else ids[node] for node in (source, target)]
        cut = [
            f"{end}=cluster_droplets" for end, node in (("ltail", source), ("lhead", target)) if node == ALL
        ]
        label = _quoted("\\n".join(words), escaped=True)
        yield f"  {ends[0]} -> {ends[1]} [{', '.join([f'label={label}', *cut])}]"
    yield "}"


def _dot_node(node: Node, graph: Graph, ids: dict[Node, str]) -> str:
    label = _quoted("\\n".join(graph.labels[node]), escaped=True)
    return f"{ids[node]} [label={label}, shape={_DOT_SHAPES[node.kind]}]"


def svg(graph: Graph) -> str:
    """Return the drawing as SVG, laid out by Graphviz.

    Raises:
        OperationError: Graphviz's package is not installed, or it failed.
    """
    if not PACKAGE.exists():
        raise OperationError("Graphviz's package is not installed: run `make setup`, then try again")
    ended = subprocess.run(
        [str(NODE), str(VIZ)],
        input=dot(graph),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise OperationError(f"Graphviz could not draw {graph.title}: {ended.stderr.strip()}")
    return ended.stdout


def _ids(graph: Graph) -> dict[Node, str]:
    """Name nodes in a way that both languages take; a new node changes no other's name."""
    ids = {node: f"{node.kind.name.lower()}_{_plain(node.name)}".rstrip("_") for node in graph.labels}
    return {**ids, ALL: "droplets"}


def _plain(name: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in name)


def _quoted(text: str, *, escaped: bool = False) -> str:
    return '"' + (text if escaped else text.replace("\\", "\\\\")).replace('"', '\\"') + '"'
