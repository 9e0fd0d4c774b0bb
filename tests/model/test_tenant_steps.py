"""Edits of a tenant that leave out a step: what each is told, and that what it is told to do is accepted and safe."""

import pytest

from tests.model.test_known_tenants import ENTRY, GRACE, LOCK, MOVE, OWN, deployed, locked, write
from tests.model.workspace import Workspace

__all__ = ["locked"]  # a fixture

FIRST_STEP = (
    "Restore `tier: shared` and what stood beside it. A move begins with `dedicated` alone, which is deployed: "
    "step 1 of "
    "docs/runbooks/move-to-dedicated.md."
)
TO_EMPTY = (
    "the tier changes to 'dedicated', but its own cluster was not made before: the church would be served from "
    "an empty "
    "database"
)
WHILE_SERVED = (
    "the tier changes to '{to}' while the church is served: what it writes would be left behind, and what was "
    "not copied "
    "is missing\n    Restore `tier: {before}`, write `status: suspended`, deploy that, and copy the database: "
    "steps 2 and 3 "
    "of docs/runbooks/move-to-dedicated.md."
)
OLD = OWN.replace('"17"', '"16"')


def told(workspace: Workspace, text: str) -> str:
    """Return what the operator sees of one problem at Grace's line of the lock."""
    line = workspace.line(LOCK, GRACE)
    return f"environments/{LOCK}:{line}: {GRACE}: {text}\n\n1 problem in the environment files; nothing was written."


@pytest.mark.parametrize("status", ["active", "suspended", "retired"])
def test_a_church_is_not_moved_to_a_cluster_that_nothing_was_copied_to(
    locked: Workspace, status: str
) -> None:
    """Fault 1: what the older message told to write passed, and the church was on an empty database."""
    write(
        locked,
        f"{ENTRY}    tier: dedicated\n    dedicated: {OWN}\n    shared_copy: kept\n    status: {status}\n",
    )
    assert locked.error() == told(locked, f"{TO_EMPTY}\n    {FIRST_STEP}")


def test_following_that_remedy_is_safe(locked: Workspace) -> None:
    before = locked.load()[0].tenants[0].homes
    deployed(locked, f"{ENTRY}    dedicated: {OWN}\n")
    tenant = locked.load()[0].tenants[0]
    assert (before.shared, tenant.homes.shared, tenant.tier, tenant.status) == (
        "kept",
        "kept",
        "shared",
        "active",
    )


def test_a_church_is_not_moved_while_it_is_served(locked: Workspace) -> None:
    deployed(locked, ENTRY + MOVE[0])
    write(locked, ENTRY + MOVE[2])
    assert locked.error() == told(locked, WHILE_SERVED.format(to="dedicated", before="shared"))
    deployed(locked, ENTRY + MOVE[1])
    deployed(locked, ENTRY + MOVE[2])
    assert "shared=kept dedicated=kept serves=dedicated postgres=17\n" in locked.text(LOCK)


def test_a_church_is_not_moved_back_while_it_is_served(locked: Workspace) -> None:
    for step in MOVE:
        deployed(locked, ENTRY + step)
    write(locked, f"{ENTRY}    dedicated: {OWN}\n")
    assert locked.error() == told(locked, WHILE_SERVED.format(to="shared", before="dedicated"))
    deployed(locked, f"{ENTRY}{MOVE[2]}    status: suspended\n")
    deployed(locked, f"{ENTRY}    dedicated: {OWN}\n")


def test_a_church_without_its_old_database_is_not_moved_back(locked: Workspace) -> None:
    for step in (
        *MOVE,
        MOVE[2].replace("kept", "retired"),
        f"    dedicated: {OWN}\n    tier: dedicated\n    status: suspended\n",
    ):
        deployed(locked, ENTRY + step)
    write(locked, f"{ENTRY}    dedicated: {OWN}\n")
    assert locked.error() == told(
        locked,
        "the tier changes to 'shared', but the database in its cell's cluster was not made before: the church would be "
        "served from an empty database\n    Restore `tier: dedicated` and what stood beside it: its database in "
        "the cell's "
        "cluster was dropped, so there is none to go back to.",
    )


