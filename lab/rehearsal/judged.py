"""The plan guard's and the policies' verdicts on a rehearsed plan: both let a scenario through."""

import shutil

from lab.rehearsal.changes import Plan
from lab.rehearsal.errors import expect
from lab.rehearsal.workspace import Workspace
from model.environment_folders import ENVIRONMENT_FILE
from model.known_tenants import LOCK_FILE
from ops.guard.accepted import of_text
from ops.guard.finding import Finding
from ops.guard.known import LockFile
from ops.guard.report import Verdict, judge
from ops.guard.text import to_plain
from policies import judge as policies
from policies.judge import broken
from policies.pack import PACK

DEPLOYED = "deployed"
"""The folder with the lock of what is deployed, which the guard compares with."""


NOT_HERE = frozenset({"CKV_P360_92"})
"""Policies about what a rehearsal changes itself: `hurry` of workspace.py takes the provider's throttle away."""


def check(workspace: Workspace, plan: Plan, *, first: bool = False) -> None:
    """Have the guard judge a plan as CI does before a deploy (docs/plan-guard.md), and the policies what will be there.

    Of a `for_each` a plan has every instance, which synthesized stacks do not always have.

    Raises:
        UnexpectedError: one of them refuses the plan, or cannot judge it.
    """
    _keeps_policies(plan)
    own = workspace.folder / "environments" / workspace.environment / ENVIRONMENT_FILE
    lock = workspace.folder / DEPLOYED / f"{workspace.environment}.lock"
    report = judge(
        [plan.whole],
        environments=workspace.folder / "environments",
        locks=[LockFile.read(lock)] if lock.exists() else [],
        first_deploys=[plan.whole.stack] if first else [],
        # A rehearsal commits nothing: its files are what was agreed on.
        accepted={workspace.environment: of_text(own.read_text(encoding="utf-8"))},
    )
    why = "\n".join([*report.problems, *map(_words, report.refused)])
    expect(report.verdict is Verdict.SAFE, f"the plan guard refuses:\n{why}")


def _keeps_policies(plan: Plan) -> None:
    if plan.planned and plan.planned.resources:
        wrong = broken(
            policies.judge([plan.planned], [one for one in PACK.values() if one.id not in NOT_HERE])
        )
        why = [f"{one.policy.id} {one.address}: {'; '.join(one.problems)}" for one in wrong]
        expect(not why, "policies do not hold:\n" + "\n".join(why))


def _words(finding: Finding) -> str:
    return to_plain(f"{finding.what}: {finding.why}")


def remember(workspace: Workspace) -> None:
    """Keep the lock of what is deployed now."""
    lock = workspace.folder / "environments" / workspace.environment / LOCK_FILE
    if lock.exists():
        (workspace.folder / DEPLOYED).mkdir(exist_ok=True)
        shutil.copy(lock, workspace.folder / DEPLOYED / f"{workspace.environment}.lock")
