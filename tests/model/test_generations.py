"""Generations of a church's database: what cannot be, and steps left out; each in a sentence, with what to do."""

import pytest

from model.capacity import uses
from model.known_tenants import parse_lock
from tests.model.test_known_tenants import ENTRY, GRACE, LOCK, OWN, deployed, locked, write
from tests.model.test_tenant_steps import told
from tests.model.workspace import STAGING_TENANTS, Workspace

__all__ = ["locked"]  # a fixture

RUNBOOK = "docs/runbooks/restore.md"
RESTORING = "    database: {current: 1, restoring: 2}\n"
SWITCHED = "    database: {current: 2, kept: 1}\n"
CLOSED = "    maintenance: true\n"
ABANDONED = "    database: {current: 1, retired: 2}\n"
SECOND = f"generation 2 of its database (tenant_{GRACE}_r2)"
BEGIN = f"A restore begins with `presence360 restore begin` ({RUNBOOK})."


@pytest.mark.parametrize(
    ("written", "key", "message"),
    [
        (
            "{current: 1, restoring: 1}",
            "restoring",
            "generation 1 is served, so the one that is restored cannot be 1\n    Write `restoring: 2`, the next one.",
        ),
        (
            "{current: 1, restoring: 1, abandoned: [3]}",
            "restoring",
            "generation 1 is served, so the one that is restored cannot be 1\n    Write `restoring: 4`, the next one.",
        ),
        (
            "{current: 1, restoring: 2, abandoned: [2]}",
            "abandoned",
            "generation 2 is there, and was abandoned: its number cannot be used again\n    Write a number for it that "
            "was never used: 3.",
        ),
        (
            "{current: 2, abandoned: [2]}",
            "abandoned",
            "generation 2 is there, and was abandoned: its number cannot be used again\n    Remove 2 from `abandoned`.",
        ),
        (
            "{current: 1, kept: 1}",
            "kept",
            "generation 1 is served, so the one before it is not 1\n    Remove it: no generation is before the first. "
            "After a switch `current` is 2.",
        ),
        (
            "{current: 3, kept: 4}",
            "kept",
            "generation 3 is served, so the one before it is not 4\n    Write the generation that was served before "
            "the switch.",
        ),
        (
            "{current: 2, retired: 2}",
            "retired",
            "generation 2 is served, so it cannot be retired\n    Switch to the other generation first: `presence360 "
            "restore switch`.",
        ),
        (
            "{current: 2, kept: 1, restoring: 3}",
            "kept",
            "`restoring` and `kept` stand beside each other; one generation can be beside the one that is served\n    "
            f"Finish or abandon one restore before the next one ({RUNBOOK}).",
        ),
    ],
)
def test_generations_that_cannot_be(staging: Workspace, written: str, key: str, message: str) -> None:
    write(staging, f"{ENTRY}    database: {written}\n")
    line = staging.line(STAGING_TENANTS, "database:")
    assert staging.error() == (
        f"environments/{STAGING_TENANTS}:{line}: tenants[0].database.{key}: {message}\n\n"
        "1 problem in the environment files; nothing was written."
    )


def test_a_restore_and_a_move_wait_for_each_other(staging: Workspace) -> None:
    write(staging, f"{ENTRY}    dedicated: {OWN}\n{RESTORING}")
    assert (
        "the church is being moved to another cluster, and a restore stands beside the move"
        in staging.error()
    )


