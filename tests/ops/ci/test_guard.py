"""The plan guard as the steps call it."""

import json
import subprocess
from pathlib import Path

import pytest

from ops.ci import guard
from ops.ci.errors import StepError


def plan(folder: Path, actions: list[str]) -> Path:
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
    file = folder / "staging" / "plan.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_a_plan_that_loses_nothing_may_be_applied(tmp_path: Path) -> None:
    said = guard.review([plan(tmp_path, ["no-op"])])
    assert not said.refused
    assert "staging" in said.markdown
    assert "No changes." in said.text


def test_a_plan_that_loses_a_cluster_is_refused_and_named(tmp_path: Path) -> None:
    said = guard.review([plan(tmp_path, ["delete"])])
    assert said.refused
    assert "staging-pg-shared" in said.markdown
    assert "staging-pg-shared" in said.text


def test_what_is_no_plan_is_no_yes(tmp_path: Path) -> None:
    (tmp_path / "staging.json").write_text("{", encoding="utf-8")
    with pytest.raises(StepError, match=r"cannot judge this, so it is not applied:\n.*staging\.json"):
        guard.review([tmp_path / "staging.json"])


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
    (tmp_path / "scratch").mkdir()
    # Only their folder says whose they are.
    assert {
        file.parent.name: file.read_text("utf-8") for file in guard.locks("HEAD", tmp_path / "scratch")
    } == {
        "production": "of production\n",
        "staging": "of staging\n",
    }


def test_a_base_that_git_does_not_know_is_no_yes(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="git ls-tree"):
        guard.review([tmp_path / "plan.json"], base="nowhere")
