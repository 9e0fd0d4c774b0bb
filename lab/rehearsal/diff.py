"""What a checkout would change in an environment that another one deployed: both rehearsed, no credentials needed."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from lab.rehearsal.changes import summary
from lab.rehearsal.cloud import Cloud
from lab.rehearsal.errors import CannotRehearseError, expect
from lab.rehearsal.runner import first_apply, make_default_network
from lab.rehearsal.scene import Scene
from lab.rehearsal.workspace import ENVIRONMENTS, ROOT, Workspace

OUT = Path("cdktf.out/rehearsal")
"""Where the plans go unless told otherwise."""


def main(
    scratch: Path, environment: str, base: Path | None, out: Path | None, files: Path = ENVIRONMENTS
) -> int:
    """Deploy the base's stacks, then this checkout's on top, and keep the plans of the second; return 0.

    Raises:
        CannotRehearseError: there is no base, or Terraform is missing.
        UnexpectedError: the base cannot be deployed, or this checkout cannot on top of it.
    """
    if base is None or not ((base / "main.py").exists() or (base / "stacks").is_dir()):
        raise CannotRehearseError(
            "--base names no checkout (with its main.py) and no output folder (with its stacks): --base ../main"
        )
    out = out or OUT
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.json"):
        old.unlink()  # whoever reads the folder reads all of it
    workspace = Workspace.new(scratch / "diff", environment, files=files)
    before: Sequence[str] = ()
    with Cloud(workspace.cloud) as cloud:
        scene = Scene(workspace, cloud)
        if workspace.knows(base.resolve()):
            workspace.become(base.resolve())
            first_apply(scene)
            before = _stacks(workspace)
            for name in before[1:]:
                _deploy(scene, name)
        else:
            print(f"{environment} is new: the base has no such environment")
            workspace.synthesize()
            make_default_network(scene)
        workspace.become(ROOT)
        workspace.synthesize()
        after = _stacks(workspace)
        for name in after:
            _change(scene, name, out)
    for name in sorted(set(before) - set(after)):
        print(f"{name}: this stack is gone, and what it made stays: destroy it first")
    return 0


def _stacks(workspace: Workspace) -> Sequence[str]:
    """Return the environment's stacks: its own, then its cells'."""
    found = sorted(file.parent.name for file in workspace.folder.glob("cdktf.out/stacks/*/cdk.tf.json"))
    own = workspace.environment
    return [own, *(name for name in found if name.startswith(f"{own}-cell-"))]


def _deploy(scene: Scene, name: str) -> None:
    terraform = scene.terraform(name)
    terraform.init()
    terraform.plan()
    terraform.apply()


def _change(scene: Scene, name: str, out: Path) -> None:
    """Plan a stack, keep the plan, and apply it: the next stack builds on it, and what is refused is seen here."""
    terraform = scene.terraform(name)
    terraform.init()
    plan = terraform.plan()
    file = out / f"{name}.json"
    # The secrets in it are the stand-in's; the habit is the same as with real plans.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump(plan.json, written)
    print(f"{name}: {summary(plan)} (plan: {file})")
    for line in plan.lines():
        print(f"  {line}")
    terraform.apply()
    expect(terraform.is_settled(), f"{name}: the plan after that is not empty")
    print("  applied, and the next plan is empty", flush=True)
