"""The builder's plans against Terraform's own: the corpus is worth what it has in common with these."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.plans.environment import GRACE, HOPE, RIVER, STAGING, situation
from lab.plans.planner import Situation
from lab.plans.resources import COMPUTED
from lab.plans.tenants import ACTIVE_DATABASE
from model import addresses
from model.addresses import DATABASE
from ops.guard.kinds import DATA, REBUILT
from ops.guard.shown import SHOWN
from tests.ops.guard.cases import edited, renamed, unchanged, without
from tests.ops.guard.guard import judge
from tests.ops.guard.lost_resources import CONTROL_PLANE, SHARED, VALKEY, VOLUME, ZONE
from tests.ops.guard.lost_tenants import active, retired
from tests.ops.guard.real import Terraform, only_kinds

pytestmark = [pytest.mark.terraform, pytest.mark.usefixtures("provider")]

BASE = STAGING.but(snapshot="drill")
EXPORTS = str(addresses.EXPORTS_BUCKET)
POSTGRES_FIREWALL = str(addresses.postgres_firewall("shared"))
OWN = {"tier": "dedicated", "own_cluster": "db-s-2vcpu-4gb"}


def _spoiled() -> Situation:
    """Everything at once that does not depend on each other: tainted, -replace, deposed, forced, renamed."""
    it = unchanged(BASE)
    it.tainted |= {active(GRACE), EXPORTS}
    it.replaced.add(active(HOPE))
    it.deposed |= {ZONE, active(RIVER)}
    edited(it, VOLUME, name="another")
    edited(it, str(addresses.config_bucket("app")), region="ams3")
    edited(it, str(addresses.config_bucket("worker")), name="another")
    return renamed(it, CONTROL_PLANE, "control-plane_elsewhere_FFFFFFFF")


def _forgotten() -> Situation:
    it = without(unchanged(BASE), *map(active, (GRACE, HOPE, RIVER)), ZONE)
    it.empty_blocks = ()
    it.removed |= {str(ACTIVE_DATABASE), ZONE}
    return it


def _moved_wrongly() -> Situation:
    """One to a block that is not there, one to the retired address without being retired, one to another tenant's."""
    it = situation(BASE, BASE.without(GRACE).without(HOPE))
    it.moves = [(active(GRACE), retired(GRACE)), (active(HOPE), f'{DATABASE}.nowhere_FFFFFFFF["x"]')]
    return it


def _counted() -> Situation:
    it = unchanged(BASE)
    for number, tenant in enumerate((GRACE, HOPE, RIVER)):
        renamed(it, active(tenant), ACTIVE_DATABASE.name, number)
    return it


def _in_place() -> Situation:
    it = edited(unchanged(BASE), VALKEY, region="ams3", node_count=2)
    edited(it, EXPORTS, acl="public-read", versioning=[{"enabled": False}])
    return edited(it, POSTGRES_FIREWALL, rule=[{"type": "ip_addr", "value": "0.0.0.0/0"}])


def _destroyed() -> Situation:
    it = unchanged(BASE)
    it.destroy = True
    return it


def _first() -> Situation:
    it = unchanged(BASE)
    it.there = {}
    return it


SITUATIONS: Mapping[str, Callable[[], Situation]] = {
    "nothing": lambda: unchanged(BASE),
    "first deploy": _first,
    "spoiled in many ways": _spoiled,
    "cluster renamed": lambda: edited(unchanged(BASE), SHARED, name="another"),
    "changed in place": _in_place,
    "forgotten": _forgotten,
    "moved wrongly": _moved_wrongly,
    "count": _counted,
    "destroyed": _destroyed,
    "one added, one retired, one back": lambda: situation(
        BASE.tenant(HOPE, status="retired").without(RIVER), BASE.tenant(GRACE, status="retired")
    ),
    "moved blocks left out": lambda: _without_moves(
        situation(BASE.tenant(HOPE, status="retired"), BASE.tenant(GRACE, status="retired"))
    ),
    "retired removed, own cluster retired": lambda: situation(
        BASE.tenant(HOPE, status="retired").tenant(GRACE, **OWN),
        BASE.without(HOPE).tenant(GRACE, **OWN, status="retired"),
    ),
    "own cluster removed after it was retired": lambda: situation(
        BASE.tenant(GRACE, **OWN, status="retired"), BASE.without(GRACE)
    ),
}


