"""The verdict on several plans."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from ops.arguments import told
from ops.guard.accepted import Accepted, Losses
from ops.guard.attributes import unknown_types
from ops.guard.empty_state import empty_states
from ops.guard.exposures import exposures
from ops.guard.finding import Finding, Severity
from ops.guard.firewalls import firewalls
from ops.guard.interruptions import interruptions
from ops.guard.kinds import holds_data
from ops.guard.known import Exists, LockFile, know
from ops.guard.losses import losses
from ops.guard.lost_outside import lost_outside
from ops.guard.quiet import quiet_dangers
from ops.guard.summary import Summary, summarize
from ops.guard.world import World
from ops.plan_json import WHOLE, Plan, UnusablePlanError, read_plan

_NOT_JUDGED = "Plan again. If Terraform itself wrote this, extend ops/guard/attributes.py to what it means."

# Names of a plan in a stack's folder: there the folder names the stack.
_NAMELESS = frozenset({"plan", "planned", "tfplan", "show"})


class Verdict(StrEnum):
    """The verdict; the exit codes are 0, 1 and 2."""

    SAFE = "safe"
    REFUSED = "refused"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class Report:
    """Everything that the guard finds.

    Attributes:
        stacks: the stacks whose plans could be read, sorted.
        findings: refusals and warnings, sorted.
        problems: why plans could not be judged.
        summary: what the plans do.
        unplanned: the stacks that could not be planned, sorted.
    """

    stacks: tuple[str, ...]
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]
    summary: Summary
    unplanned: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict. With any problem it is "unusable": what cannot be judged is never safe."""
        if self.problems or self.unplanned:
            return Verdict.UNUSABLE
        return Verdict.REFUSED if self.refused else Verdict.SAFE

    @property
    def refused(self) -> tuple[Finding, ...]:
        """Findings that stop a deploy."""
        return tuple(one for one in self.findings if one.severity is Severity.REFUSED)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that a reviewer should read."""
        return tuple(one for one in self.findings if one.severity is Severity.WARNING)


def judge(
    plans: Sequence[Plan],
    *,
    environments: Path | None = None,
    locks: Iterable[LockFile] = (),
    first_deploys: Iterable[str] = (),
    exists: Exists | None = None,
    accepted: Losses | None = None,
    today: date | None = None,
    problems: Iterable[str] = (),
    unplanned: Iterable[str] = (),
) -> Report:
    """Judge plans together.

    Args:
        plans: one of each stack.
        environments: the folder of the operators' files that the plans were made from; None: not known.
        locks: the tenants.lock files of what is deployed.
        first_deploys: the stacks of which nothing exists yet, according to the operator.
        exists: of stacks whose plan makes everything, what DigitalOcean has under those names; a stack that is missing
            was not asked about.
        accepted: what people have accepted as lost (ops/guard/accepted.py); None: nothing.
        today: the day in UTC by which an acceptance ends; None: as the clock says.
        problems: why other plans could not be read. With any problem the verdict is "unusable".
        unplanned: the stacks of which there is no plan, because planning failed; the verdict is "unusable".
    """
    found = list(problems)
    if not plans and not found:
        found.append("no plan was given\n    Name at least one file that `terraform show -json` wrote.")
    found += _named_twice(plans)
    whole = []
    for plan in plans:
        if missing := [*_unmentioned(plan), *(f"{one}\n    {_NOT_JUDGED}" for one in unknown_types(plan))]:
            found += missing
        else:
            whole.append(plan)
    try:
        known = know(whole, environments, locks, exists)
    except UnusablePlanError as error:
        found += error.problems
        known = know(whole, None, ())
    try:
        findings, summary = _look(World(whole, known), frozenset(first_deploys), Accepted.of(accepted, today))
    except (TypeError, AttributeError, KeyError, ValueError, IndexError) as error:
        # A rule has met a value that no table of types knows. What it did not understand it has not judged.
        found.append(
            f"{_of_all(whole)}: this plan cannot be judged: {type(error).__name__}\n    {_NOT_JUDGED}"
        )
        whole = []
        findings, summary = _look(World(whole, know(whole, None, ())), frozenset(), Accepted.of(None, today))
    return Report(
        stacks=tuple(sorted(plan.stack for plan in whole)),
        findings=tuple(
            sorted(findings, key=lambda one: (one.stack, one.what, one.address, one.rule, one.why))
        ),
        problems=tuple(found),
        summary=summary,
        unplanned=tuple(sorted(unplanned)),
    )


def _look(world: World, first_deploys: frozenset[str], accepted: Accepted) -> tuple[set[Finding], Summary]:
    """Return what all rules find, and what the plans do."""
    findings = {
        *losses(world),
        *lost_outside(world, accepted),
        *empty_states(world, first_deploys),
        *firewalls(world),
        *exposures(world),
        *quiet_dangers(world),
        *interruptions(world),
    }
    return findings, summarize(world)


def _of_all(plans: Iterable[Plan]) -> str:
    return ", ".join(plan.source for plan in plans)


def read_plans(files: Sequence[Path]) -> tuple[list[Plan], list[str]]:
    """Read plans from files that are named after their stacks; return them, and why others could not be read."""
    plans, problems = list[Plan](), list[str]()
    for file, stack in zip(files, stack_names(files), strict=True):
        try:
            plans.append(read_plan(file, stack))
        except UnusablePlanError as error:
            problems += error.problems
    return plans, problems


def read_locks(files: Iterable[Path]) -> tuple[list[LockFile], list[str]]:
    """Read tenants.lock files; return them, and why others could not be read."""
    locks, problems = list[LockFile](), list[str]()
    for file in files:
        try:
            locks.append(LockFile.read(file))
        except UnusablePlanError as error:
            problems += error.problems
    return locks, problems


def stack_names(files: Sequence[Path]) -> list[str]:
    """Return the stacks of files: `staging.json` is a plan of staging, and so is `staging/plan.json`."""
    return [
        file.resolve().parent.name
        if file.name.partition(".")[0] in _NAMELESS
        else file.name.partition(".")[0]
        for file in files
    ]


def _named_twice(plans: Sequence[Plan]) -> list[str]:
    names = [plan.stack for plan in plans]
    return [
        f"two plans are called {told(name)}\n    Name each file after its stack: staging.json, staging-cell-2.json."
        for name in sorted(set(names))
        if names.count(name) > 1
    ]


def _unmentioned(plan: Plan) -> list[str]:
    """Find what exists and holds data, while the plan does not mention it: -target and -exclude leave things out."""
    return [
        f"{plan.source}: the plan does not mention {address}, which exists and holds data\n    {WHOLE}"
        for address in sorted(plan.existing.keys() - plan.mentioned)
        if holds_data(plan.existing[address])
    ]
