"""The shapes of Terraform's documented plan format; everything else is refused, because nobody knows what it means.

The format is Terraform's "JSON Output Format" (format_version 1.x). What Terraform writes has each of these shapes
(internal/command/jsonplan, `Plan`, `ResourceChange` and `Change`); what a person edited by hand often has not.
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

# Terraform's jsonplan package (UnmarshalActions), and OpenTofu's for `forget`. With each: whether there is an object
# before and after it. A resource that is gone outside and no longer wanted is `no-op` with neither.
ACTIONS: Mapping[tuple[str, ...], tuple[bool, bool]] = {
    ("no-op",): (True, True),
    ("create",): (False, True),
    ("read",): (False, True),
    ("update",): (True, True),
    ("delete",): (True, False),
    ("delete", "create"): (True, True),
    ("create", "delete"): (True, True),
    ("forget",): (True, False),
    ("create", "forget"): (True, True),
    ("forget", "create"): (True, True),
}
_OPTIONAL_TEXTS = ("previous_address", "deposed", "action_reason", "module_address", "provider_name")


class NotThisFormatError(ValueError):
    """A part has another shape than the format says; the message has no value of the plan."""


def parse(content: bytes) -> Any:
    """Parse JSON in which no key stands twice and every number is one.

    Raises:
        NotThisFormatError: a key stands twice in one object: which of the two counts depends on the reader.
        ValueError: it is not JSON.
        RecursionError: it is nested more deeply than can be read.
    """
    return json.loads(content, object_pairs_hook=_unique, parse_constant=_no_number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotThisFormatError("a key stands twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    raise NotThisFormatError(f"{name} is no number")


def check_plan(shown: Mapping[str, Any]) -> None:
    """Check the parts of a plan that are not lists of resources.

    Raises:
        NotThisFormatError: a part has another shape.
    """
    for key in ("prior_state", "output_changes", "variables", "planned_values", "configuration"):
        _require(isinstance(shown.get(key, {}), dict), f"{key} is not an object")
    _require(isinstance(shown.get("complete", True), bool), "complete is neither true nor false")
    for change in shown.get("output_changes", {}).values():
        _require(
            isinstance(change, dict) and _are_texts(change.get("actions")), "output_changes has no actions"
        )
    relevant = shown.get("relevant_attributes", [])
    _require(
        isinstance(relevant, list)
        and all(isinstance(one, dict) and isinstance(one.get("resource"), str) for one in relevant),
        "relevant_attributes is not a list of resources",
    )
    values = shown.get("prior_state", {}).get("values", {})
    _require(isinstance(values, dict), "prior_state.values is not an object")
    _check_module(values.get("root_module", {}), "prior_state.values.root_module")


def _check_module(module: object, where: str) -> None:
    """Check a module of a state (internal/command/jsonstate, `Module` and `Resource`), and those below it."""
    if not isinstance(module, dict):
        raise NotThisFormatError(f"{where} is not an object")
    for key in ("resources", "child_modules"):
        _require(isinstance(module.get(key, []), list), f"{where}.{key} is not a list")
    for place, entry in enumerate(module.get("resources", [])):
        _require(
            isinstance(entry, dict)
            and all(isinstance(entry.get(key), str) and entry[key] for key in ("address", "type", "mode")),
            f"{where}.resources[{place}] has no address, type and mode",
        )
    for place, child in enumerate(module.get("child_modules", [])):
        _check_module(child, f"{where}.child_modules[{place}]")


def check_resource(entry: object) -> Mapping[str, Any]:
    """Return one entry of `resource_changes` or `resource_drift` that has the shape of one.

    Raises:
        NotThisFormatError: it has another shape.
    """
    if not isinstance(entry, dict):
        raise NotThisFormatError("it is not an object")
    for key in ("address", "type", "name"):
        _require(isinstance(entry.get(key), str) and entry[key], f"{key} is not a text")
    _require(entry.get("mode") in ("managed", "data"), "mode is neither managed nor data")
    for key in _OPTIONAL_TEXTS:
        _require(isinstance(entry.get(key, ""), str), f"{key} is not a text")
    index = entry.get("index")
    _require(index is None or type(index) in {str, int}, "index is neither a text nor a number")
    _require(isinstance(entry.get("change"), dict), "change is not an object")
    _check_change(entry["change"], entry["mode"])
    return entry


def _check_change(change: Mapping[str, Any], mode: str) -> None:
    actions = change.get("actions")
    _require(
        _are_texts(actions) and tuple(actions or ()) in ACTIONS,
        f"the actions {json.dumps(actions)} are unknown",
    )
    kind = tuple(actions or ())
    before, after = change.get("before"), change.get("after")
    for attributes in (before, after):
        _require(attributes is None or isinstance(attributes, dict), "attributes are not an object")
    for key in ("after_unknown", "before_sensitive", "after_sensitive"):
        _require(isinstance(change.get(key, {}), (dict, bool)), f"{key} is not an object")
    paths = change.get("replace_paths", [])
    _require(
        isinstance(paths, list) and all(isinstance(one, list) for one in paths), "replace_paths is not a list"
    )
    if mode == "data":
        return
    _require(kind != ("read",), "a managed resource is not read")
    if kind == ("no-op",):
        _require(before == after, "the action is no-op, and something changes")
        return
    exists, stays = ACTIONS[kind]
    wrong = [
        word
        for word, is_, has in (("before", exists, before), ("after", stays, after))
        if is_ is not (has is not None)
    ]
    _require(
        not wrong,
        f"the actions {json.dumps(actions)} and what is {' and '.join(wrong)} contradict each other",
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _require(condition: object, otherwise: str) -> None:
    if not condition:
        raise NotThisFormatError(otherwise)
