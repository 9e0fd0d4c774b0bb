"""The plan guard as the steps call it: whatever goes wrong, no plan is let through."""

import json
import subprocess
from pathlib import Path

import pytest

from ops.ci import guard
from ops.ci.errors import StepError
from ops.errors import OperationError
from ops.guard.report import read_plans
from ops.plan_json import Plan, parse_plan
from tests.support import ENVIRONMENTS


@pytest.fixture(autouse=True)
def operators_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps judge by the live files; here they are the tests'."""
    monkeypatch.setattr(guard, "ENVIRONMENTS", ENVIRONMENTS)


def plan(actions: list[str]) -> Plan:
    """A plan of staging that does something to its Postgres cluster."""
    values = {"name": "staging-pg-shared", "engine": "pg", "region": "fra1"}
    change = {
        "actions": actions,
        "before": None if actions == ["create"] else values,
        "after": None if actions == ["delete"] else values,
        "after_unknown": {},
        "before_sensitive": {},
        "after_sensitive": {},
    }
    resource = {
        "address": "digitalocean_database_cluster.data_postgres-shared_cluster_00000000",
        "mode": "managed",
        "type": "digitalocean_database_cluster",
        "name": "data_postgres-shared_cluster_00000000",
        "provider_name": "registry.terraform.io/digitalocean/digitalocean",
        "change": change,
    }
    content = {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "resource_changes": [resource],
        "output_changes": {},
        "configuration": {},
        "planned_values": {},
        "complete": True,
        "errored": False,
    }
    return parse_plan(json.dumps(content), "staging")


def test_a_plan_that_loses_nothing_may_be_applied() -> None:
    said = guard.review([plan(["no-op"])])
    assert not said.refused
    assert "staging" in said.markdown
    assert "No changes." in said.text


def test_a_plan_that_loses_a_cluster_is_refused_and_named() -> None:
    said = guard.review([plan(["delete"])])
    assert said.refused
    assert "staging-pg-shared" in said.markdown
    assert "staging-pg-shared" in said.text


def test_a_plan_that_could_not_be_read_is_not_let_through(tmp_path: Path) -> None:
    (tmp_path / "staging.json").write_text("{", encoding="utf-8")
    plans, problems = read_plans([tmp_path / "staging.json"])
    with pytest.raises(StepError, match=r"cannot judge this, so it is not applied:\n.*staging\.json"):
        guard.review(plans, problems=problems)


def test_no_plan_at_all_is_not_let_through() -> None:
    with pytest.raises(StepError, match="cannot judge this, so it is not applied:\nno plan was given"):
        guard.review([])


@pytest.mark.parametrize("part", ["judge", "render", "as_text"])
def test_an_error_of_the_guards_own_lets_nothing_through(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("a mistake in a rule")

    monkeypatch.setattr(guard, part, fail)
    with pytest.raises(
        StepError, match=r"the plan guard failed, so the plan is not applied: .*a mistake in a rule"
    ):
        guard.review([plan(["no-op"])])


def test_the_locks_are_those_of_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    for environment in ("staging", "production"):
        folder = tmp_path / "environments" / environment
        folder.mkdir(parents=True)
        (folder / "tenants.lock").write_text(f"of {environment}\n", encoding="utf-8")
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "x"], check=True)
    (tmp_path / "environments/staging/tenants.lock").write_text("of the branch\n", encoding="utf-8")
    monkeypatch.setattr(guard, "ROOT", tmp_path)
    found = [(lock.environment, lock.text, lock.source) for lock in guard.locks("HEAD")]
    assert found == [
        ("production", "of production\n", "HEAD:environments/production/tenants.lock"),
        ("staging", "of staging\n", "HEAD:environments/staging/tenants.lock"),
    ]


def test_a_base_that_git_does_not_know_is_not_let_through() -> None:
    with pytest.raises(OperationError, match="git ls-tree"):
        guard.review([plan(["no-op"])], base="nowhere")
