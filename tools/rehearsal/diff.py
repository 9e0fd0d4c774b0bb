"""What a checkout would change in an environment that another one deployed: both rehearsed, no credentials needed."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from tools.rehearsal.changes import summary
from tools.rehearsal.cloud import Cloud
from tools.rehearsal.errors import CannotRehearseError
from tools.rehearsal.runner import first_apply
from tools.rehearsal.scene import Scene
from tools.rehearsal.workspace import ROOT, Workspace

OUT = Path("rehearsal")
"""Where the plans go unless told otherwise."""


def main(scratch: Path, environment: str, base: Path | None, out: Path | None) -> int:
    """Deploy the base's stacks, plan this checkout's on top, and write the plans; return 0.

    Raises:
        CannotRehearseError: there is no base, or Terraform is missing.
        UnexpectedError: the base cannot be deployed, or this checkout's plan fails.
    """
    if base is None or not ((base / "main.py").exists() or (base / "stacks").is_dir()):
        raise CannotRehearseError(
            "--base names no checkout (with its main.py) and no output folder (with its stacks)"
        )
    out = out or OUT
    out.mkdir(parents=True, exist_ok=True)
    workspace = Workspace.new(scratch / "diff", environment, base.resolve())
    with Cloud(workspace.cloud) as cloud:
        scene = Scene(workspace, cloud)
        first_apply(scene)
        before = _stacks(workspace)
        for name in before[1:]:
            _deploy_cell(scene, name)
        workspace.become(ROOT)
        workspace.synthesize()
        after = _stacks(workspace)
        for name in after:
            _plan(scene, name, out, fresh=name not in before)
    for name in sorted(set(before) - set(after)):
        print(f"{name}: this stack is gone, and what it made stays: destroy it first")
    return 0


def _stacks(workspace: Workspace) -> Sequence[str]:
    """Return the environment's stacks: its own, then its cells'."""
    found = sorted(file.parent.name for file in workspace.folder.glob("cdktf.out/stacks/*/cdk.tf.json"))
    own = workspace.environment
    return [own, *(name for name in found if name.startswith(f"{own}-cell-"))]


def _deploy_cell(scene: Scene, name: str) -> None:
    terraform = scene.terraform(name)
    terraform.init()
    terraform.plan()
    terraform.apply()


def _plan(scene: Scene, name: str, out: Path, *, fresh: bool) -> None:
    terraform = scene.terraform(name)
    if fresh or not (scene.workspace.data(name)).exists():
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
