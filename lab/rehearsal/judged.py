"""The plan guard's verdict on a rehearsed plan: a scenario that passes is one that the guard lets through."""

import shutil

from lab.rehearsal.changes import Plan
from lab.rehearsal.errors import expect
from lab.rehearsal.workspace import Workspace
from model.known_tenants import LOCK_FILE
from ops.guard.finding import Finding
from ops.guard.known import LockFile
from ops.guard.report import Verdict, judge
from ops.guard.text import to_plain

DEPLOYED = "deployed"
"""The folder with the lock of what is deployed, which the guard compares with."""


def check(workspace: Workspace, plan: Plan, *, first: bool = False) -> None:
    """Have the guard judge a plan as CI does before a deploy (docs/plan-guard.md).

    Raises:
        UnexpectedError: it refuses the plan, or cannot judge it.
    """
    lock = workspace.folder / DEPLOYED / f"{workspace.environment}.lock"
    report = judge(
        [plan.whole],
        environments=workspace.folder / "environments",
        locks=[LockFile.read(lock)] if lock.exists() else [],
        first_deploys=[plan.whole.stack] if first else [],
    )
    why = "\n".join([*report.problems, *map(_words, report.refused)])
    expect(report.verdict is Verdict.SAFE, f"the plan guard refuses:\n{why}")


def _words(finding: Finding) -> str:
    return to_plain(f"{finding.what}: {finding.why}")


def remember(workspace: Workspace) -> None:
    """Keep the lock of what is deployed now."""
    lock = workspace.folder / "environments" / workspace.environment / LOCK_FILE
    if lock.exists():
        (workspace.folder / DEPLOYED).mkdir(exist_ok=True)
        shutil.copy(lock, workspace.folder / DEPLOYED / f"{workspace.environment}.lock")
