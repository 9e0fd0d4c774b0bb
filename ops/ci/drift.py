"""Drift: what differs between an environment and what was merged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ops.change import Change
from ops.ci.plans import PLAN, Open
from ops.errors import OperationError
from ops.guard.roles import tenant_of
from ops.guard.text import code, safe
from ops.plan_json import Plan, parse_plan
from ops.progress import working

SHOWN = 50
"""Addresses that a list shows at most."""


@dataclass(frozen=True)
class Drift:
    """A report without any value, whether anything differs, and what could not be planned."""

    markdown: str
    found: bool
    problems: tuple[str, ...]


def look(stacks: Sequence[str], opened: Open) -> Drift:
    """Plan each stack without locking or writing anything, so that a read-only token and key are enough."""
    parts: list[str] = []
    problems: list[str] = []
    found = False
    for stack in stacks:
        try:
            differs, text = _look_at(stack, opened)
        except OperationError as error:
            problems.append(str(error))
            differs, text = True, "**It cannot be planned**; the log says why."
        found = found or differs
        parts.append(f"## {stack}\n\n{text}\n")
    return Drift("\n".join(parts), found, tuple(problems))


def _look_at(stack: str, opened: Open) -> tuple[bool, str]:
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / PLAN
        with working(f"{stack}: compare"):
            terraform = opened(stack)
            differs = terraform.plan(file, lock=False)
        if not differs:
            return False, "DigitalOcean has what was merged."
        return True, describe(parse_plan(terraform.show(file), stack))


def describe(plan: Plan) -> str:
    """Say by address what differs: what was changed outside of Terraform, and what a deploy would do. Never a value."""
    ahead = [change for change in plan.changes if change.actions not in {("no-op",), ("read",)}]
    outside = plan.changed_outside
    parts = []
    if outside:
        parts.append("Changed outside of Terraform since the last apply:\n\n" + _list(outside, plan))
    if ahead:
        counts = Counter("/".join(change.actions) for change in ahead)
        total = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
        parts.append(f"A deploy of what was merged would do this ({total}):\n\n" + _list(ahead, plan))
    return "\n\n".join(parts) or "Only outputs differ: the next deploy writes them."


def _list(changes: Sequence[Change], plan: Plan) -> str:
    lines = [f"- {code(change.address)}{_whose(change, plan)}: {_what(change)}" for change in changes[:SHOWN]]
    rest = len(changes) - SHOWN
    return "\n".join([*lines, *([f"- … and {rest} more"] if rest > 0 else [])])


def _whose(change: Change, plan: Plan) -> str:
    """Say by name which church a resource belongs to: its address has the id alone."""
    tenant = tenant_of(change)
    known = plan.tenants_after.get(tenant) or plan.tenants_before.get(tenant) or {}
    return f" of {safe(known['name'])}" if known.get("name") else ""


def _what(change: Change) -> str:
    actions = "/".join(change.actions)
    return f"{actions} of {', '.join(change.differing)}" if change.updates else actions
