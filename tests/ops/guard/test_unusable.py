"""What is no whole plan is never called safe: exit code 2, and what is wrong."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.plans.environment import GRACE, STAGING
from lab.plans.tenants import ACTIVE_DATABASE
from model.addresses import (
    BUCKET,
    CLUSTER,
    CLUSTER_FIREWALL,
    DATABASE,
    DROPLET,
    FIREWALL,
    OBJECT,
    POOL,
)
from ops.guard import report as reports
from ops.guard.__main__ import main
from ops.guard.finding import Finding
from ops.guard.markdown import MARKER
from ops.guard.world import World
from tests.ops.guard.cases import unchanged
from tests.ops.guard.guard import judge, write
from tests.ops.guard.lost_resources import SHARED

Plan = dict[str, Any]


WITHOUT_RESOURCES: tuple[Plan, ...] = (
    {},
    {"values": {}},
    {"values": {"root_module": {}}},
    {"values": {"outputs": {}}},
    {"values": {"root_module": {"resources": [], "child_modules": [{}]}}},
)


def _with(**keys: Any) -> Callable[[], object]:
    return lambda: {**unchanged(STAGING).plan(), **keys}


def _lacking(*keys: str) -> Callable[[], object]:
    return lambda: {key: value for key, value in unchanged(STAGING).plan().items() if key not in keys}


def _first_change(**keys: Any) -> Callable[[], object]:
    def make() -> Plan:
        plan = unchanged(STAGING).plan()
        entry = {**plan["resource_changes"][0], **keys}
        plan["resource_changes"][0] = {key: value for key, value in entry.items() if value is not None}
        return plan

    return make


def _actions(*actions: str) -> Callable[[], object]:
    return _first_change(change={"actions": list(actions), "before": {}, "after": {}})


def _silent_about(address: str) -> Callable[[], object]:
    def make() -> Plan:
        plan = unchanged(STAGING).plan()
        plan["resource_changes"] = [one for one in plan["resource_changes"] if one["address"] != address]
        return plan

    return make


def _set_in_first(key: str, value: object) -> Callable[[], object]:
    def make() -> Plan:
        plan = unchanged(STAGING).plan()
        plan["resource_changes"][0][key] = value
        return plan

    return make


def _twice() -> Plan:
    plan = unchanged(STAGING).plan()
    plan["resource_changes"].append(plan["resource_changes"][0])
    return plan


def _attribute(kind: str, name: str, value: object) -> Callable[[], object]:
    """Make a resource of a kind with one attribute whose type the provider never writes."""

    def make() -> Plan:
        plan = unchanged(STAGING).plan()
        change = {
            "actions": ["create"],
            "before": None,
            "after": {"name": "x", name: value},
            "after_unknown": {},
        }
        entry = {"address": f"{kind}.odd", "mode": "managed", "type": kind, "name": "odd", "change": change}
        plan["resource_changes"].append(entry)
        return plan

    return make


WRONG_TYPES: Sequence[tuple[str, str, object]] = (
    (CLUSTER_FIREWALL, "rule", "ip_addr"),
    (CLUSTER_FIREWALL, "rule", [["ip_addr", "0.0.0.0/0"]]),
    (CLUSTER_FIREWALL, "rule", {"type": "ip_addr", "value": "0.0.0.0/0"}),
    (CLUSTER_FIREWALL, "rule", [{"type": "ip_addr", "value": 0}]),
    (CLUSTER_FIREWALL, "cluster_id", ["x"]),
    (CLUSTER, "id", {}),
    (CLUSTER, "node_count", "3"),
    (CLUSTER, "size", 7),
    (BUCKET, "acl", ["public-read"]),
    (BUCKET, "acl", True),
    (BUCKET, "versioning", {"enabled": False}),
    (BUCKET, "lifecycle_rule", [{"expiration": {"days": 1}}]),
    (OBJECT, "content", {"status": "active"}),
    ("digitalocean_spaces_bucket_policy", "policy", {"Statement": []}),
    (DROPLET, "tags", "staging"),
    (DROPLET, "tags", [["staging"]]),
    (POOL, "droplet_template", {"tags": ["staging"]}),
    (POOL, "droplet_template", [{"tags": "staging"}]),
    (FIREWALL, "inbound_rule", "tcp"),
    (FIREWALL, "inbound_rule", [{"protocol": "tcp", "source_addresses": "0.0.0.0/0"}]),
    (DATABASE, "name", 5),
)
"""Kind, attribute, and a value of another type."""

CASES: Mapping[str, tuple[Callable[[], object], str]] = {
    "errored": (_with(errored=True, complete=False), "planning failed (errored)"),
    "errored only": (_with(errored=True), "planning failed (errored)"),
    "says nothing of errors": (_lacking("errored"), "planning failed (errored)"),
    "incomplete, as with -target": (_with(complete=False), "the plan is not complete"),
    "deferred changes": (
        _with(deferred_changes=[{"reason": "provider_config_unknown"}]),
        "changes are deferred",
    ),
    "another major format": (_with(format_version="2.0"), 'format_version is "2.0"; only 1.x is supported'),
    "no format": (_lacking("format_version"), "format_version is null"),
    "a format that is a number": (_with(format_version=1.2), "format_version is 1.2"),
    "a state": (
        lambda: {"format_version": "1.0", "values": {"root_module": {}}},
        "this is a state, not a plan",
    ),
    "an empty state": (lambda: {"format_version": "1.0"}, "this is not a plan"),
    "no planned values": (_lacking("planned_values"), "this is not a plan"),
    "no configuration": (_lacking("configuration"), "this is not a plan"),
    "a list": (lambda: [], "this is not a plan"),
    "an empty file": (lambda: "", "this is not JSON"),
    "no JSON": (lambda: "Terraform will perform the following actions:", "this is not JSON"),
    "half a file": (lambda: json.dumps(unchanged(STAGING).plan())[:5000], "this is not JSON"),
    "Terraform's own file": (lambda: "PK\x03\x04 and so on", "this is Terraform's binary plan file"),
    "an unknown action": (_actions("obliterate"), 'the actions ["obliterate"] are unknown'),
    "an unknown pair of actions": (_actions("delete", "forget"), "are unknown"),
    "no actions": (_actions(), "the actions [] are unknown"),
    "a change without a change": (
        _first_change(change=None),
        "resource_changes[0] is not what Terraform writes",
    ),
    "a change without an address": (
        _first_change(address=None),
        "resource_changes[0] is not what Terraform writes",
    ),
    "a change without a mode": (_first_change(mode=None), "resource_changes[0] is not what Terraform writes"),
    "changes that are text": (
        _with(resource_changes=["x"]),
        "resource_changes[0] is not what Terraform writes",
    ),
    "drift that is text": (_with(resource_drift=["x"]), "resource_drift[0] is not what Terraform writes"),
    "outputs that are a list": (_with(output_changes=[7]), "this is not what Terraform writes"),
    "relevant attributes that are text": (
        _with(relevant_attributes=["x"]),
        "this is not what Terraform writes",
    ),
    "a prior state that is text": (_with(prior_state="x"), "this is not what Terraform writes"),
    "changes that are no list": (_with(resource_changes=7), "resource_changes is not a list"),
    "attributes that are text": (
        _first_change(change={"actions": ["update"], "before": "x", "after": {}}),
        "resource_changes[0] is not what Terraform writes",
    ),
    "nothing at all": (
        lambda: {"format_version": "1.2", "planned_values": {}, "configuration": {}, "errored": False},
        "there is neither a resource in its state nor a change in it",
    ),
    **{
        f"no change, and a state of {json.dumps(state)}": (
            _with(resource_changes=[], prior_state=state),
            "there is neither a resource in its state nor a change in it",
        )
        for state in WITHOUT_RESOURCES
    },
    **{
        f"a state of {json.dumps(values)}": (
            _with(prior_state={"values": values}),
            f"prior_state.values{said}",
        )
        for values, said in (
            (5, " is not an object"),
            (None, " is not an object"),
            ({"root_module": 5}, ".root_module is not an object"),
            ({"root_module": {"resources": 5}}, ".root_module.resources is not a list"),
            (
                {"root_module": {"resources": ["x"]}},
                ".root_module.resources[0] has no address, type and mode",
            ),
            (
                {"root_module": {"resources": [{"address": "a.b", "type": "a"}]}},
                ".root_module.resources[0] has no address, type and mode",
            ),
            ({"root_module": {"child_modules": [5]}}, ".root_module.child_modules[0] is not an object"),
        )
    },
    "relevant attributes without a resource": (
        _with(relevant_attributes=[{}]),
        "relevant_attributes is not a list of resources",
    ),
    "a delete that is called no-op": (
        _first_change(change={"actions": ["no-op"], "before": {"name": "x"}, "after": None}),
        "the action is no-op, and something changes",
    ),
    "a delete that is called read": (
        _first_change(change={"actions": ["read"], "before": {"name": "x"}, "after": None}),
        "a managed resource is not read",
    ),
    "a delete that is called update": (
        _first_change(change={"actions": ["update"], "before": {"name": "x"}, "after": None}),
        'the actions ["update"] and what is after contradict each other',
    ),
    "a delete that is called create": (
        _first_change(change={"actions": ["create"], "before": {"name": "x"}, "after": None}),
        'the actions ["create"] and what is before and after contradict each other',
    ),
    "a delete of nothing": (
        _first_change(change={"actions": ["delete"], "before": None, "after": None}),
        'the actions ["delete"] and what is before contradict each other',
    ),
    "a mode that is null": (_set_in_first("mode", None), "mode is neither managed nor data"),
    "a mode that is a list": (_set_in_first("mode", ["managed"]), "mode is neither managed nor data"),
    "another mode": (_set_in_first("mode", "Managed"), "mode is neither managed nor data"),
    "an address that is a list": (_set_in_first("address", ["x"]), "address is not a text"),
    "a type that is null": (_set_in_first("type", None), "type is not a text"),
    "a deposed key that is false": (_set_in_first("deposed", False), "deposed is not a text"),
    "a reason that is a list": (_set_in_first("action_reason", []), "action_reason is not a text"),
    "an index that is a list": (_set_in_first("index", []), "index is neither a text nor a number"),
    "an index that is true": (_set_in_first("index", True), "index is neither a text nor a number"),
    "a change that is a list": (_set_in_first("change", []), "change is not an object"),
    "an address twice": (_twice, "this address stands twice"),
    "a key twice": (
        lambda: json.dumps(unchanged(STAGING).plan()).replace(
            '"mode": "managed"', '"mode": "data", "mode": "managed"', 1
        ),
        "a key stands twice in one object",
    ),
    "a number that is none": (
        lambda: json.dumps({**unchanged(STAGING).plan(), "timestamp": float("nan")}),
        "NaN is no number",
    ),
    "brackets without end": (lambda: "[" * 200_000, "this is not JSON"),
    "errored is zero": (_with(errored=0), "planning failed (errored)"),
    "complete is one": (_with(complete=1), "the plan is not complete"),
    "outputs that are null": (_with(output_changes=None), "output_changes is not an object"),
    "planned values that are a list": (_with(planned_values=[1]), "this is not a plan"),
    "a prior state that is a list": (_with(prior_state=[1]), "prior_state is not an object"),
    **{
        f"{kind}: {name} is {json.dumps(value)}": (
            _attribute(kind, name, value),
            f"`{name}` of {kind}.odd has a type",
        )
        for kind, name, value in WRONG_TYPES
    },
    "silent about a cluster": (_silent_about(SHARED), f"the plan does not mention {SHARED}"),
    "silent about a tenant": (
        _silent_about(ACTIVE_DATABASE.instance(GRACE)),
        "which exists and holds data",
    ),
    "silent about everything": (_with(resource_changes=[]), "which exists and holds data"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_never_called_safe(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, said = CASES[name]
    (file,) = write(tmp_path, {"staging": make()})
    summary = tmp_path / "summary.md"
    assert main([str(file), "--markdown", str(summary)]) == 2
    printed = capsys.readouterr().out
    assert said in printed
    assert str(file) in printed
    assert "nothing is lost" not in printed + summary.read_text()
    assert summary.read_text().startswith(f"{MARKER}\n## Plan guard: cannot judge\n")


def test_a_rule_that_fails_judges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no table of types knows ends like every other plan that cannot be judged, without a traceback."""

    def broken(world: World) -> Iterator[Finding]:
        yield from (change.before["no such attribute"] for change in world.changes)

    monkeypatch.setattr(reports, "firewalls", broken)
    (file,) = write(tmp_path, {"staging": unchanged(STAGING)})
    assert main([str(file)]) == 2
    assert f"{file}: this plan cannot be judged: KeyError" in capsys.readouterr().out


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "staging.json")]) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().out


