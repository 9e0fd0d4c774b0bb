"""No history of edits loses a church's data by accident, and what is edited is all that changes."""

import json
import os
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
# Each of these is a stack of its own to synthesize, with each of the others: `make prove-backups` takes the time.
RESTORES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "restore": ({"database": {"current": 1, "restoring": 2}}, ()),
    "switched": ({"database": {"current": 2, "kept": 1}}, ()),
    "finished": ({"database": {"current": 2, "retired": 1}}, ()),
    "second alone": ({"database": {"current": 2}}, ()),
    "abandoned": ({"database": {"current": 1, "retired": 2}}, ()),
    "first alone": ({}, ("database",)),
    "restored again": ({"database": {"current": 2, "restoring": 3}}, ()),
}
if os.environ.get("PRESENCE360_NIGHTLY"):
    EDITS |= RESTORES
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


def _suffix(address: str) -> str:
    """The generation of a database, as its key ends in it: of the first nothing."""
    return address.split('"')[1][36:]


def homes_of(terraform: Terraform, tenant_id: str) -> dict[str, int]:
    """A tenant's databases and clusters in a state: the kind of each, and which one it is."""
    return {
        f"{address.split('.')[0]} {'dedicated' if 'dedicated' in address else 'shared'}{_suffix(address)}": number
        for address, number in terraform.state.items()
        if tenant_id in address and address.startswith(DATA)
    }


def gave_up(entry: dict[str, Any] | None, address: str) -> bool:
    """Whether an entry, as it was deployed, had given up the protection of what is at an address."""
    if entry is None:
        return False
    if entry.get("status") == "retired":
        return True
    generation = int(_suffix(address).removeprefix("_r") or 1)
    if generation == entry.get("database", {}).get("retired"):
        return True
    if "dedicated" in address:
        return bool(entry.get("dedicated", {}).get("retired"))
    return entry.get("shared_copy") == "retired"


@settings(max_examples=500)
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
            id_ = address.split('"')[1][:36]
            assert gave_up(deployed.get(id_), address), f"{address} was lost by {edit}"
        for id_ in IDS:
            # The database before and after is the same, wherever its address went.
            now = homes_of(terraform, id_)
            assert all(now[kind] == which for kind, which in before[id_].items() if kind in now)
        deployed = dict(file)


@settings(max_examples=500)
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


@pytest.mark.parametrize("place", ["shared", "dedicated"])
def test_a_restored_church_has_both_databases_until_the_last_step(place: str) -> None:
    own = {"tier": "dedicated", "dedicated": OWN} if place == "dedicated" else {}
    terraform = Terraform()
    seen: dict[str, set[int]] = {}
    counts = []
    for database in (
        {},
        {"current": 1, "restoring": 2},
        {"current": 2, "kept": 1},
        {"current": 1, "restoring": 2},
        {"current": 2, "kept": 1},
        {"current": 2, "retired": 1},
        {"current": 2},
        {"current": 2, "restoring": 3},
        {"current": 2, "retired": 3},
        {"current": 2},
    ):
        # With one that is kept, and one that is retired, the church leaves and comes back as well.
        leaves = database in ({"current": 2, "kept": 1}, {"current": 2, "retired": 1})
        for status in ("active", "retired", "active") if leaves else ("active",):
            terraform.apply(Configuration.of([{**new(0), **own, "database": database, "status": status}]))
        found = {kind: number for kind, number in homes_of(terraform, IDS[0]).items() if "_db " in kind}
        counts.append(len(found))
        for kind, number in found.items():
            seen.setdefault(kind, set()).add(number)
    assert counts == [1, 2, 2, 2, 2, 2, 1, 2, 2, 1]
    # Retired, brought back, switched: each is one database all along.
    assert {kind: len(numbers) for kind, numbers in seen.items()} == {
        f"digitalocean_database_db {place}{end}": 1 for end in ("", "_r2", "_r3")
    }
    assert [_suffix(address) for address in terraform.lost] == ["", "_r3"]


@pytest.mark.parametrize("place", ["shared", "dedicated"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"current": 1, "restoring": 2}, {}),
        ({"current": 2, "kept": 1}, {"current": 2}),
        ({"current": 2}, {}),
        ({}, {"current": 2}),
        ({"current": 2, "restoring": 3}, {"current": 3, "retired": 2}),
    ],
)
def test_a_generation_that_was_not_retired_is_lost_by_no_edit(
    place: str, before: dict[str, int], after: dict[str, int]
) -> None:
    own = {"tier": "dedicated", "dedicated": OWN} if place == "dedicated" else {}
    then, now = ({**new(0), **own, "database": database} for database in (before, after))
    terraform = Terraform()
    terraform.apply(Configuration.of([then]))
    if "retired" in after:
        # Two steps in one edit lose nothing yet.
        terraform.apply(Configuration.of([now]))
        assert terraform.lost == []
        return
    with pytest.raises(RefusedError):
        terraform.apply(Configuration.of([now]))
    known, _ = parse_lock(format_lock(tenants({IDS[0]: then}), "staging"), "tenants.lock", "staging")
    (problem,) = losses(known, tenants({IDS[0]: now}), "staging", "tenants.lock")
    assert "was not retired: it would be lost" in problem.message


def test_a_lock_says_what_is_where() -> None:
    entry = Tenant.model_validate(
        {**new(0), "tier": "dedicated", "dedicated": OWN, "shared_copy": "retired", "cell": "cell-2"}
    )
    line = f"{IDS[0]} active staging-cell-2 shared=retired dedicated=kept serves=dedicated postgres=17"
    assert str(KnownTenant.of(entry, "staging")) == line
    known, problems = parse_lock(format_lock([entry], "staging"), "tenants.lock", "staging")
    assert problems == []
    assert str(known[IDS[0]]) == line
    for database, words in (
        ({"current": 1, "restoring": 2}, "database-restoring=2"),
        ({"current": 2, "kept": 1}, "database=2 database-kept=1"),
        ({"current": 2, "retired": 1}, "database=2 database-retired=1"),
        ({"current": 2}, "database=2"),
    ):
        entry = Tenant.model_validate({**new(0), "database": database})
        text = format_lock([entry], "staging")
        assert text.splitlines()[-1] == f"{IDS[0]} active staging shared=kept {words}"
        assert parse_lock(text, "tenants.lock", "staging")[0][IDS[0]].database == entry.database
