"""No history of edits loses a church's data by accident, and what is edited is all that changes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from model.errors import Findings
from model.known_tenants import KnownTenant, format_lock, losses, parse_lock
from model.tenants import Tenant, check_tenants
from tests.lives.twin import DATA, Configuration, RefusedError, Terraform, stack_of

pytestmark = pytest.mark.slow

IDS = [f"{number}1111111-1111-4111-8111-111111111111" for number in range(3)]
OWN = {
    "size": "db-s-2vcpu-4gb",
    "nodes": 2,
    "version": "17",
    "maintenance": {"day": "monday", "hour": "02:00"},
}

File = dict[str, dict[str, Any]]
"""Entries by id; their order is that of the file."""


def new(number: int) -> dict[str, Any]:
    return {"id": IDS[number], "slug": f"church-{number}", "name": f"Church {number}"}


# One edit of an entry: what is written, and what is taken out. Wrong ones are among them: they must be refused, by
# whichever guard.
EDITS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "active": ({"status": "active"}, ()),
    "suspend": ({"status": "suspended"}, ()),
    "retire": ({"status": "retired"}, ()),
    "rename": ({"slug": "renamed"}, ()),
    "rotate": ({"credentials": {"generation": 2, "keep": (1,)}}, ()),
    "own cluster": ({"dedicated": OWN}, ()),
    "own cluster retired": ({"dedicated": {**OWN, "retired": True}}, ()),
    "no own cluster": ({}, ("dedicated",)),
    "dedicated": ({"tier": "dedicated", "dedicated": OWN}, ()),
    "moved": ({"tier": "dedicated", "dedicated": OWN, "shared_copy": "kept"}, ()),
    "copy retired": ({"shared_copy": "retired"}, ()),
    "copy gone": ({}, ("shared_copy",)),
    "shared": ({}, ("tier", "shared_copy")),
}
ADD, REMOVE = "add", "remove"


# Mostly one tenant and mostly deployed, or the long histories that go somewhere would be rare.
steps = st.lists(
    st.tuples(
        st.sampled_from([ADD, REMOVE, *EDITS]),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.sampled_from([True, True, False]),
    ),
    min_size=4,
    max_size=24,
)


def edited(file: File, edit: str, number: int) -> File | None:
    """The file after an edit; None when it is not valid."""
    id_ = IDS[number]
    entry = file.get(id_)
    after = {key: value for key, value in file.items() if key != id_}
    if edit == ADD:
        after[id_] = entry or new(number)
    elif edit != REMOVE and entry:
        written, taken_out = EDITS[edit]
        left = {key: value for key, value in entry.items() if key not in taken_out}
        after[id_] = left | written
        if edit == "rename":
            after[id_]["slug"] = f"renamed-{number}"
    findings = Findings()
    try:
        check_tenants(enumerate(Tenant.model_validate(one) for one in after.values()), findings)
    except ValidationError:
        return None
    return None if list(findings) else after


def tenants(file: File) -> list[Tenant]:
    return [Tenant.model_validate(entry) for entry in file.values()]


def homes_of(terraform: Terraform, tenant_id: str) -> dict[str, int]:
    """A tenant's databases and clusters in a state: the kind of each, and which one it is."""
    return {
        f"{address.split('.')[0]} {'dedicated' if 'dedicated' in address else 'shared'}": number
        for address, number in terraform.state.items()
        if tenant_id in address and address.startswith(DATA)
    }


def gave_up(entry: dict[str, Any] | None, address: str) -> bool:
    """Whether an entry, as it was deployed, had given up the protection of what is at an address."""
    if entry is None:
        return False
    if entry.get("status") == "retired":
        return True
    if "dedicated" in address:
        return bool(entry.get("dedicated", {}).get("retired"))
    return entry.get("shared_copy") == "retired"


@settings(max_examples=1_200)
@given(steps)
def test_no_history_of_edits_loses_data_that_was_not_retired_and_deployed_so(
    history: list[tuple[str, int, bool]],
) -> None:
    """With and without deploys in between, and without the lock: this is Terraform's own refusal."""
    terraform = Terraform()
    file: File = {}
    deployed: File = {}
    for edit, number, deploy in history:
        after = edited(file, edit, number)
        if after is None:
            continue
        file = after
        if not deploy:
            continue
        before = {id_: homes_of(terraform, id_) for id_ in IDS}
        lost = len(terraform.lost)
        try:
            terraform.apply(Configuration.of(file.values()))
        except RefusedError:
            # The operator takes the edits back.
            file = dict(deployed)
            continue
        for address in terraform.lost[lost:]:
            id_ = address.split('"')[1]
            assert gave_up(deployed.get(id_), address), f"{address} was lost by {edit}"
        for id_ in IDS:
            # The database before and after is the same, wherever its address went.
            now = homes_of(terraform, id_)
            assert all(now[kind] == which for kind, which in before[id_].items() if kind in now)
        deployed = dict(file)