def test_a_cluster_in_use_is_not_left_by_the_remedy_for_an_unused_one(locked: Workspace) -> None:
    """`retired: true` under `dedicated` would leave the church on an empty database and its data without protection."""
    for step in MOVE:
        deployed(locked, ENTRY + step)
    write(locked, ENTRY)
    assert locked.error() == told(
        locked,
        "tenants.yaml no longer mentions its own cluster, but it was not retired: it would be lost\n    Restore `tier: "
        "dedicated` and what stood beside it. A move back begins with `status: suspended`, which is deployed: "
        "step 4 of "
        "docs/runbooks/move-to-dedicated.md, under Undo.",
    )


def test_a_new_church_has_no_old_database(locked: Workspace) -> None:
    new = (
        "  - id: 99999999-9999-4999-8999-999999999999\n    slug: new\n    name: New Life\n    tier: dedicated\n"
        f"    dedicated: {OWN}\n"
    )
    tenants = locked.text("staging/tenants.yaml")
    locked.write("staging/tenants.yaml", f"{tenants}{new}    shared_copy: kept\n")
    assert (
        f"environments/{LOCK}: 99999999-9999-4999-8999-999999999999: this tenant is new, so there is no old "
        f"database that "
        "`shared_copy` could keep\n    Remove `shared_copy`.\n" in locked.error()
    )
    locked.write("staging/tenants.yaml", tenants + new)
    assert locked.load()[0].tenants[-1].tier == "dedicated"


def test_a_cluster_of_its_own_is_not_downgraded(locked: Workspace) -> None:
    shared = '    shared:\n      size: db-s-1vcpu-2gb\n      nodes: 1\n      version: "17"'
    locked.replace("staging/environment.yaml", shared, shared.replace("17", "16"))
    deployed(locked, f"{ENTRY}    dedicated: {OWN}\n")
    write(locked, f"{ENTRY}    dedicated: {OLD}\n")
    assert locked.error() == told(
        locked,
        "the version of its own cluster was 17 and is now 16: a cluster can only be upgraded\n"
        '    Write `version: "17"` or a newer one under `dedicated`.',
    )


ROTATED = "    credentials: {generation: 2, keep: [1]}\n"
FINISHED = "    credentials: {generation: 2}\n"
LOWERED = (
    "generation {before} is in use, and the entry now says {after}: its user would be dropped while services use it\n"
    "    Write `generation: {before}` again. To replace these credentials, rotate once more: `presence360 "
    "tenant rotate`."
)
NOT_KEPT = (
    "generation {before} is in use and is not kept: its user would be dropped before services have changed to "
    "generation "
    "{after}\n    Write `keep: [{before}]` beside `generation: {after}`, deploy that, and finish later "
    "(docs/runbooks/rotate-credentials.md)."
)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ([], FINISHED, NOT_KEPT.format(before=1, after=2)),
        ([], "    credentials: {generation: 3, keep: [2]}\n", NOT_KEPT.format(before=1, after=3)),
        ([ROTATED], "    credentials: {generation: 3, keep: [1]}\n", NOT_KEPT.format(before=2, after=3)),
        ([ROTATED], "", LOWERED.format(before=2, after=1)),
        ([ROTATED, FINISHED], "", LOWERED.format(before=2, after=1)),
        ([ROTATED, FINISHED], "    credentials: {generation: 1}\n", LOWERED.format(before=2, after=1)),
    ],
)
def test_a_rotation_keeps_the_user_that_services_use(
    locked: Workspace, before: list[str], after: str, text: str
) -> None:
    for step in before:
        deployed(locked, ENTRY + step)
    write(locked, ENTRY + after)
    assert locked.error() == told(locked, text)


def test_the_steps_of_a_rotation_are_accepted_and_known(locked: Workspace) -> None:
    deployed(locked, ENTRY + ROTATED)
    assert f"{GRACE} active staging shared=kept generation=2 keep=1\n" in locked.text(LOCK)
    deployed(locked, f"{ENTRY}    credentials: {{generation: 3, keep: [1, 2]}}\n")
    deployed(locked, f"{ENTRY}    credentials: {{generation: 3}}\n")
    assert f"{GRACE} active staging shared=kept generation=3\n" in locked.text(LOCK)


def test_a_church_that_is_not_served_has_no_user_to_keep(locked: Workspace) -> None:
    deployed(locked, f"{ENTRY}    status: suspended\n")
    deployed(locked, f"{ENTRY}    status: suspended\n{FINISHED}")
    deployed(locked, f"{ENTRY}{FINISHED}")
