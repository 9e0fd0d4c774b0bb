"""Plans without Terraform: what is not known yet, and what exists already, are the same rules.

tests/stacks/test_terraform.py does the same with real first plans. Plans of what exists need an account or the
rehearsal; here they are made of a synthesized stack, in the form in which Terraform 1.11 wrote real ones.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from model.loader import load_environments
from ops.edits import by_name
from ops.reach.check import check
from ops.reach.plan import stack_of
from ops.reach.read import READ
from ops.reach.stack import Stacks, UnreadableError
from tests.support import ENVIRONMENTS, Stack

Json = dict[str, Any]

PORTS = {"pg": 25060, "valkey": 25061}
REFERENCE = re.compile(r"\$\{(?P<kind>\w+)\.(?P<name>[\w-]+(?:\[[^\]]+\])?)\.(?P<attribute>\w+)\}")


class Plan:
    """A plan of a stack: a first one, or one of what exists, whose ids and ports are known."""

    def __init__(self, stack: Json, *, exists: bool) -> None:
        self.stack = stack
        self.exists = exists
        self.found = {
            (one.kind, one.address): one.body
            for kind in READ | {"digitalocean_tag"}
            for one, _ in Stacks([stack]).of(kind)
        }

    def shown(self) -> Json:
        """What `terraform show -json` would print, as far as a reader of rules looks."""
        resources, changes = [], []
        for (kind, address), body in self.found.items():
            name, _, key = address.partition("[")
            index = json.loads(key.removesuffix("]")) if key else None
            values, unknown = self.planned(
                {name: value for name, value in body.items() if name != "for_each"}
            )
            if self.exists:
                values["id"] = f"id of {kind}.{address}"
                if "engine" in body:
                    values["port"] = PORTS[body["engine"]]
            entry = {"mode": "managed", "type": kind, "name": name, "address": f"{kind}.{address}"}
            resources.append(entry | {"values": values} | ({"index": index} if key else {}))
            changes.append({"address": f"{kind}.{address}", "change": {"after_unknown": unknown}})
        configured = [
            {"mode": "managed", "type": kind, "name": name, "expressions": expressions(body)}
            for kind in {kind for kind, _ in self.found}
            for name, body in self.stack["resource"].get(kind, {}).items()
        ]
        return {
            "planned_values": {"root_module": {"resources": resources}},
            "resource_changes": changes,
            "configuration": {"root_module": {"resources": configured}},
        }

    def planned(self, value: Any) -> tuple[Any, Any]:
        """A value as a plan has it, and what of it is not known yet."""
        if isinstance(value, dict):
            both = {name: self.planned(inner) for name, inner in value.items()}
            return (
                {name: one for name, (one, unknown) in both.items() if unknown is not True},
                {name: unknown for name, (_, unknown) in both.items() if unknown is not False},
            )
        if isinstance(value, list):
            # The provider's blocks are sets, which Terraform sorts.
            pairs = sorted(map(self.planned, value), key=lambda pair: json.dumps(pair[0], sort_keys=True))
            return [one for one, _ in pairs], [unknown for _, unknown in pairs]
        match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return value, False
        body = self.found.get((match["kind"], match["name"]), {})
        if match["attribute"] in body:
            return body[match["attribute"]], False
        if not self.exists:
            return None, True
        known = f"id of {match['kind']}.{match['name']}"
        return str(PORTS[body["engine"]]) if match["attribute"] == "port" else known, False


def expressions(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: expressions(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [expressions(inner) for inner in value]
    refers = {"references": ["as it was written"]} if "${" in json.dumps(value) else {}
    return {"constant_value": value} | refers


@pytest.mark.parametrize("exists", [False, True], ids=["first", "exists"])
def test_the_plans_of_an_environment_and_its_cell_hold_its_rules(
    exists: bool, lives: Path, staging_lives: Stack, staging_cell_2: Stack
) -> None:
    (environment,) = load_environments(lives.parent / "environments")
    own = stack_of(Plan(staging_lives.json, exists=exists).shown())
    assert check(environment, [own, staging_cell_2.json]).proved


@pytest.mark.parametrize("exists", [False, True], ids=["first", "exists"])
def test_what_a_plan_opens_is_named(exists: bool, production: Stack) -> None:
    environment = by_name(load_environments(ENVIRONMENTS))["production"]
    shown = Plan(production.json, exists=exists).shown()
    assert check(environment, [stack_of(shown)]).proved
    resources = shown["planned_values"]["root_module"]["resources"]
    worker = next(one for one in resources if one["values"].get("name") == "production-worker")
    worker["values"]["inbound_rule"][0]["source_addresses"] = ["0.0.0.0/0"]
    told = check(environment, [stack_of(shown)]).lines()
    assert any("so the internet can reach droplets of worker on 22/tcp" in line for line in told)


def test_a_plan_with_modules_proves_nothing(production: Stack) -> None:
    shown = Plan(production.json, exists=False).shown()
    shown["planned_values"]["root_module"]["child_modules"] = [{"address": "module.other"}]
    with pytest.raises(UnreadableError, match="module: what is in it is not read"):
        stack_of(shown)


WAIT = {"command": "1", "interpreter": ["python3", "-m", "ops.wait_until_serving"], "working_dir": "../../.."}


def of_kind(kind: str, *, mode: str = "managed", run: Json | None = None, provider: str = "") -> Json:
    constants = {name: {"constant_value": value} for name, value in (run or {}).items()}
    runs = {"provisioners": [{"type": "local-exec", "expressions": constants}]} if run else {}
    key = provider or kind.partition("_")[0]
    return {"mode": mode, "type": kind, "name": "x", "provider_config_key": key, "expressions": {}} | runs


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        (of_kind("terraform_data", run=WAIT), ""),
        (of_kind("terraform_data", run={"command": "doctl"}), "terraform_data.x: a provisioner runs"),
        (of_kind("digitalocean_firewall", run=WAIT), "digitalocean_firewall.x: a provisioner runs"),
        (of_kind("digitalocean_firewall", provider="digitalocean.other"), "provider digitalocean.other"),
        (of_kind("external", mode="data"), "data.external: not known"),
        (of_kind("digitalocean_tag", mode="ephemeral"), "ephemeral: what is in it is not read"),
    ],
)
def test_a_plan_that_runs_something_proves_nothing(configured: Json, said: str, production: Stack) -> None:
    shown = Plan(production.json, exists=False).shown()
    shown["configuration"]["root_module"]["resources"].append(configured)
    refused_with(shown, said)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"complete": False}, "the plan is not whole"),
        ({"errored": True}, "the plan is not whole"),
        ({"complete": True, "errored": False}, ""),
    ],
)
def test_a_plan_that_is_not_whole_proves_nothing(changed: Json, said: str, production: Stack) -> None:
    refused_with(Plan(production.json, exists=False).shown() | changed, said)


def test_a_plan_that_leaves_something_behind_proves_nothing(production: Stack) -> None:
    shown = Plan(production.json, exists=False).shown()
    shown["resource_changes"].append(
        {"address": "digitalocean_firewall.old", "change": {"actions": ["forget"]}}
    )
    refused_with(shown, "removed: what is in it is not read")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"alias": "other"}, "2 configurations, with alias"),
        ({"full_name": "registry.terraform.io/somebody/digitalocean"}, "is another provider"),
    ],
)
def test_a_plan_of_another_account_proves_nothing(given: Json, said: str, production: Stack) -> None:
    shown = Plan(production.json, exists=False).shown()
    own = {
        "name": "digitalocean",
        "full_name": "registry.terraform.io/digitalocean/digitalocean",
        "expressions": {"http_retry_max": {"constant_value": 8}},
    }
    builtin = {"name": "terraform", "full_name": "terraform.io/builtin/terraform"}
    shown["configuration"]["provider_config"] = {"digitalocean": own, "terraform": builtin}
    refused_with(shown, "")
    shown["configuration"]["provider_config"]["other"] = own | given
    refused_with(shown, said)


def refused_with(shown: Json, said: str) -> None:
    """Read a plan, which is refused with these words; with none, it is not."""
    if not said:
        stack_of(shown)
        return
    with pytest.raises(UnreadableError, match=re.escape(said)):
        stack_of(shown)
