"""The drawings: each path is in them, the page is current, and both languages say the same."""

import re
from pathlib import Path

import pytest

from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.reach.paths import Node, NodeKind, paths
from model.reach.paths import Path as NetworkPath
from model.reach.planned import facts_of
from ops.errors import OperationError
from ops.reach import draw, page
from ops.reach.graph import ALL, OUTSIDE, Graph, graph_of
from tests.support import ENVIRONMENTS, write_lives


def plans(folder: Path) -> list[EnvironmentPlan]:
    every = (ENVIRONMENTS, write_lives(folder / "environments"))
    return [plan_environment(one) for root in every for one in load_environments(root)]


def test_what_is_drawn_once_stands_for_every_path_and_for_no_other(tmp_path: Path) -> None:
    for plan in plans(tmp_path):
        graph = graph_of(plan)
        found = paths(facts_of(plan))
        assert drawn(graph, found) == {(one.source, target(one), port(one)) for one in found}


def drawn(graph: Graph, every: tuple[NetworkPath, ...]) -> set[tuple[Node, Node, str]]:
    """The paths that a reader takes from a drawing."""
    alike: dict[Node, list[Node]] = {}
    for node in graph.nodes(NodeKind.CLUSTER):
        # Others that are reached by the same groups are counted in the node's label.
        sources = {one.source for one in every if one.target == node}
        clusters = {one.target for one in every if one.target.kind is NodeKind.CLUSTER}
        alike[node] = [
            cluster
            for cluster in clusters
            if {one.source for one in every if one.target == cluster} == sources
            and port_of(every, cluster) == port_of(every, node)
        ]
        counted = re.fullmatch(r"(\d+) clusters", graph.labels[node][0])
        assert len(alike[node]) == (int(counted[1]) if counted else 1)
    groups = graph.nodes(NodeKind.DROPLETS)
    return {
        (one, other, f"{number}/{words.split()[-1]}" if "its port" not in words else port_of(every, other))
        for (source, end), lines in graph.edges.items()
        for words in lines
        for number in words.rpartition(" ")[0].split(", ")
        for one in (groups if source == ALL else [source])
        for other in (groups if end == ALL else alike.get(end, [end]))
    }


def port_of(every: tuple[NetworkPath, ...], node: Node) -> str:
    return next(port(one) for one in every if one.target == node)


def port(path: NetworkPath) -> str:
    return path.port


def target(path: NetworkPath) -> Node:
    return OUTSIDE if path.target.kind is NodeKind.INTERNET else path.target


def test_mermaid_and_graphviz_have_the_same_nodes_and_arrows(tmp_path: Path) -> None:
    for plan in plans(tmp_path):
        graph = graph_of(plan)
        one, other = draw.mermaid(graph), draw.dot(graph)
        assert one.count("-->|") == other.count(" -> ") == len(graph.edges)
        for node, label in graph.labels.items():
            if node != ALL:
                assert one.count(f'"{"<br/>".join(label)}"') == 1
                assert other.count('label="' + "\\n".join(label) + '"') == 1


@pytest.mark.skipif(not draw.PACKAGE.exists(), reason="Graphviz's package is not here: run `make setup`")
def test_the_page_and_its_drawings_are_current() -> None:
    for file, text in page.render().items():
        assert file.read_text(encoding="utf-8") == text, f"{file}: run `make schemas`"


@pytest.mark.skipif(not draw.PACKAGE.exists(), reason="Graphviz's package is not here: run `make setup`")
def test_what_graphviz_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (plan, _) = (plan_environment(one) for one in load_environments(ENVIRONMENTS))
    monkeypatch.setattr(draw, "dot", lambda _: "digraph {")
    with pytest.raises(OperationError, match="Graphviz could not draw production: syntax error"):
        draw.svg(graph_of(plan))