def test_no_plan_at_all(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert judge(tmp_path, {}).verdict == "unusable"


def test_one_of_two_is_enough(tmp_path: Path) -> None:
    """What the other one loses is said all the same."""
    plans = {"production": {**unchanged(STAGING).plan(), "errored": True}, "staging": unchanged(STAGING)}
    plans["staging"].destroy = True  # type: ignore[attr-defined]
    report = judge(tmp_path, plans)
    assert report.verdict == "unusable"
    assert report.refused


def test_two_plans_of_one_name(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a", {"staging": unchanged(STAGING)}) + write(
        tmp_path / "b", {"staging": unchanged(STAGING)}
    )
    assert main([str(one), str(two)]) == 2


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "grace retired", GRACE, f"retired {GRACE}"])
def test_a_lock_file_that_is_none(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write(tmp_path, {"staging": unchanged(STAGING)})
    lock = tmp_path / "staging" / "tenants.lock"
    lock.parent.mkdir()
    lock.write_text(f"# heading\n{line}\n")
    assert main([str(file), "--lock", str(lock)]) == 2
    assert f"{lock}:2: " in capsys.readouterr().out


def test_a_lock_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = write(tmp_path, {"staging": unchanged(STAGING)})
    assert main([str(file), "--lock", str(tmp_path / "staging.lock")]) == 2
    assert "cannot be read" in capsys.readouterr().out
