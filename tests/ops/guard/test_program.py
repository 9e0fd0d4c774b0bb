"""The program: exit codes, what it prints and writes, and how it knows whose plan a file is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.plans.environment import GRACE, PRODUCTION, STAGING, TENANTS, situation
from lab.plans.tenants import ACTIVE_DATABASE
from ops.guard.__main__ import main
from ops.guard.finding import Rule
from ops.guard.known import Entry, Known, LockFile, know
from ops.guard.losses import losses
from ops.guard.report import stack_names
from ops.guard.world import World
from ops.plan_json import read_plan
from tests.ops.guard.cases import unchanged, write_lock
from tests.ops.guard.guard import write, write_environments
from tests.support import ENVIRONMENTS, ROOT


def test_a_safe_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write(tmp_path, {"staging": unchanged(STAGING)})
    assert main([str(file)]) == 0
    assert capsys.readouterr().out == "No changes.\nplan guard: nothing is lost\n"


def test_a_refused_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write(tmp_path, {"staging": situation(STAGING, STAGING.without(GRACE))})
    assert main([str(file)]) == 1
    address = ACTIVE_DATABASE.instance(GRACE)
    assert capsys.readouterr().out == (
        f"refused: staging: {address}: Grace Chapel (grace): its database tenant_{GRACE} in cluster staging-pg-shared "
        "would be deleted, with all data in the database: its key is no longer in the map, and it is not retired\n"
        "    Put the entry back. Removing a tenant takes two edits: set `status: retired` and deploy; then remove the "
        "entry.\n"
        "staging: Grace Chapel (grace): database removed; user removed; credentials removed; directory entry removed\n"
        "plan guard: REFUSED (1)\n"
    )


def test_json_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write(tmp_path, {"staging": situation(STAGING, STAGING.without(GRACE))})
    assert main([str(file), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "refused"
    assert [(one["rule"], one["severity"], one["tenants"]) for one in said["findings"]] == [
        ("loss", "refused", [GRACE])
    ]
    assert said["tenants"][0]["who"] == "Grace Chapel (grace)"


def test_files_that_are_not_valid_are_no_agreement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_environments(tmp_path / "environments", "staging", TENANTS)
    (folder / "staging" / "tenants.yaml").write_text("tenants: 7\n")
    (file,) = write(tmp_path / "plans", {"staging": unchanged(STAGING)})
    assert main([str(file), "--environments", str(folder)]) == 2
    printed = capsys.readouterr().out
    assert f"{folder}: the operators' files are not valid (1 problems)" in printed
    assert "nothing is lost" not in printed


def test_names_come_from_the_files_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_environments(tmp_path / "environments", "staging", TENANTS)
    it = situation(STAGING, STAGING.without(GRACE))
    it.tenants_there, it.tenants_wanted = {}, {}
    (file,) = write(tmp_path / "plans", {"staging": it})
    assert main([str(file), "--environments", str(folder)]) == 1
    assert "Grace Chapel (grace): its database" in capsys.readouterr().out


def test_a_summary_that_cannot_be_written(tmp_path: Path) -> None:
    (file,) = write(tmp_path, {"staging": unchanged(STAGING)})
    assert main([str(file), "--markdown", str(tmp_path / "nowhere" / "summary.md")]) == 2


def test_files_are_named_after_stacks() -> None:
    files = [Path("a/staging.json"), Path("stacks/production/plan.json"), Path("production-cell-2.plan.json")]
    assert stack_names(files) == ["staging", "production", "production-cell-2"]


@pytest.mark.parametrize(
    ("entry", "asked_for"),
    [
        (Entry("grace", "Grace", tier="dedicated"), True),
        (Entry("grace", "Grace", tier="dedicated", shared_copy="retired"), False),
        (Entry("grace", "Grace", tier="dedicated", shared_copy="kept"), False),
        (Entry("grace", "Grace", tier="shared"), False),
    ],
)
def test_a_shared_copy_goes_when_its_line_does(entry: Entry, asked_for: bool, tmp_path: Path) -> None:

    moved = STAGING.tenant(GRACE, tier="dedicated", own_cluster="db-s-2vcpu-4gb", shared_copy="retired")
    (file,) = write(tmp_path, {"staging": situation(moved, moved.tenant(GRACE, shared_copy=""))})
    plan = read_plan(file, "staging")
    found = list(losses(World([plan], Known(files={"staging": {GRACE: entry}}))))
    assert [one.rule for one in found] == ([] if asked_for else [Rule.LOSS])


def test_a_cell_is_compared_with_the_lock_of_its_environment(tmp_path: Path) -> None:
    """The same id may be active in another environment."""
    before = replace(PRODUCTION, tenants=tuple(replace(one, cell="cell-2") for one in TENANTS))
    before = before.tenant(GRACE, status="retired")
    (file,) = write(tmp_path, {"production-cell-2": situation(before, before.without(GRACE), "cell-2")})
    (ours,) = write_lock(tmp_path, "production", f"{GRACE} retired production-cell-2 shared=retired\n")
    (theirs,) = write_lock(tmp_path, "staging", f"{GRACE} active staging shared=kept\n")
    assert main([str(file), "--lock", str(theirs), str(ours)]) == 0
    assert main([str(file), "--lock", str(theirs)]) == 1


def test_the_lock_of_this_repository_can_be_read() -> None:
    locks = sorted(ENVIRONMENTS.glob("*/tenants.lock"))
    assert know([], None, map(LockFile.read, locks)).locks.keys() == {lock.parent.name for lock in locks}


def test_every_rule_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "plan-guard.md").read_text(encoding="utf-8")
    assert [rule for rule in Rule if f"`{rule}`" not in text] == []