@settings(max_examples=1_200)
@given(steps)
def test_the_lock_refuses_first_whatever_terraform_would_refuse(history: list[tuple[str, int, bool]]) -> None:
    terraform = Terraform()
    file: File = {}
    lock = format_lock([], "staging")
    for edit, number, _ in history:
        after = edited(file, edit, number)
        if after is None:
            continue
        known, unreadable = parse_lock(lock, "tenants.lock", "staging")
        assert unreadable == []
        if losses(known, tenants(after), "staging", "tenants.lock"):
            # Refused here: so would Terraform have, or it would have lost what was not given up.
            with pytest.raises(RefusedError):
                terraform.apply(Configuration.of(after.values()))
            continue
        terraform.apply(Configuration.of(after.values()))
        file, lock = after, format_lock(tenants(after), "staging")


@settings(max_examples=25)
@given(steps, st.randoms(use_true_random=False))
def test_a_stack_is_the_sum_of_its_tenants(history: list[tuple[str, int, bool]], random: Any) -> None:
    """So an edit of one changes no other's addresses, and the order in the file means nothing."""
    file: File = {}
    for edit, number, _ in [("add", 0, True), ("add", 1, True), ("add", 2, True), *history]:
        file = edited(file, edit, number) or file
    entries = list(file.values())
    expected = stack_of(entries)
    assert Configuration.read(expected) == Configuration.of(entries)
    random.shuffle(entries)
    assert stack_of(entries).json == expected.json


def test_a_rename_changes_the_directory_and_no_database() -> None:
    before, after = stack_of([new(0)]), stack_of([{**new(0), "slug": "renamed"}])
    assert (before.take_slugs(), after.take_slugs()) == ({new(0)["slug"]}, {"renamed"})
    assert before.json["resource"] == after.json["resource"]
    changed = {name for name, value in after.json["locals"].items() if before.json["locals"][name] != value}
    assert [name.rpartition("_")[0] for name in changed] == ["tenant-plane_databases_tenants"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_new_tenant_changes_no_droplet_load_balancer_firewall_or_dns_record(count: int) -> None:
    before = stack_of([new(number) for number in range(count)])
    after = stack_of([new(number) for number in range(count + 1)])
    assert after.take_slugs() - before.take_slugs() == {new(count)["slug"]}
    assert before.json["resource"] == after.json["resource"]
    changed = {name for name, value in after.json["locals"].items() if before.json["locals"][name] != value}
    assert {name.rpartition("_")[0] for name in changed} == {
        "tenant-plane_databases_tenants",
        "tenant-plane_databases_generations",
    }


def test_whole_life_in_the_words_of_the_readme() -> None:
    """Add, suspend, return, retire, come back, retire, remove: one database all along, and then none."""
    terraform = Terraform()
    seen = []
    for entry in (
        new(0),
        {**new(0), "status": "suspended"},
        new(0),
        {**new(0), "status": "retired"},
        new(0),
        {**new(0), "status": "retired"},
    ):
        terraform.apply(Configuration.of([entry]))
        seen.append(homes_of(terraform, IDS[0]))
    assert len({json.dumps(one) for one in seen}) == 1
    assert terraform.lost == []
    terraform.apply(Configuration.of([]))
    assert [address.split(".")[0] for address in terraform.lost] == ["digitalocean_database_db"]


def test_a_move_to_a_cluster_of_its_own_keeps_both_databases_until_the_last_step() -> None:
    terraform = Terraform()
    counts = []
    for entry in (
        new(0),
        {**new(0), "dedicated": OWN},
        {**new(0), "dedicated": OWN, "status": "suspended"},
        {**new(0), "dedicated": OWN, "tier": "dedicated", "shared_copy": "kept"},
        {**new(0), "dedicated": OWN, "tier": "dedicated", "shared_copy": "retired"},
        {**new(0), "dedicated": OWN, "tier": "dedicated"},
    ):
        terraform.apply(Configuration.of([entry]))
        counts.append(len([kind for kind in homes_of(terraform, IDS[0]) if "_db " in kind]))
    assert counts == [1, 2, 2, 2, 2, 1]
    assert [("shared" if "dedicated" not in lost else lost) for lost in terraform.lost] == ["shared"]
    assert homes_of(terraform, IDS[0]).keys() == {
        "digitalocean_database_cluster dedicated",
        "digitalocean_database_db dedicated",
    }


def test_a_lock_says_what_is_where() -> None:
    entry = Tenant.model_validate(
        {**new(0), "tier": "dedicated", "dedicated": OWN, "shared_copy": "retired", "cell": "cell-2"}
    )
    line = f"{IDS[0]} active staging-cell-2 shared=retired dedicated=kept serves=dedicated postgres=17"
    assert str(KnownTenant.of(entry, "staging")) == line
    known, problems = parse_lock(format_lock([entry], "staging"), "tenants.lock", "staging")
    assert problems == []
    assert str(known[IDS[0]]) == line
