"""The verdict on several plans."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ops.guard.exposures import exposures
from ops.guard.finding import Finding, Severity
from ops.guard.firewalls import firewalls
from ops.guard.known import know
from ops.guard.losses import losses
from ops.guard.plan import Plan, UnusablePlanError, read_plan
from ops.guard.quiet import quiet_dangers
from ops.guard.summary import Summary, summarize
from ops.guard.text import to_plain
from ops.guard.world import World

# cdktf and people call a plan so in a stack's folder; then the folder says which stack it is.
_NAMELESS = frozenset({"plan", "planned", "tfplan", "show"})


class Verdict(StrEnum):
    """What a caller does with it; the exit codes are 0, 1 and 2."""

    SAFE = "safe"
    REFUSED = "refused"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class Report:
    """Everything the guard has to say.

    Attributes:
        stacks: whose plans could be read, sorted.
        findings: what is refused and what should be looked at, sorted.
        problems: why something could not be judged.
        summary: what the plans do.
    """

    stacks: tuple[str, ...]
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]
    summary: Summary

    @property
    def verdict(self) -> Verdict:
        """What cannot be judged is never safe, whatever else was found."""
        if self.problems:
            return Verdict.UNUSABLE
        return Verdict.REFUSED if self.refused else Verdict.SAFE

    @property
    def refused(self) -> tuple[Finding, ...]:
        """Findings that stop a deploy."""
        return tuple(one for one in self.findings if one.severity is Severity.REFUSED)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings to look at."""
        return tuple(one for one in self.findings if one.severity is Severity.WARNING)


def inspect(
    files: Sequence[Path],
    *,
    environments: Path | None = None,
    locks: Iterable[Path] = (),
    first_deploys: Iterable[str] = (),
) -> Report:
    """Judge the plans in some files."""
    problems: list[str] = []
    plans: list[Plan] = []
    for file, stack in zip(files, stack_names(files), strict=True):
        try:
            plans.append(read_plan(file, stack))
        except UnusablePlanError as error:
            problems += error.problems
    if not files:
        problems.append("no plan was given\n    Name at least one file that `terraform show -json` wrote.")
    problems += _named_twice(plans)
    try:
        known = know(plans, environments, locks)
    except UnusablePlanError as error:
        problems += error.problems
        known = know(plans, None, ())
    world = World(plans, known)
    findings = [
        *losses(world, frozenset(first_deploys)),
        *firewalls(world),
        *exposures(world),
        *quiet_dangers(world),
    ]
    return Report(
        stacks=tuple(plan.stack for plan in world.plans),
        findings=tuple(
            sorted(set(findings), key=lambda one: (one.stack, one.what, one.address, one.rule, one.why))
        ),
        problems=tuple(problems),
        summary=summarize(world),
    )


def stack_names(files: Sequence[Path]) -> list[str]:
    """Name the stacks: `staging.json` is staging's, and so is `staging/plan.json`."""
    return [
        file.resolve().parent.name
        if file.name.partition(".")[0] in _NAMELESS
        else file.name.partition(".")[0]
        for file in files
    ]


def as_json(report: Report) -> dict[str, Any]:
    """Return a report for programs; no value of a plan is in it that Markdown would not show."""
    return {
        "verdict": report.verdict.value,
        "stacks": list(report.stacks),
        "problems": list(report.problems),
        "findings": [
            {
                "rule": one.rule.value,
                "severity": one.severity.value,
                "stack": one.stack,
                "address": one.address,
                "what": to_plain(one.what),
                "why": to_plain(one.why),
                "remedy": to_plain(one.remedy),
                "tenants": list(one.tenants),
            }
            for one in report.findings
        ],
        "tenants": [
            {
                "stack": one.stack,
                "id": one.tenant,
                "who": to_plain(one.who),
                "news": list(map(to_plain, one.news)),
            }
            for one in report.summary.tenants
        ],
        "sections": {
            title: [{"stack": stack, "line": to_plain(line)} for stack, line in lines]
            for title, lines in report.summary.sections.items()
        },
        "configuration": [
            {"stack": stack, "group": group, "parts": parts}
            for (stack, group), parts in report.summary.configuration.items()
        ],
        "others": [
            {"kind": kind, "what": what, "count": count}
            for (kind, what), count in sorted(report.summary.others.items())
        ],
        "drift": dict(sorted(report.summary.drift.items())),
    }


def _named_twice(plans: Sequence[Plan]) -> list[str]:
    names = [plan.stack for plan in plans]
    return [
        f"two plans are called {name}\n    Name each file after its stack: staging.json, staging-cell-2.json."
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