def test_step_by_step_it_is_accepted_and_the_lock_says_it(locked: Workspace) -> None:
    for step, words in (
        (RESTORING, "database-restoring=2"),
        (SWITCHED + CLOSED, "database=2 database-kept=1"),
        # Back, and once more.
        (RESTORING + CLOSED, "database-restoring=2"),
        (SWITCHED + CLOSED, "database=2 database-kept=1"),
        (SWITCHED, "database=2 database-kept=1"),
        (SWITCHED.replace("kept", "retired"), "database=2 database-retired=1"),
        # Somebody changed their mind.
        (SWITCHED, "database=2 database-kept=1"),
        (SWITCHED.replace("kept", "retired"), "database=2 database-retired=1"),
        ("    database: {current: 2}\n", "database=2"),
        ("    database: {current: 2, restoring: 3}\n", "database=2 database-restoring=3"),
        # Nobody wants that one: its number is gone.
        ("    database: {current: 2, retired: 3}\n", "database=2 database-retired=3"),
        ("    database: {current: 2, abandoned: [3]}\n", "database=2 database-abandoned=3"),
        (
            "    database: {current: 2, restoring: 4, abandoned: [3]}\n",
            "database=2 database-restoring=4 database-abandoned=3",
        ),
        (
            "    database: {current: 4, kept: 2, abandoned: [3]}\n" + CLOSED,
            "database=4 database-kept=2 database-abandoned=3",
        ),
        (
            "    database: {current: 4, retired: 2, abandoned: [3]}\n",
            "database=4 database-retired=2 database-abandoned=3",
        ),
        # Back to one that is not protected any more, and still there.
        (
            "    database: {current: 2, restoring: 4, abandoned: [3]}\n" + CLOSED,
            "database=2 database-restoring=4 database-abandoned=3",
        ),
    ):
        deployed(locked, ENTRY + step)
        assert locked.text(LOCK).splitlines()[1] == f"{GRACE} active staging shared=kept {words}"
        known, problems = parse_lock(locked.text(LOCK), LOCK, "staging")
        assert problems == []
        assert str(known[GRACE]) == locked.text(LOCK).splitlines()[1]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "",
            "    database: {current: 2}\n",
            f"{SECOND} is to be served, and it was not made before: the church would be served from an empty database\n"
            f"    Write `current: 1`. {BEGIN}",
        ),
        (
            RESTORING,
            SWITCHED,
            "generation 2 of its database is to be served in the place of 1, while the church is served: what it "
            "writes meanwhile would be left behind\n    Write `maintenance: true` in the same edit, as `presence360 "
            "restore switch` does.",
        ),
        (
            RESTORING,
            "",
            f"tenants.yaml no longer mentions {SECOND}, but it was not retired: it would be lost\n    Write "
            f"`retired: 2` under `database`, deploy that, and remove it in a later change ({RUNBOOK}).",
        ),
        (
            "",
            "    database: {current: 1, retired: 2}\n",
            "`retired: 2` names a generation of its database that was not there\n    Remove it. `presence360 restore "
            f"begin` restores a dump beside today's database ({RUNBOOK}).",
        ),
        (
            RESTORING,
            "    database: {current: 2, retired: 1}\n" + CLOSED,
            "generation 2 of its database is to be served in the place of 1, which is given up in the same edit: "
            "nothing would protect what the church was served from until now\n    Write `kept: 1`, and deploy that. "
            f"Give it up in a later change ({RUNBOOK}).",
        ),
        (
            (RESTORING, SWITCHED + CLOSED),
            "    database: {current: 1, retired: 2}\n" + CLOSED,
            "generation 1 of its database is to be served in the place of 2, which is given up in the same edit: "
            "nothing would protect what the church was served from until now\n    Write `restoring: 2`, and deploy "
            f"that. Give it up in a later change ({RUNBOOK}).",
        ),
        (
            (RESTORING, ABANDONED),
            "    database: {current: 2, kept: 1}\n" + CLOSED,
            f"{SECOND} is to be served, and it was not made before: the church would be served from an empty database\n"
            f"    Write `current: 1`. {BEGIN}",
        ),
        (
            (RESTORING, ABANDONED),
            "",
            "`abandoned` does not list generation 2 of its database, so its number would be used again\n    Write "
            "`abandoned: [2]` under `database`.",
        ),
        (
            "    database: {current: 1, abandoned: [2, 3]}\n",
            "    database: {current: 1, abandoned: [2]}\n",
            "`abandoned` does not list generation 3 of its database, so its number would be used again\n    Write "
            "`abandoned: [2, 3]` under `database`.",
        ),
        (
            "    database: {current: 1, abandoned: [4]}\n",
            "    database: {current: 1, restoring: 3, abandoned: [4]}\n",
            "`restoring: 3` uses the number of a generation of its database that was there before: its dumps would "
            "pass for the new one's\n    Write `restoring: 5`.",
        ),
    ],
    ids=[
        "switch before a restore",
        "switch while it is served",
        "left out",
        "retired before it was there",
        "switch and finish at once",
        "back and abandon at once",
        "switch to one that was given up",
        "a number that is forgotten",
        "one of two numbers that is forgotten",
        "a number that may be used",
    ],
)
def test_a_step_that_is_left_out_is_refused(
    locked: Workspace, before: str | tuple[str, ...], after: str, message: str
) -> None:
    for step in (before,) if isinstance(before, str) else before:
        deployed(locked, ENTRY + step)
    write(locked, ENTRY + after)
    assert message in locked.error()
    if "no longer" not in message:
        assert locked.error() == told(locked, message) or "problems" in locked.error()


def test_a_finish_before_the_switch_is_refused(locked: Workspace) -> None:
    deployed(locked, ENTRY + RESTORING)
    write(locked, f"{ENTRY}    database: {{current: 2, retired: 1}}\n{CLOSED}")
    assert "which is given up in the same edit" in locked.error()
    write(locked, f"{ENTRY}    database: {{current: 1, retired: 1}}\n")
    assert "generation 1 is served, so it cannot be retired" in locked.error()


def test_a_new_church_has_one_generation(locked: Workspace) -> None:
    tenants = locked.text(STAGING_TENANTS)
    new = "  - id: 99999999-9999-4999-8999-999999999999\n    slug: new\n    name: New Life\n"
    locked.write(STAGING_TENANTS, f"{tenants}{new}{RESTORING}")
    assert (
        f"this tenant is new, so its database has one generation\n    Remove `database`. {BEGIN}"
        in locked.error()
    )


def test_a_generation_counts_where_databases_and_requests_are_counted(staging: Workspace) -> None:
    def counted() -> dict[str, int]:
        (environment,) = staging.load()
        return {use.what: use.used for use in uses(environment.file, environment.tenants)}

    before = counted()
    write(staging, ENTRY + RESTORING)
    after = counted()
    assert after["databases in the cluster shared"] == before["databases in the cluster shared"] + 1
    more = {what for what in after if after[what] != before[what]}
    assert more == {"databases in the cluster shared", "API requests per hour, for one plan of staging"}
