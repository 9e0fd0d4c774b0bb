"""Reader of what `terraform show -json PLAN` writes. It refuses everything that is not one whole plan.

ops/plan_format.py has the shapes of the format. tests/ops/guard compares them with what Terraform 1.11.4 writes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.arguments import told
from ops.change import Change, marks_any
from ops.errors import OperationError
from ops.plan_format import NotThisFormatError, check_plan, check_resource, parse

FORMAT_MAJOR = "1"

_OTHER_FORMAT = (
    "Use the Terraform version that the README names, or extend ops/plan_json.py to the new format."
)
_MAKE_JSON = "Write it with: terraform show -json plan > plan.json"
_NOTHING = (
    "there is neither a resource in its state nor a change in it, so it says nothing\n"
    f"    Every stack has resources: {_MAKE_JSON[0].lower()}{_MAKE_JSON[1:]}"
)
WHOLE = "Make a whole plan, without -target and -exclude."
_OF_A_TENANT = ("slug", "name", "status", "tier", "database")
_ZIP = b"PK\x03\x04"


class UnusablePlanError(OperationError):
    """The input is not a plan that can be judged. Each problem is one text, with its remedy on a second line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Plan:
    """One stack's whole plan.

    Attributes:
        stack: the stack's name.
        source: what messages call the input: a file, or the stack's name.
        changes: of managed resources, including those that nothing happens to.
        drift: what was changed outside of Terraform.
        relevant: the addresses that changes follow from (`relevant_attributes`).
        existing: the kind of each managed resource that exists now, by address.
        outputs: the names of the outputs that change.
        tenants_before: the output `tenants` now: by id, the texts that it has of each tenant.
        tenants_after: the output `tenants` after the apply.
    """

    stack: str
    source: str
    changes: tuple[Change, ...]
    drift: tuple[Change, ...] = ()
    relevant: frozenset[str] = frozenset()
    existing: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    tenants_before: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tenants_after: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def changed_outside(self) -> tuple[Change, ...]:
        """What was changed outside of Terraform and has to do with what the plan does.

        DigitalOcean keeps counters and lists that change all the time, and reads some attributes back as none that were
        empty. So, as in Terraform's own output, only what the plan undoes or follows from counts, and what differs.
        """
        ahead = {change.address for change in self.changes if change.actions not in {("no-op",), ("read",)}}
        told = ahead | self.relevant
        return tuple(
            change
            for change in self.drift
            if change.address in told and not (change.updates and not change.differing)
        )

    @property
    def mentioned(self) -> set[str]:
        """The addresses of all changes, before and after moves."""
        return {change.address for change in self.changes} | {
            change.previous_address for change in self.changes
        }


