"""What a plan changes, in plain words, and never with a secret."""

import json
from typing import Any

import pytest

from lab.rehearsal.changes import Plan, summary
from ops.plan_json import parse_plan

SECRET = "local_supersecret"
OBJECT = {"bucket": "b", "key": "k"}
NAMED = {"name": "tenant_a"}


def change(
    kind: str, actions: list[str], before: Any = None, after: Any = None, **more: Any
) -> dict[str, Any]:
    return {
        "address": f"digitalocean_{kind}.some_name_0A1B2C3D",
        "mode": "managed",
        "type": f"digitalocean_{kind}",
        "name": "some_name_0A1B2C3D",
        "change": {"actions": actions, "before": before, "after": after, "after_unknown": {}},
        **more,
    }


def plan(*changes: dict[str, Any], outputs: dict[str, Any] | None = None) -> Plan:
    whole = {"format_version": "1.2", "planned_values": {}, "configuration": {}, "errored": False}
    untouched = change("project", ["no-op"], NAMED, NAMED)
    shown = {**whole, "resource_changes": [untouched, *changes], "output_changes": outputs or {}}
    return Plan(parse_plan(json.dumps(shown), "staging"))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (change("database_db", ["create"], None, {"name": "tenant_a"}), "+ database_db tenant_a"),
        (change("database_db", ["delete"], {"name": "tenant_a"}), "- database_db tenant_a"),
        (change("droplet", ["create", "delete"], {"name": "old"}, {"name": "new"}), "+/- droplet new"),
        (change("droplet", ["delete", "create"], {"name": "old"}, {"name": "new"}), "-/+ droplet new"),
        (
            change("spaces_bucket_object", ["update"], {**OBJECT, "content": "1"}, {**OBJECT, "content": "2"}),
            "~ spaces_bucket_object b/k (content)",
        ),
        (change("record", ["create"], None, {"name": "@", "type": "CAA"}), "+ record CAA @"),
        (change("project_resources", ["create"], None, {}), "+ project_resources some_name"),
        (
            change("database_db", ["no-op"], NAMED, NAMED, previous_address="digitalocean_database_db.other"),
            "> database_db tenant_a (moved in the state, untouched)",
        ),
    ],
)  # fmt: skip
def test_a_change_in_words(written: dict[str, Any], words: str) -> None:
    assert plan(written).lines() == [words]


def test_what_nothing_happens_to_is_not_told() -> None:
    found = plan(
        change("vpc", ["no-op"], {"name": "net"}, {"name": "net"}), outputs={"same": {"actions": ["no-op"]}}
    )
    assert found.is_empty
    assert found.lines() == ["nothing"]


def test_outputs_are_told_by_name() -> None:
    found = plan(outputs={"tenants": {"actions": ["update"], "after": SECRET}})
    assert not found.is_empty
    assert found.lines() == ["~ output tenants"]


def test_values_are_never_told() -> None:
    found = plan(
        change(
            "database_user",
            ["update"],
            {"name": "u", "password": SECRET},
            {"name": "u", "password": SECRET + "2"},
        )
    )
    assert found.lines() == ["~ database_user u (password)"]


def test_data_sources_are_no_changes() -> None:
    assert plan(change("database_ca", ["read"], None, {}) | {"mode": "data"}).is_empty


def test_a_summary_counts() -> None:
    found = plan(
        *(
            change("record", ["create"], None, {"name": str(number), "type": "A"})
            | {"address": f"digitalocean_record.record_{number}"}
            for number in range(3)
        )
    )
    assert summary(found) == "+ 3 record"
    assert summary(()) == "nothing"
