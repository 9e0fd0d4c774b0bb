"""Write docs/reach.md and its drawings from the tests' environments: `make schemas`. A test fails while they are old.

The operators' own environments change without an edit of the documentation: `presence360 reach staging` draws those.
"""

from collections.abc import Iterator
from pathlib import Path

from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.reach.paths import paths
from model.reach.planned import facts_of
from ops.paths import ROOT
from ops.reach import table
from ops.reach.draw import mermaid, svg
from ops.reach.graph import graph_of

EXAMPLES = ROOT / "tests" / "environments"
PAGE = ROOT / "docs" / "reach.md"
BEGIN, END = "<!-- made by `make schemas` -->", "<!-- end of what is made -->"


def render() -> dict[Path, str]:
    """Return the page and the drawings, by file."""
    plans = [plan_environment(environment) for environment in load_environments(EXAMPLES)]
    drawn = {PAGE.parent / "reach" / f"{plan.name}.svg": svg(graph_of(plan)) for plan in plans}
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    made = "\n".join(line for plan in plans for line in _section(plan))
    return {PAGE: f"{before}{BEGIN}\n{made}\n{END}{after}", **drawn}


def _section(plan: EnvironmentPlan) -> Iterator[str]:
    graph = graph_of(plan)
    yield from (
        "",
        f"### {plan.name.capitalize()}",
        "",
        f"As SVG: [{plan.name}.svg](reach/{plan.name}.svg).",
        "",
    )
    yield from ("```mermaid", mermaid(graph).rstrip(), "```", "")
    yield from (f"| {' | '.join(table.HEADING)} |", f"|{'---|' * len(table.HEADING)}")
    yield from (f"| {' | '.join(row)} |" for row in table.rows(paths(facts_of(plan))))


def main() -> None:
    """Write them."""
    for file, text in render().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
