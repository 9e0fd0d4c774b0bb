"""Judge stacks: every policy over every stack that has a shape which it can judge."""

from collections.abc import Iterable
from itertools import groupby

from policies.policy import PACK, Finding, Policy
from policies.stack import Stack


def judge(stacks: Iterable[Stack], policies: Iterable[Policy] | None = None) -> list[Finding]:
    """Return what the policies say, also where nothing is wrong."""
    ordered = sorted(stacks, key=lambda stack: stack.group)
    groups = [list(group) for _, group in groupby(ordered, key=lambda stack: stack.group)]
    return [
        finding
        for policy in (PACK.values() if policies is None else policies)
        for group in groups
        if (readable := [stack for stack in group if stack.shape in policy.shapes])
        for finding in policy.judge(policy, readable)
    ]


def broken(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that say something is wrong."""
    return [finding for finding in findings if finding.problems]
