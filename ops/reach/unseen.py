"""Refusal of plans that would make or run what a reader of rules does not see (policies/presence360/unseen.py)."""

from collections.abc import Mapping
from typing import Any

from ops.reach.stack import UnreadableError
from policies.presence360.unseen import unseen

Json = Mapping[str, Any]


def refuse_unseen(shown: Json) -> None:
    """Refuse a plan that would make or run what a reader of rules does not see.

    Raises:
        UnreadableError: with all there is.
    """
    found = [*unseen(_configuration(shown))]
    if shown.get("complete") is False or shown.get("errored") is True:
        found.append("the plan is not whole: plan without -target, until there is no error")
    if found:
        raise UnreadableError("\n".join(["the plan proves nothing:", *found]))


def _configuration(shown: Json) -> dict[str, Any]:
    """Return what a plan's configuration has beside rules, in the form of a stack."""
    configuration = shown["configuration"]
    root = configuration["root_module"]
    found: dict[str, Any] = {}
    for one in root.get("resources", ()):
        section = {"managed": "resource"}.get(one["mode"], one["mode"])
        body: dict[str, Any] = {}
        if "." in one.get("provider_config_key", ""):
            body["provider"] = one["provider_config_key"]
        if "provisioners" in one:
            body["provisioner"] = [
                {run["type"]: _constants(run.get("expressions", {}))} for run in one["provisioners"]
            ]
        found.setdefault(section, {}).setdefault(one["type"], {})[one["name"]] = body
    planned = shown["planned_values"].get("root_module", {})
    if root.get("module_calls") or planned.get("child_modules"):
        found["module"] = {}
    if any("forget" in one["change"].get("actions", ()) for one in shown.get("resource_changes", ())):
        found["removed"] = {}
    given = configuration.get("provider_config", {}).values()
    ours = [one for one in given if one.get("full_name") != "terraform.io/builtin/terraform"]
    found["terraform"] = {
        "required_providers": {one["name"]: {"source": one.get("full_name")} for one in ours}
    }
    found["provider"] = {}
    for one in ours:
        alias = {"alias": one["alias"]} if "alias" in one else {}
        if alias or "expressions" in one:
            found["provider"].setdefault(one["name"], []).append(
                alias | _constants(one.get("expressions", {}))
            )
    return found


def _constants(expressions: Json) -> dict[str, Any]:
    return {
        name: one.get("constant_value") if isinstance(one, dict) else one for name, one in expressions.items()
    }
