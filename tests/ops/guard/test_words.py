"""What a plan says: names and versions, nothing that is noise, one and several."""

import json
from typing import Any

import pytest

from model import addresses
from model.addresses import Address
from model.tenancy import Guard
from ops.change import Change
from ops.guard.finding import Rule
from ops.guard.formats import as_text
from ops.guard.kinds import counted
from ops.guard.markdown import render
from ops.guard.report import Report, Verdict, judge
from ops.guard.text import to_plain
from ops.plan_json import Plan

SERVICE = "registry.digitalocean.com/presence360/tenant-api"


def change(at: Address, *actions: str, before: Any = None, after: Any = None, **more: Any) -> Change:
    return Change("staging", str(at), at.kind, at.name, None, actions, before or {}, after or {}, **more)


def report(*changes: Change, drift: tuple[Change, ...] = (), unplanned: tuple[str, ...] = ()) -> Report:
    return judge([Plan("staging", "staging", changes, drift=drift)], unplanned=unplanned)


def release(version: str) -> dict[str, str]:
    return {"key": "release.json", "content": json.dumps({"images": {"tenant-api": f"{SERVICE}{version}"}})}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (":1.4.2", ":1.4.3", "tenant-api 1.4.2 -> 1.4.3"),
        (":1.4.2", f"@sha256:{'ab' * 32}", "tenant-api 1.4.2 -> sha256:abababababab"),
        (":1.4.2", ":1.4.2", None),
        (":1.4.2", ":`$(rm)`", None),
    ],
)
def test_a_release_is_told_by_service_and_version(before: str, after: str, said: str | None) -> None:
    objects = [
        change(
            addresses.config_object(group, "release.json"),
            "update",
            before=release(before),
            after=release(after),
        )
        for group in ("app", "worker")
    ]
    lines = [line for line in as_text(report(*objects)).splitlines() if "->" in line]
    # Once, though two groups run it.
    assert lines == ([f"staging: {said}"] if said else [])


def test_a_release_that_is_marked_secret_is_not_told() -> None:
    at = addresses.config_object("app", "release.json")
    hidden = change(at, "update", before=release(":1"), after=release(":2"), hidden=frozenset({"content"}))
    assert "->" not in as_text(report(hidden))


@pytest.mark.parametrize(
    ("kind", "count", "said"),
    [
        ("database", 1, "1 database"),
        ("Spaces key", 2, "2 Spaces keys"),
        ("pool of droplets", 3, "3 pools of droplets"),
        ("wait for a droplet", 2, "2 waits for a droplet"),
        ("alert on an uptime check", 2, "2 alerts on an uptime check"),
        ("place that a cluster's logs are sent to", 2, "2 places that a cluster's logs are sent to"),
        ("list of pages that may read a bucket", 2, "2 lists of pages that may read a bucket"),
    ],
)
def test_one_and_several(kind: str, count: int, said: str) -> None:
    assert counted(kind, count) == said


BUCKET = addresses.EXPORTS_BUCKET


@pytest.mark.parametrize(
    ("drifted", "told"),
    [
        # What the provider reads back as empty.
        ({"metadata": {}}, False),
        ({"acl": "public-read"}, True),
    ],
)
def test_what_was_changed_outside_is_told_if_it_differs_and_the_plan_undoes_it(
    drifted: dict[str, Any], told: bool
) -> None:
    before = {"name": "exports", "acl": "private", "metadata": None}
    outside = change(BUCKET, "update", before=before, after={**before, **drifted})
    undone = change(BUCKET, "update", before={**before, **drifted}, after={**before, "region": "fra1"})
    said = "1 bucket changed outside of Terraform"
    assert (said in as_text(report(undone, drift=(outside,)))) == told
    # A counter that nothing follows from.
    assert said not in as_text(report(drift=(outside,)))


@pytest.mark.parametrize("to_pool", [True, False])
def test_between_replicas_and_a_pool_there_is_a_gap(to_pool: bool) -> None:
    goes, comes = ("delete",), ("create",)
    droplets = [
        change(addresses.droplet("app", number), *(goes if to_pool else comes), before={"name": "x"})
        for number in (1, 2)
    ]
    pool = change(addresses.pool("app"), *(comes if to_pool else goes))
    other = change(addresses.droplet("worker", 1), "delete")
    assert [one.rule for one in report(*droplets, pool, other).warnings] == [Rule.INTERRUPTION]
    said = as_text(report(*droplets, pool, other))
    assert (
        "group app becomes a pool: its 2 replicas are deleted" if to_pool else "gets replicas in place of"
    ) in said


@pytest.mark.parametrize(("before", "warned"), [({"input": []}, False), ({}, True)])
def test_where_the_state_orders_what_goes_after_what_comes_there_is_no_gap(
    before: dict[str, Any], warned: bool
) -> None:
    holds = change(Address("terraform_data", "group-app/serving"), "update", before=before)
    goes = change(addresses.droplet("app", 1), "delete")
    comes = change(addresses.pool("app"), "create")
    assert bool(report(goes, comes, holds).warnings) == warned


def test_a_certificate_that_would_take_its_own_name_is_refused_with_what_heals_it() -> None:
    named = {"name": "staging-3fa9c2"}
    tainted = change(
        addresses.CERTIFICATE, "create", "delete", before=named, after=named, reason="replace_because_tainted"
    )
    found = report(tainted)
    assert [one.rule for one in found.refused] == [Rule.NAME_TAKEN]
    assert "presence360 adopt staging" in as_text(found)
    # One with another name is what a change of the names makes.
    assert not report(
        change(addresses.CERTIFICATE, "create", "delete", before=named, after={"name": "other"})
    ).refused


def test_where_one_stack_could_not_be_planned_nothing_is_called_safe() -> None:
    found = report(unplanned=("staging-cell-2",))
    assert found.verdict is Verdict.UNUSABLE
    said = as_text(found)
    assert said.splitlines() == [
        "No changes in staging.",
        "staging-cell-2: could not be planned, so it is not known whether something is lost there",
        "plan guard: CANNOT JUDGE",
    ]
    page = render(found)
    assert "nothing is lost" not in page
    assert "staging-cell-2 could not be planned" in page.replace("`", "")


def test_a_tenant_that_only_the_directory_knows_is_called_by_its_name() -> None:
    identifier = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"

    def of_tenant(at: Address, **before: str) -> Change:
        return Change(
            "staging", at.instance(identifier), at.kind, at.name, identifier, ("delete",), before, {}
        )

    entry = of_tenant(
        addresses.TENANT_DIRECTORY,
        key=f"tenants/{identifier}.json",
        content=json.dumps({"slug": "second", "name": "Second Church"}),
    )
    database = of_tenant(addresses.TENANT_DATABASES[Guard.KEPT], name=f"tenant_{identifier}")
    (loss,) = report(entry, database).refused
    assert to_plain(loss.what).startswith("Second Church (second): its database")
