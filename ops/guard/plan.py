"""Read what `terraform show -json PLAN` writes; anything that is not a whole plan is refused, never guessed at.

The format is Terraform's documented "JSON Output Format" (format_version 1.x), and was compared with what Terraform
1.11.4 writes for every case in tests/ops/guard.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.guard.change import Change
from ops.guard.kinds import DATA

FORMAT_MAJOR = "1"

# Terraform's jsonplan package (UnmarshalActions), and OpenTofu's for what it forgets.
_ACTIONS = frozenset(
    {
        ("no-op",),
        ("create",),
        ("read",),
        ("update",),
        ("delete",),
        ("delete", "create"),
        ("create", "delete"),
        ("forget",),
        ("create", "forget"),
        ("forget", "create"),
    }
)
_OTHER_FORMAT = "Use the Terraform that the README names, or teach ops/guard the new format."
_OF_A_TENANT = ("slug", "name", "status", "tier")
_ZIP = b"PK\x03\x04"


class UnusablePlanError(Exception):
    """A file is no plan that can be judged; one text a problem, each with its remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Plan:
    """One stack's plan, whole.

    Attributes:
        stack: the stack's name.
        changes: of managed resources, those without change included.
        drift: what somebody changed outside of Terraform.
        tenants_before: the output `tenants` as it is: by id, what it says of each in plain text.
        tenants_after: the same as it will be.
        is_destroy: nothing is wanted any more: `terraform plan -destroy`.
    """

    stack: str
    changes: tuple[Change, ...]
    drift: tuple[Change, ...] = ()
    tenants_before: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tenants_after: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_plan(file: Path, stack: str) -> Plan:
    """Read one plan.

    Raises:
        UnusablePlanError: it is missing, no plan, not whole, or of a format that nobody here has read.
    """
    shown = _document(file)
    problems = [f"{file}: {problem}" for problem in _problems(shown)]
    if problems:
        raise UnusablePlanError(problems)
    changes = tuple(_changes(file, shown, "resource_changes", stack))
    if silent := _unmentioned(shown, changes):
        raise UnusablePlanError(
            [
                f"{file}: it says nothing about {address}, which exists and holds data\n"
                "    Make a whole plan, without -target and -exclude."
                for address in silent
            ]
        )
    return Plan(
        stack,
        changes,
        tuple(_changes(file, shown, "resource_drift", stack)),
        _tenants(shown.get("prior_state", {}).get("values", {})),
        _tenants(shown["planned_values"]),
    )


def _document(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UnusablePlanError(
            [f"{file}: cannot be read: {error.strerror}\n    Name a file with a plan in JSON."]
        ) from None
    if content.startswith(_ZIP):
        raise UnusablePlanError(
            [f"{file}: this is Terraform's own plan file\n    terraform show -json {file.name} > plan.json"]
        )
    try:
        shown = json.loads(content)
    except (ValueError, RecursionError):
        raise UnusablePlanError(
            [f"{file}: this is not JSON\n    Write it with: terraform show -json plan > plan.json"]
        ) from None
    if not isinstance(shown, dict):
        raise UnusablePlanError(
            [f"{file}: this is no plan\n    Write it with: terraform show -json plan > plan.json"]
        )
    return shown


def _problems(shown: dict[str, Any]) -> Iterator[str]:
    version = shown.get("format_version")
    if not isinstance(version, str) or version.partition(".")[0] != FORMAT_MAJOR:
        yield (
            f"format_version is {json.dumps(version)}, and only {FORMAT_MAJOR}.x is known here\n"
            f"    {_OTHER_FORMAT}"
        )
        return
    planned = shown.get("planned_values")
    if not isinstance(planned, dict) or not isinstance(shown.get("configuration"), dict):
        what = "a state" if "values" in shown else "no plan"
        yield f"this is {what}\n    terraform plan -out=plan, then terraform show -json plan"
        return
    if shown.get("errored") is not False:
        yield (
            "planning failed (errored), so the plan ends where the error was\n"
            "    Mend what `terraform plan` says; a plan that failed shows less than would happen."
        )
    # OpenTofu writes no `complete` (its jsonplan package, type Plan); what a -target leaves out is found below.
    elif shown.get("complete", True) is not True:
        yield (
            "the plan is not complete: something was left out or deferred\n"
            "    Make a whole plan, without -target and -exclude."
        )
    if shown.get("deferred_changes"):
        yield "changes are deferred to a later plan\n    Plan again once what they wait for is applied."


def _changes(file: Path, shown: dict[str, Any], key: str, stack: str) -> Iterator[Change]:
    entries = shown.get(key, [])
    if not isinstance(entries, list):
        raise UnusablePlanError([f"{file}: {key} is no list\n    {_OTHER_FORMAT}"])
    for place, entry in enumerate(entries):
        try:
            if entry["mode"] == "managed":
                yield _change(entry, stack)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = f": {error}" if isinstance(error, ValueError) else ""
            raise UnusablePlanError(
                [f"{file}: {key}[{place}] is not what Terraform writes{why}\n    {_OTHER_FORMAT}"]
            ) from None


def _change(entry: dict[str, Any], stack: str) -> Change:
    change = entry["change"]
    actions = tuple(change["actions"])
    if actions not in _ACTIONS:
        raise ValueError(f"the actions {json.dumps(change['actions'])} are unknown")
    before, after = change["before"] or {}, change["after"] or {}
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        raise TypeError("attributes are an object")
    return Change(
        stack=stack,
        address=str(entry["address"]),
        kind=str(entry["type"]),
        block=str(entry["name"]),
        key=entry.get("index"),
        actions=actions,
        before=before,
        after=after,
        unknown=_mapping(change.get("after_unknown")),
        hidden=_marked(change.get("before_sensitive"), before)
        | _marked(change.get("after_sensitive"), after),
        reason=str(entry.get("action_reason", "")),
        previous_address=str(entry.get("previous_address", "")),
        deposed=str(entry.get("deposed", "")),
        replace_paths=tuple(".".join(map(str, path)) for path in change.get("replace_paths", ())),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _marked(marks: Any, attributes: Mapping[str, Any]) -> frozenset[str]:
    """Return the attributes with a sensitive mark anywhere inside."""
    if marks is True:
        return frozenset(attributes)
    return frozenset(name for name, mark in _mapping(marks).items() if _any(mark))


def _any(mark: Any) -> bool:
    if isinstance(mark, Mapping):
        return any(map(_any, mark.values()))
    if isinstance(mark, list):
        return any(map(_any, mark))
    return mark is not False


def _unmentioned(shown: dict[str, Any], changes: tuple[Change, ...]) -> list[str]:
    mentioned = {change.address for change in changes} | {change.previous_address for change in changes}
    # What somebody deleted is mentioned as drift, and gone from the prior state already.
    return sorted(
        resource["address"]
        for resource in _resources(shown.get("prior_state", {}).get("values", {}).get("root_module", {}))
        if resource.get("mode") == "managed"
        and resource.get("type") in DATA
        and resource.get("address") not in mentioned
    )


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def _tenants(values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    output = _mapping(_mapping(values.get("outputs")).get("tenants"))
    if output.get("sensitive") is not False:
        return {}
    return {
        tenant: {name: str(entry.get(name) or "") for name in _OF_A_TENANT}
        for tenant, entry in _mapping(output.get("value")).items()
        if isinstance(entry, Mapping)
    }
