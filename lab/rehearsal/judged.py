"""What the plan guard says of a rehearsed plan: a scenario that passes is one that the guard lets through."""

import json
import shutil

from lab.rehearsal.changes import Plan
from lab.rehearsal.errors import expect
from lab.rehearsal.workspace import Workspace
from model.known_tenants import LOCK_FILE
from ops.guard.report import Verdict, inspect

DEPLOYED = "deployed"
"""The folder with the lock of what is deployed, which the guard compares with."""


def judge(workspace: Workspace, stack: str, plan: Plan, *, first: bool) -> None:
    """See to it that the guard lets a plan through, as CI asks it before a deploy (docs/plan-guard.md).

    Raises:
        UnexpectedError: it refuses, or cannot judge.
    """
    folder = workspace.folder / DEPLOYED
    folder.mkdir(exist_ok=True)
    file = folder / f"{stack}.json"
    file.write_text(json.dumps(plan.json), encoding="utf-8")
    lock = folder / f"{workspace.environment}.lock"
    report = inspect(
        [file],
        environments=workspace.folder / "environments",
        locks=[lock] if lock.exists() else [],
        first_deploys=[stack] if first else [],
    )
    why = [
        *report.problems,
        *(f"{one.what}: {one.why}" for one in report.findings if one.severity == "refused"),
    ]
    expect(report.verdict is Verdict.SAFE, "the plan guard refuses:\n" + "\n".join(why))


def remember(workspace: Workspace) -> None:
    """Keep the lock of what is now deployed."""
    lock = workspace.folder / "environments" / workspace.environment / LOCK_FILE
    if lock.exists():
        (workspace.folder / DEPLOYED).mkdir(exist_ok=True)
        shutil.copy(lock, workspace.folder / DEPLOYED / f"{workspace.environment}.lock")