def _without_moves(it: Situation) -> Situation:
    it.moves = []
    return it


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: the builder's plans are not compared with its own")
    terraform = Terraform(tmp_path_factory.mktemp("real"))
    if why := terraform.prepare():
        pytest.skip(f"terraform cannot get the digitalocean/digitalocean provider here: {why}")
    return terraform


def _shape(plan: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the guard reads of each change, without values that only a real schema has."""
    return {
        (entry["address"], entry.get("deposed", "")): {
            **{
                key: entry.get(key)
                for key in ("mode", "type", "name", "index", "action_reason", "previous_address")
            },
            "actions": entry["change"]["actions"],
            "replace_paths": sorted(entry["change"].get("replace_paths", [])),
            "before": entry["change"]["before"] is None,
            "after": entry["change"]["after"] is None,
            "id is known": "id" not in entry["change"]["after_unknown"],
            "marked": sorted(
                name
                for name in COMPUTED.get(entry["type"], ())
                if (entry["change"]["before_sensitive"] or {}).get(name)
                or (entry["change"]["after_sensitive"] or {}).get(name)
            ),
        }
        for entry in plan["resource_changes"]
    }


@pytest.mark.parametrize("name", SITUATIONS)
def test_terraform_writes_what_the_builder_makes(name: str, terraform: Terraform, tmp_path: Path) -> None:
    it = only_kinds(SITUATIONS[name]())
    real, made = terraform.plan_of(it), it.plan()
    assert _shape(made) == _shape(real)
    keys = {
        "resource_changes",
        "planned_values",
        "prior_state",
        "configuration",
        "format_version",
        "complete",
    }
    if not it.there:
        keys.discard("prior_state")
    assert keys <= real.keys()
    said = [
        {
            (one.rule, one.address, one.what, one.why)
            for one in judge(tmp_path / which, {"staging": plan}).findings
        }
        for which, plan in (("real", real), ("made", made))
    ]
    assert said[0] == said[1]


def test_a_plan_that_failed_is_written_and_marked(terraform: Terraform, tmp_path: Path) -> None:
    """`prevent_destroy` makes planning fail, and Terraform writes the plan all the same."""
    terraform.plan_of(only_kinds(unchanged(BASE)))
    file = terraform.folder / "main.tf.json"
    configuration = json.loads(file.read_text())
    configuration["resource"]["digitalocean_domain"][addresses.DOMAIN.name] = {
        "name": "another.example",
        "lifecycle": {"prevent_destroy": True},
    }
    file.write_text(json.dumps(configuration))
    ended = terraform.run("plan", "-refresh=false", "-input=false", "-no-color", "-out=planned")
    assert ended.returncode == 1
    assert "Instance cannot be destroyed" in ended.stderr
    report = judge(tmp_path, {"staging": terraform.run("show", "-json", "planned").stdout})
    assert report.verdict == "unusable"
    assert "planning failed (errored)" in report.problems[0]


def test_the_tables_name_kinds_and_attributes_of_the_provider(terraform: Terraform) -> None:
    shown = terraform.run("providers", "schema", "-json")
    (schema,) = json.loads(shown.stdout)["provider_schemas"].values()
    kinds = set(schema["resource_schemas"])
    assert (DATA.keys() | REBUILT) - kinds == {"terraform_data"}
    for kind, attributes in SHOWN.items():
        block = schema["resource_schemas"][kind]["block"]
        known = block["attributes"] | block.get("block_types", {})
        assert attributes <= known.keys(), kind
        assert not any(known[name].get("sensitive") for name in attributes), kind
