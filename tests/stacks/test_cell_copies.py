"""Cells that are written from another's synthesis: not a byte is different from what constructs make."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.fleet import write_fleet
from model.cells import CellPlan
from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from stacks import app
from stacks.app import synthesize
from stacks.cell_copies import copies
from tests.support import ENVIRONMENTS

CELLS = """
    cell-2: {size: db-s-2vcpu-4gb, nodes: 2, version: "17", maintenance: {day: tuesday, hour: "04:00"}}
    cell-3: {size: db-s-4vcpu-8gb, nodes: 3, version: "16", maintenance: {day: friday, hour: "05:00"}}
    cell-20: {size: db-s-1vcpu-2gb, nodes: 1, version: "15", maintenance: {day: monday, hour: "06:00"}}
    cell-4: {size: db-s-1vcpu-2gb, nodes: 1, version: "17", maintenance: {day: monday, hour: "06:00"}}
    cell-5: {size: db-s-1vcpu-2gb, nodes: 1, version: "17", maintenance: {day: monday, hour: "06:00"}}
"""
TENANTS = """
  - {id: 30000000-0000-4000-8000-000000000001, slug: a, name: "A \\"quoted\\" cell-2 {} name", cell: cell-2}
  - {id: 30000000-0000-4000-8000-000000000002, slug: cell-2, name: Zweite Zelle, cell: cell-3, limits: {connections: 8}}
  - {id: 30000000-0000-4000-8000-000000000003, slug: c, name: "Église d'Abidjan ✝ \\\\ []", cell: cell-3}
  - {id: 30000000-0000-4000-8000-000000000004, slug: d, name: D, cell: cell-3, queue_prefix: cell-2,
     credentials: {generation: 3, keep: [2, 1]}}
  - {id: 30000000-0000-4000-8000-000000000005, slug: e, name: Nobody serves it, cell: cell-4, status: suspended}
  - {id: 30000000-0000-4000-8000-000000000006, slug: f, name: F, cell: cell-20, limits: {requests_per_second: 99}}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> EnvironmentPlan:
    """Staging with cells of every kind; cell-4 is none of the plain ones, and cell-5 has no tenant."""
    folder = tmp_path_factory.mktemp("environments")
    staging = folder / "staging"
    staging.mkdir()
    text = (ENVIRONMENTS / "staging/environment.yaml").read_text(encoding="utf-8")
    text = text.replace("  clusters:\n", f"  cells:{CELLS.rstrip()}\n  clusters:\n")
    (staging / "environment.yaml").write_text(text, encoding="utf-8")
    (staging / "tenants.yaml").write_text(f"tenants:{TENANTS}", encoding="utf-8")
    (environment,) = load_environments(folder)
    return plan_environment(environment)


def outputs(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def both(plan: EnvironmentPlan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The output with copies, and the output of constructs alone."""
    copied, built = tmp_path_factory.mktemp("copied"), tmp_path_factory.mktemp("built")
    synthesize([plan], copied, local_state=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "copies", lambda _: {})
        synthesize([plan], built, local_state=False)
    return copied, built


def test_which_are_copied(plan: EnvironmentPlan) -> None:
    assert {name: original.name for name, original in copies(plan.cells).items()} == {
        "staging-cell-3": "staging-cell-2",
        "staging-cell-5": "staging-cell-2",
        "staging-cell-20": "staging-cell-2",
    }


def test_not_a_byte_is_different(both: tuple[Path, Path]) -> None:
    copied, built = map(outputs, both)
    assert copied.keys() == built.keys()
    assert "manifest.json" in copied
    assert {name for name, content in built.items() if copied[name] != content} == set()


@pytest.mark.parametrize(
    "special",
    [
        lambda cell: replace(cell, shared=replace(cell.shared, vpc="cell-2")),
        lambda cell: replace(cell, shared=replace(cell.shared, group_tags={"app": "staging-group-cell-3"})),
    ],
)
def test_a_name_of_the_environment_that_looks_like_the_cells_is_not_touched(
    plan: EnvironmentPlan, special: Callable[[CellPlan], CellPlan]
) -> None:
    assert "staging-cell-3" not in copies([special(cell) for cell in plan.cells])


def test_a_fleet_is_copied_but_for_its_first_cell(tmp_path: Path) -> None:
    folder = write_fleet(ENVIRONMENTS, tmp_path / "environments", 1_000)
    plans = [plan_environment(environment) for environment in load_environments(folder)]
    (staging,) = (one for one in plans if one.name == "staging")
    assert len(staging.cells) == 3
    assert set(copies(staging.cells)) == {"staging-cell-3", "staging-cell-4"}
