"""What differs between an environment and what was merged; and the issue that says so until it does not."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ops.ci.errors import StepError
from ops.ci.github import BOT, MAX_BODY, Repository
from ops.ci.plans import PLAN, Open

SHOWN = 50
"""Addresses that a list shows at most; a drift of more is one thing, not fifty."""


@dataclass(frozen=True)
class Drift:
    """What was found: a report without any value, and whether there is something to do."""

    markdown: str
    found: bool
    problems: tuple[str, ...]


def look(stacks: Sequence[str], opened: Open) -> Drift:
    """Compare stacks with what is there. Nothing is locked or written: a read-only token and key do."""
    parts: list[str] = []
    problems: list[str] = []
    found = False
    for stack in stacks:
        try:
            differs, text = _look_at(stack, opened)
        except StepError as error:
            problems.append(str(error))
            differs, text = True, "**It cannot be planned**; the log says why."
        found = found or differs
        parts.append(f"## {stack}\n\n{text}\n")
    return Drift("\n".join(parts), found, tuple(problems))


def _look_at(stack: str, opened: Open) -> tuple[bool, str]:
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / PLAN
        terraform = opened(stack)
        if not terraform.plan(file, lock=False):
            return False, "What is there is what was merged."
        return True, describe(json.loads(terraform.show(file)))


def describe(plan: Mapping[str, Any]) -> str:
    """Say by address what differs: what was changed past Terraform, and what a deploy would do. Never a value."""
    ahead = [
        change
        for change in plan.get("resource_changes", [])
        if change["mode"] == "managed" and change["change"]["actions"] not in (["no-op"], ["read"])
    ]
    # Counters and lists that DigitalOcean keeps itself change all the time. As Terraform's own output does, only what
    # has to do with a change ahead is told: what it undoes, or what it follows from.
    told = {change["address"] for change in ahead}
    told |= {relevant["resource"] for relevant in plan.get("relevant_attributes", [])}
    outside = [
        change
        for change in plan.get("resource_drift", [])
        if change["address"] in told
        and (change["change"]["actions"] != ["update"] or _names(change["change"]))
    ]
    parts = []
    if outside:
        parts.append("Changed past Terraform since the last apply:\n\n" + _list(outside))
    if ahead:
        counts = Counter("/".join(change["change"]["actions"]) for change in ahead)
        total = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
        parts.append(f"A deploy of what was merged would do this ({total}):\n\n" + _list(ahead))
    return "\n\n".join(parts) or "Outputs alone differ: the next deploy writes them."


def _list(changes: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"- `{change['address']}`: {_what(change['change'])}" for change in changes[:SHOWN]]
    rest = len(changes) - SHOWN
    return "\n".join([*lines, *([f"- … and {rest} more"] if rest > 0 else [])])


def _what(change: Mapping[str, Any]) -> str:
    actions = "/".join(change["actions"])
    return f"{actions} of {', '.join(_names(change))}" if change["actions"] == ["update"] else actions


def _names(change: Mapping[str, Any]) -> list[str]:
    """Return the attributes that differ; nothing and empty are the same, as the provider reads one for the other."""
    before, after, unknown = (change.get(key) or {} for key in ("before", "after", "after_unknown"))
    differ = {name for name in {*before, *after} if (before.get(name) or None) != (after.get(name) or None)}
    return sorted(differ | {name for name, value in unknown.items() if value is True})


def marker(environment: str) -> str:
    """Return what an environment's issue begins with, by which it is found again."""
    return f"<!-- presence360-infrastructure: drift of {environment} -->"


def report(repository: Repository, environment: str, markdown: str, run_url: str) -> str:
    """Open or update the environment's issue, or close it where nothing differs (empty); say what was done."""
    begins = marker(environment)
    issues = repository.all("issues", state="open", creator=BOT)
    mine = next((issue for issue in issues if (issue["body"] or "").startswith(begins)), None)
    if not markdown:
        if mine is None:
            return f"{environment}: no drift, and no issue to close"
        repository.call("PATCH", f"issues/{mine['number']}", {"state": "closed"})
        return f"{environment}: no drift any more; closed issue {mine['number']}"
    body = f"{begins}\nFound by [this run]({run_url}); closed by the first run that finds none.\n\n{markdown}"
    content = {"title": f"Drift: {environment}", "body": body[:MAX_BODY]}
    if mine is None:
        made = repository.call("POST", "issues", content)
        return f"{environment}: opened issue {made['number']}"
    repository.call("PATCH", f"issues/{mine['number']}", content)
    return f"{environment}: updated issue {mine['number']}"