def read_plan(file: Path, stack: str) -> Plan:
    """Read one plan from a file.

    Raises:
        UnusablePlanError: the file cannot be read, or is not one whole plan.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UnusablePlanError(
            [f"{told(file)}: cannot be read: {error.strerror}\n    Name a file that holds a plan in JSON."]
        ) from None
    return parse_plan(content, stack, str(file))


def parse_plan(content: bytes | str, stack: str, source: str | None = None, *, partial: bool = False) -> Plan:
    """Read one plan from what `terraform show -json` wrote.

    Args:
        content: the JSON.
        stack: the stack's name.
        source: what messages call the input; None: the stack's name.
        partial: whether it may be a part of a plan that was judged as a whole (ops/waves.py).

    Raises:
        UnusablePlanError: it is not JSON, not a plan, not whole, or of a format that this reader does not know.
    """
    source = told(stack if source is None else source)
    shown = _document(content.encode() if isinstance(content, str) else content, source)
    if problems := [f"{source}: {problem}" for problem in _problems(shown, partial=partial)]:
        raise UnusablePlanError(problems)
    try:
        check_plan(shown)
        if not shown.get("resource_changes") and not any(_resources(_prior_module(shown))):
            raise UnusablePlanError([f"{source}: {_NOTHING}"])
        return _plan(source, shown, stack)
    except NotThisFormatError as error:
        raise UnusablePlanError(
            [f"{source}: this is not what Terraform writes: {error}\n    {_OTHER_FORMAT}"]
        ) from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UnusablePlanError(
            [f"{source}: this is not what Terraform writes: {error!r}\n    {_OTHER_FORMAT}"]
        ) from None


def _plan(source: str, shown: dict[str, Any], stack: str) -> Plan:
    prior = shown.get("prior_state", {}).get("values", {})
    outputs = shown.get("output_changes", {})
    return Plan(
        stack,
        source,
        tuple(_changes(source, shown, "resource_changes", stack)),
        tuple(_changes(source, shown, "resource_drift", stack)),
        frozenset(str(one["resource"]) for one in _list(source, shown, "relevant_attributes")),
        {one["address"]: one["type"] for one in _resources(_prior_module(shown)) if one["mode"] == "managed"},
        tuple(sorted(name for name, change in outputs.items() if change["actions"] != ["no-op"])),
        _tenants(prior),
        _tenants(shown["planned_values"]),
    )


def _document(content: bytes, source: str) -> dict[str, Any]:
    if content.startswith(_ZIP):
        raise UnusablePlanError([f"{source}: this is Terraform's binary plan file\n    {_MAKE_JSON}"])
    try:
        shown = parse(content)
    except NotThisFormatError as error:
        raise UnusablePlanError(
            [f"{source}: this is not what Terraform writes: {error}\n    {_MAKE_JSON}"]
        ) from None
    except (ValueError, RecursionError):
        raise UnusablePlanError([f"{source}: this is not JSON\n    {_MAKE_JSON}"]) from None
    if not isinstance(shown, dict):
        raise UnusablePlanError([f"{source}: this is not a plan\n    {_MAKE_JSON}"])
    return shown


def _problems(shown: dict[str, Any], *, partial: bool) -> Iterator[str]:
    version = shown.get("format_version")
    if not isinstance(version, str) or version.partition(".")[0] != FORMAT_MAJOR:
        yield f"format_version is {json.dumps(version)}; only {FORMAT_MAJOR}.x is supported\n    {_OTHER_FORMAT}"
        return
    if not isinstance(shown.get("planned_values"), dict) or not isinstance(shown.get("configuration"), dict):
        what = "a state, not a plan" if "values" in shown else "not a plan"
        yield f"this is {what}\n    terraform plan -out=plan, then terraform show -json plan"
        return
    if shown.get("errored") is not False:
        yield (
            "planning failed (errored), so the plan stops at the error\n"
            "    Fix what `terraform plan` reports; a failed plan shows less than an apply would do."
        )
    # OpenTofu writes no `complete` (its jsonplan package, type Plan); ops/guard/report.py finds what -target omits.
    elif shown.get("complete", True) is not True and not partial:
        yield f"the plan is not complete: something was left out or deferred\n    {WHOLE}"
    if shown.get("deferred_changes"):
        yield "changes are deferred to a later plan\n    Apply what they wait for, and plan again."


def _changes(source: str, shown: dict[str, Any], key: str, stack: str) -> Iterator[Change]:
    seen: set[tuple[str, str]] = set()
    for place, entry in enumerate(_list(source, shown, key)):
        try:
            found = check_resource(entry)
            identity = found["address"], found.get("deposed", "")
            if identity in seen:
                raise NotThisFormatError("this address stands twice")
        except NotThisFormatError as error:
            raise UnusablePlanError(
                [f"{source}: {key}[{place}] is not what Terraform writes: {error}\n    {_OTHER_FORMAT}"]
            ) from None
        seen.add(identity)
        if found["mode"] == "managed":
            yield _change(found, stack)


def _list(source: str, shown: dict[str, Any], key: str) -> list[Any]:
    entries = shown.get(key, [])
    if not isinstance(entries, list):
        raise UnusablePlanError([f"{source}: {key} is not a list\n    {_OTHER_FORMAT}"])
    return entries


def _change(entry: Mapping[str, Any], stack: str) -> Change:
    change = entry["change"]
    before, after = change.get("before") or {}, change.get("after") or {}
    return Change(
        stack=stack,
        address=entry["address"],
        kind=entry["type"],
        block=entry["name"],
        key=entry.get("index"),
        actions=tuple(change["actions"]),
        before=before,
        after=after,
        unknown=_mapping(change.get("after_unknown")),
        hidden=_marked(change.get("before_sensitive"), before)
        | _marked(change.get("after_sensitive"), after),
        reason=entry.get("action_reason", ""),
        previous_address=entry.get("previous_address", ""),
        deposed=entry.get("deposed", ""),
        replace_paths=tuple(".".join(map(str, path)) for path in change.get("replace_paths", ())),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _marked(marks: Any, attributes: Mapping[str, Any]) -> frozenset[str]:
    """Return the attributes with a sensitive mark anywhere inside."""
    if marks is True:
        return frozenset(attributes)
    return frozenset(name for name, mark in _mapping(marks).items() if marks_any(mark))


def _prior_module(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the root module of the state that a plan begins from; empty if there is no state."""
    module: Mapping[str, Any] = shown.get("prior_state", {}).get("values", {}).get("root_module", {})
    return module


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
