"""What a checkout would change in an environment that another checkout deployed. It needs no credentials."""

import os
from collections.abc import Sequence
from pathlib import Path

from lab.rehearsal.changes import summary
from lab.rehearsal.cloud import Cloud
from lab.rehearsal.errors import CannotRehearseError, expect
from lab.rehearsal.runner import first_apply, make_default_network
from lab.rehearsal.scene import Scene
from lab.rehearsal.terraform import PLAN_FILE
from lab.rehearsal.workspace import Workspace
from ops.paths import ENVIRONMENTS, ROOT

OUT = Path("cdktf.out/rehearsal")
"""The default folder of the plans."""


def main(
    scratch: Path, environment: str, base: Path | None, out: Path | None, files: Path = ENVIRONMENTS
) -> int:
    """Deploy the base's stacks, then this checkout's on top, and keep the second plans; return 0.

    Raises:
        CannotRehearseError: there is no base, or Terraform is missing.
        UnexpectedError: the base cannot be deployed, or this checkout cannot on top of it.
    """
    if base is None or not ((base / "main.py").exists() or (base / "stacks").is_dir()):
        raise CannotRehearseError(
            "--base has to name a checkout (with main.py) or an output folder (with stacks/): --base ../main"
        )
    out = out or OUT
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.json"):
        old.unlink()  # all files of the folder are judged together
    workspace = Workspace.new(scratch / "diff", environment, files=files)
    before: Sequence[str] = ()
    with Cloud(workspace.cloud) as cloud:
        scene = Scene(workspace, cloud)
        if workspace.knows(base.resolve()):
            workspace.become(base.resolve())
            first_apply(scene)
            before = _stacks(workspace)
            for name in before[1:]:
                scene.deploy(name)
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
        print(f"{name}: this stack is no longer in the program, and its resources stay: destroy it first")
    return 0


def _stacks(workspace: Workspace) -> Sequence[str]:
    """Return the environment's stacks: its own, then its cells'."""
    found = sorted(file.parent.name for file in workspace.folder.glob("cdktf.out/stacks/*/cdk.tf.json"))
    own = workspace.environment
    return [own, *(name for name in found if name.startswith(f"{own}-cell-"))]


def _change(scene: Scene, name: str, out: Path) -> None:
    """Plan a stack, keep the plan, and apply it: the next stack builds on it, and refusals are seen here."""
    terraform = scene.terraform(name)
    terraform.install()
    plan = terraform.make_plan()
    file = out / f"{name}.json"
    # A plan holds secrets. These are made up, but the file mode is the same as for real plans.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(terraform.show(PLAN_FILE))
    print(f"{name}: {summary(plan)} (plan: {file})")
    for line in plan.lines():
        print(f"  {line}")
    terraform.apply_plan()
    expect(terraform.is_settled(), f"{name}: the plan after that is not empty")
    print("  applied, and the next plan is empty", flush=True)
