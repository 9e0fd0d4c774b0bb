"""Real Terraform: what is applied is what was reviewed, or nothing is."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ops import waves
from ops.ci import drift, guard, plans
from ops.ci.errors import StepError
from ops.plan_json import parse_plan
from ops.preflight.finding import Checked
from ops.terraform import StalePlanError, TerraformError
from tests.ops.ci.conftest import SECRET, Deployment
from tests.support import ENVIRONMENTS

pytestmark = pytest.mark.terraform


def test_a_plan_is_applied_stack_by_stack_and_leaves_no_file(deployment: Deployment) -> None:
    outcome = deployment.plan("demo", "demo-cell-2")
    assert outcome.problems == ()
    assert outcome.record.changes
    assert outcome.text == outcome.markdown == "demo: create\ndemo-cell-2: create\n"
    assert deployment.holds("demo") is None
    assert deployment.apply(outcome.record.digest) == ["demo", "demo-cell-2"]
    assert deployment.holds("demo") == deployment.holds("demo-cell-2") == "first"
    assert list(deployment.folder.rglob("*.tfplan")) == []


def test_a_second_plan_has_nothing_to_apply(deployment: Deployment) -> None:
    deployment.plan("demo")
    deployment.apply()
    outcome = deployment.plan("demo")
    assert not outcome.record.changes
    assert outcome.markdown == "demo: no-op\n"
    assert deployment.apply() == []


def test_a_plan_carries_its_variables_so_the_apply_needs_none(deployment: Deployment) -> None:
    deployment.plan("demo")
    assert deployment.apply(opened=lambda stack: deployment.opened(stack, secret=False)) == ["demo"]


def test_what_was_reviewed_is_applied_and_not_what_the_files_say_by_now(deployment: Deployment) -> None:
    deployment.plan("demo")
    deployment.edit("demo", "second, which nobody saw")
    deployment.apply()
    assert deployment.holds("demo") == "first"


def test_a_stale_plan_is_refused_and_says_so(deployment: Deployment, tmp_path: Path) -> None:
    digest = deployment.plan("demo").record.digest
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", deployment.folder, other], check=True)
    deployment.apply()
    deployment.edit("demo", "second")
    deployment.plan("demo")
    deployment.apply()
    subprocess.run(["cp", "-r", f"{other}/.", deployment.folder], check=True)
    with pytest.raises(StalePlanError, match=r"demo: the plan is stale.*Plan again, and review that plan"):
        deployment.apply(digest)
    assert deployment.holds("demo") == "second"


def test_a_plan_that_somebody_swapped_is_refused_before_anything_is_applied(deployment: Deployment) -> None:
    digest = deployment.plan("demo", "demo-cell-2").record.digest
    swapped = deployment.folder / "demo-cell-2" / plans.PLAN
    swapped.write_bytes((deployment.folder / "demo" / plans.PLAN).read_bytes())
    with pytest.raises(StepError, match=r"demo-cell-2: .* is not the plan that was reviewed"):
        deployment.apply(digest)
    assert deployment.holds("demo") is None


def test_a_record_that_somebody_swapped_is_refused(deployment: Deployment) -> None:
    digest = deployment.plan("demo").record.digest
    deployment.edit("demo", "second")
    deployment.plan("demo")
    with pytest.raises(StepError, match="not those that were reviewed"):
        deployment.apply(digest)
    assert deployment.holds("demo") is None


def test_a_plan_of_another_commit_is_refused(deployment: Deployment) -> None:
    git = ["git", "-C", str(deployment.outdir), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    deployment.plan("demo")
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "second"], check=True)
    with pytest.raises(StepError, match=r"made from commit \w{40}, and this checkout is \w{40}"):
        deployment.apply()
    assert deployment.holds("demo") is None


def test_a_plan_that_the_guard_refuses_is_shown_and_cannot_be_applied(deployment: Deployment) -> None:
    deployment.refused.add("demo-cell-2")
    outcome = deployment.plan("demo", "demo-cell-2")
    assert outcome.problems == ("the plan guard refuses this",)
    assert outcome.markdown == "demo: create\ndemo-cell-2: create\n"
    with pytest.raises(StepError, match="the last one was refused and not kept") as refused:
        deployment.apply()
    assert str(refused.value).endswith("\nthe plan guard refuses this")
    deployment.refused.clear()
    deployment.plan("demo")
    assert deployment.apply() == ["demo"]
    with pytest.raises(StepError, match="run make plan"):
        shutil.rmtree(deployment.folder)
        deployment.apply()


def _says(answer: Any, _plan: object) -> Any:
    return answer


def test_the_guard_hears_what_exists_of_an_empty_state(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []

    def review(*_: object, exists: object, **__: object) -> guard.Review:
        heard.append(exists)
        return guard.Review("", "", refused=False)

    monkeypatch.setattr(plans, "review", review)
    answers: list[tuple[bool, list[str] | None]] = [
        (everything, seen) for everything in (True, False) for seen in (["vpc demo"], [], None)
    ]
    for everything, seen in answers:
        monkeypatch.setattr(plans, "makes_everything", partial(_says, everything))
        plans.plan(
            ["demo"],
            deployment.opened,
            deployment.folder,
            root=deployment.outdir,
            lock=True,
            exists=partial(_says, seen),
        )
    assert heard == [{"demo": ["vpc demo"]}, {"demo": []}, {}, {}, {}, {}]


def test_all_stacks_are_planned_and_every_problem_is_said(deployment: Deployment) -> None:
    for stack in ("demo", "demo-cell-2"):
        (deployment.outdir / "stacks" / stack / "cdk.tf.json").write_text(
            '{"resource": {"terraform_data": {"a": {"input": "${nothing.here}"}}}}', encoding="utf-8"
        )
    outcome = deployment.plan("demo", "demo-cell-2")
    assert [problem.partition(":")[0] for problem in outcome.problems] == ["demo", "demo-cell-2"]
    assert "terraform plan failed" in outcome.problems[0]
    assert outcome.markdown == "**demo, demo-cell-2 could not be planned**; the log says why.\n"


def test_a_stack_that_cannot_be_planned_keeps_the_others_from_being_applied(deployment: Deployment) -> None:
    (deployment.outdir / "demo.tfstate").write_text("no state", encoding="utf-8")
    outcome = deployment.plan("demo", "demo-cell-2")
    # The guard is told, so that it calls nothing safe.
    assert outcome.markdown == "demo-cell-2: create\ndemo: not planned\n"
    with pytest.raises(StepError, match="there is no plan in"):
        deployment.apply()


def test_the_guards_own_words_call_nothing_safe_where_a_stack_could_not_be_planned(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "review", guard.review)
    monkeypatch.setattr(guard, "ENVIRONMENTS", ENVIRONMENTS)
    (deployment.outdir / "demo.tfstate").write_text("no state", encoding="utf-8")
    deployment.plan("demo-cell-2")
    deployment.apply()
    outcome = deployment.plan("demo", "demo-cell-2")
    assert outcome.text.splitlines() == [
        "No changes in demo-cell-2.",
        "demo: could not be planned, so it is not known whether something is lost there",
        "plan guard: CANNOT JUDGE",
    ]
    assert "nothing is lost" not in outcome.markdown
    (problem,) = outcome.problems
    assert problem.startswith("demo: terraform init failed")


def test_what_digitalocean_would_refuse_stops_a_plan_before_it_is_kept(deployment: Deployment) -> None:
    outcome = plans.plan(
        ["demo"],
        deployment.opened,
        deployment.folder,
        root=deployment.outdir,
        lock=True,
        check=lambda plan: Checked(
            (f"{plan.stack}: the account is full",), ("the zone could not be checked",)
        ),
    )
    assert (outcome.problems, outcome.notes) == (
        ("demo: the account is full",),
        ("the zone could not be checked",),
    )
    assert "**Cannot be applied:** demo: the account is full" in outcome.markdown
    assert not deployment.folder.exists()


def test_a_plan_of_several_groups_is_applied_in_waves_and_another_at_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_waves: list[str] = []
    monkeypatch.setattr(waves, "apply", lambda _terraform, stack, _file, _say: in_waves.append(stack))
    two = (waves.Wave("app", 1, ()), waves.Wave("worker", 1, ()))
    monkeypatch.setattr(waves, "waves", lambda plan: two if plan.stack == "demo" else two[:1])
    outcome = deployment.plan("demo", "demo-cell-2")
    assert [stack.groups for stack in outcome.record.stacks] == [("app", "worker"), ("app",)]
    assert "2 groups are replaced, one group after another" in outcome.text
    # The groups are part of what was reviewed: the digest covers them.
    assert plans.Record.read(deployment.folder, outcome.record.digest) == outcome.record
    assert deployment.apply() == ["demo", "demo-cell-2"]
    assert in_waves == ["demo"]
    assert deployment.holds("demo-cell-2") == "first"


def test_a_guard_that_fails_lets_no_plan_through(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "review", guard.review)
    monkeypatch.setattr(guard, "judge", lambda *_, **__: 1 / 0)
    outcome = deployment.plan("demo")
    (problem,) = outcome.problems
    assert problem.startswith("the plan guard failed, so the plan is not applied: ZeroDivisionError")
    assert not deployment.folder.exists()


def test_the_stacks_after_one_that_fails_are_not_touched(deployment: Deployment) -> None:
    deployment.edit("demo", "first", postcondition=False)
    deployment.plan("demo", "demo-cell-2")
    with pytest.raises(TerraformError, match="demo: terraform apply failed"):
        deployment.apply()
    assert deployment.holds("demo-cell-2") is None
    assert (deployment.folder / "demo-cell-2" / plans.PLAN).exists()


def test_a_plan_is_for_its_owner_only_and_its_json_is_gone(deployment: Deployment) -> None:
    deployment.plan("demo")
    assert deployment.folder.stat().st_mode & 0o077 == 0
    assert [file.name for file in (deployment.folder / "demo").iterdir()] == [plans.PLAN]
    assert SECRET not in (deployment.folder / plans.RECORD).read_text(encoding="utf-8")


def test_no_secret_is_printed(deployment: Deployment, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = deployment.plan("demo")
    deployment.apply()
    said = capfd.readouterr()
    assert SECRET not in outcome.markdown + said.out + said.err
    assert "Creation complete" in said.out


def test_drift_is_what_was_changed_outside_of_terraform_or_not_deployed_yet(deployment: Deployment) -> None:
    deployment.plan("demo")
    deployment.apply()
    assert not drift.look(["demo"], deployment.opened).found
    deployment.edit("demo", "second")
    seen = drift.look(["demo", "demo-cell-2"], deployment.opened)
    assert seen.found
    assert seen.markdown == (
        "## demo\n\nA deploy of what was merged would do this (1 update):\n\n"
        "- `terraform_data.thing`: update of input, output\n\n"
        "## demo-cell-2\n\nA deploy of what was merged would do this (1 create):\n\n"
        "- `terraform_data.thing`: create\n"
    )


def test_a_stack_that_cannot_be_planned_is_reported_too(deployment: Deployment) -> None:
    (deployment.outdir / "demo.tfstate").write_text("no state", encoding="utf-8")
    seen = drift.look(["demo"], deployment.opened)
    assert seen.found
    assert len(seen.problems) == 1
    assert "**It cannot be planned**" in seen.markdown


def update(address: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    change = {"actions": ["update"], "before": before, "after": after}
    return {"address": address, "mode": "managed", "type": "kind", "name": "name", "change": change}


def described(**keys: Any) -> str:
    whole = {"format_version": "1.2", "planned_values": {}, "configuration": {}, "errored": False}
    return drift.describe(parse_plan(json.dumps({**whole, **keys}), "demo"))


def test_drift_names_attributes_and_no_value() -> None:
    drifted = update("kind.name", {"a": SECRET, "b": 1}, {"a": "x", "b": 1, "c": SECRET})
    back = update("kind.name", {"a": "x"}, {"a": SECRET})
    assert described(resource_drift=[drifted], resource_changes=[back]) == (
        "Changed outside of Terraform since the last apply:\n\n- `kind.name`: update of a, c\n\n"
        "A deploy of what was merged would do this (1 update):\n\n- `kind.name`: update of a"
    )


def test_drift_shows_an_address_and_never_renders_it() -> None:
    """The key of a resource may be anything that a file has."""
    address = 'kind.name["`[a](https://evil.example) @org/team"]'
    said = described(resource_changes=[update(address, {"a": 1}, {"a": 2})])
    assert f"- ``{address}``: update of a" in said


def test_drift_that_nothing_follows_from_is_not_told() -> None:
    counted = update("kind.tag", {"droplets_count": 1}, {"droplets_count": 2})
    followed = update("kind.source", {"a": 1}, {"a": 2})
    read_back = update("kind.name", {"metadata": None, "rules": []}, {"metadata": {}, "rules": None})
    said = described(
        resource_drift=[counted, followed, read_back],
        relevant_attributes=[{"resource": "kind.source", "attribute": ["a"]}],
        resource_changes=[update("kind.name", {"b": 1}, {"b": 2})],
    )
    assert said == (
        "Changed outside of Terraform since the last apply:\n\n- `kind.source`: update of a\n\n"
        "A deploy of what was merged would do this (1 update):\n\n- `kind.name`: update of b"
    )


def test_a_plan_is_applied_once(deployment: Deployment) -> None:
    deployment.plan("demo")
    deployment.apply()
    with pytest.raises(
        StepError, match=r"demo: .*plan.tfplan does not exist: it was applied, or never made\."
    ):
        deployment.apply()


def test_an_apply_that_is_told_to_end_finishes_what_it_began(deployment: Deployment) -> None:
    """A CI that cancels a job sends a signal first: no lock may be left, and no resource that no state knows."""
    deployment.edit("demo", "first", seconds=120)
    deployment.plan("demo")
    cancel = threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    cancel.start()
    started = time.monotonic()
    try:
        with pytest.raises(TerraformError, match="demo: terraform apply failed"):
            deployment.apply()
    finally:
        # A signal that came too late would end the tests.
        cancel.cancel()
    assert time.monotonic() - started < 100
    # The state can be read and locked again, and holds what was made.
    deployment.edit("demo", "second")
    assert deployment.plan("demo").problems == ()
