"""A scratch copy: what is edited, what is adjusted, what a fork takes along."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.rehearsal.workspace import Workspace, hurry
from model.errors import InvalidInputError
from tests.support import ENVIRONMENTS, ROOT


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.new(tmp_path / "base", "staging", files=ENVIRONMENTS)


def stack(workspace: Workspace) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((workspace.stack() / "cdk.tf.json").read_text())
    return read


def test_a_stack_is_synthesized_for_a_rehearsal(workspace: Workspace) -> None:
    workspace.adjustments.append(lambda stack: stack["output"].pop("droplets"))
    workspace.synthesize()
    found = stack(workspace)
    assert "requests_per_second" not in found["provider"]["digitalocean"][0]
    assert found["terraform"]["backend"] == {"local": {"path": "../../../terraform.staging.tfstate"}}
    assert "droplets" not in found["output"]
    production = json.loads((workspace.stack("production") / "cdk.tf.json").read_text())
    assert "droplets" in production["output"]
    # What the stacks run relative to their own folder is there.
    (wait,) = (
        one["provisioner"][0]["local-exec"]
        for name, one in found["resource"]["terraform_data"].items()
        if "app_serving-1" in name
    )
    program = [sys.executable, *wait["interpreter"][1:3], "--help"]
    run = subprocess.run(
        program, cwd=workspace.stack() / wait["working_dir"], capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_nobody_waits_for_minutes() -> None:
    def wait(*more: str) -> dict[str, Any]:
        interpreter = ["python3", "-m", "wait", "--name", "x", *more]
        return {"provisioner": [{"local-exec": {"command": "1", "interpreter": interpreter}}]}

    waits = {"a": wait(), "b": wait("--settle", "300")}
    found = {"provider": {"digitalocean": [{}]}, "resource": {"terraform_data": waits}}
    hurry(found)
    hurry(found)  # what is adjusted once stays as it is
    interpreters = [one["provisioner"][0]["local-exec"]["interpreter"] for one in waits.values()]
    assert interpreters == [
        ["python3", "-m", "wait", "--poll", "1", "--name", "x"],
        ["python3", "-m", "wait", "--poll", "1", "--name", "x", "--settle", "2"],
    ]


def test_tenants_are_edited_with_their_lock(workspace: Workspace) -> None:
    entry = {"id": "00000000-0000-4000-8000-0000000000aa", "slug": "new", "name": "New Church"}
    workspace.edit_tenants(lambda tenants: tenants.append(entry))
    lock = (workspace.folder / "environments/staging/tenants.lock").read_text()
    assert f"{entry['id']} active staging" in lock
    with pytest.raises(InvalidInputError, match="it was not retired"):
        workspace.edit_tenants(lambda tenants: tenants.clear())
    # The files that were copied are as they were.
    assert entry["id"] not in (ENVIRONMENTS / "staging/tenants.yaml").read_text()


def test_a_fork_takes_state_and_files_along_and_shares_the_providers(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.cloud.mkdir()
    (workspace.cloud / "account.json").write_text("{}")
    (workspace.cloud / "calls.jsonl").write_text("{}")
    (workspace.folder / "terraform.staging.tfstate").write_text("{}")
    workspace.data().mkdir(parents=True)
    fork = workspace.fork(tmp_path / "fork")
    assert (fork.cloud / "account.json").exists()
    assert not (fork.cloud / "calls.jsonl").exists()
    assert (fork.folder / "terraform.staging.tfstate").exists()
    assert fork.data() == workspace.data()
    fork.edit(lambda document: document.update(description="another"))
    assert "another" not in (workspace.folder / "environments/staging/environment.yaml").read_text()


def test_an_output_folder_stands_for_the_checkout_that_made_it(workspace: Workspace, tmp_path: Path) -> None:
    workspace.synthesize()
    out = workspace.folder / "cdktf.out"
    assert workspace.knows(out)
    assert workspace.knows(ROOT)
    assert not workspace.knows(tmp_path)
    other = Workspace.new(tmp_path / "other", "staging", out)
    other.synthesize()
    assert stack(other)["resource"] == stack(workspace)["resource"]
