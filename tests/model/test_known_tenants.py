"""The lock of known tenants: what it refuses, and what it says."""

import pytest

from model.known_environments import ENVIRONMENTS_LOCK, format_environments
from model.known_tenants import format_lock, parse_lock
from model.loader import environments_lock
from tests.model.workspace import STAGING, STAGING_TENANTS, Workspace

LOCK = "staging/tenants.lock"
GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
ENTRY = f"  - id: {GRACE}\n    slug: grace\n    name: Grace Chapel\n"
OWN = '{size: db-s-2vcpu-4gb, nodes: 1, version: "17", maintenance: {day: monday, hour: "02:00"}}'
MOVE = [
    f"    dedicated: {OWN}\n",
    f"    dedicated: {OWN}\n    status: suspended\n",
    f"    dedicated: {OWN}\n    tier: dedicated\n    shared_copy: kept\n",
]
"""The steps of the runbook up to the switch."""
CELLS = "  clusters:\n"
CELL_2 = (
    '  cells:\n    cell-2: {size: db-s-2vcpu-4gb, nodes: 1, version: "17", '
    'maintenance: {day: monday, hour: "02:00"}}\n  clusters:\n'
)


@pytest.fixture
def locked(staging: Workspace) -> Workspace:
    """Staging, with its three tenants known and a further cell that is empty."""
    staging.replace(STAGING, CELLS, CELL_2)
    lock(staging)
    return staging


def lock(workspace: Workspace) -> None:
    (environment,) = workspace.load()
    workspace.write(LOCK, format_lock(environment.tenants, environment.file.environment))
    if not (workspace.root / ENVIRONMENTS_LOCK).exists():
        # Nothing was agreed on of the environment itself.
        workspace.write(ENVIRONMENTS_LOCK, format_environments([], {}))


def write(workspace: Workspace, entry: str) -> None:
    """Put another entry in the place of Grace's, or nothing."""
    text = workspace.text(STAGING_TENANTS)
    start = text.index(f"  - id: {GRACE}")
    end = text.index("  - id:", start + 1)
    workspace.write(STAGING_TENANTS, text[:start] + entry + text[end:])


def deployed(workspace: Workspace, entry: str) -> None:
    write(workspace, entry)
    lock(workspace)


def test_a_lock_says_each_tenant_on_a_line(locked: Workspace) -> None:
    assert locked.text(LOCK).splitlines()[1] == f"{GRACE} active staging shared=kept"


def test_an_active_entry_cannot_leave(locked: Workspace) -> None:
    write(locked, "")
    line = locked.line(LOCK, GRACE)
    assert locked.error() == (
        f"environments/{LOCK}:{line}: {GRACE}: this tenant was removed from tenants.yaml, but it was not retired: the "
        "database in its cell's cluster would be lost\n"
        "    Put the entry back. To remove a church, write `status: retired`, deploy that, and remove the entry in a "
        "later change.\n\n1 problem in the environment files; nothing was written."
    )


def test_a_suspended_entry_cannot_leave_either(locked: Workspace) -> None:
    deployed(locked, f"{ENTRY}    status: suspended\n")
    write(locked, "")
    assert "it was not retired" in locked.error()


def test_a_retired_one_can_and_can_come_back(locked: Workspace) -> None:
    deployed(locked, f"{ENTRY}    status: retired\n")
    assert f"{GRACE} retired staging shared=retired\n" in locked.text(LOCK)
    deployed(locked, ENTRY)
    assert f"{GRACE} active staging shared=kept\n" in locked.text(LOCK)
    deployed(locked, f"{ENTRY}    status: retired\n")
    deployed(locked, "")
    assert GRACE not in locked.text(LOCK)


@pytest.mark.parametrize(
    ("emptied", "message"),
    [
        ("", "this file is empty: a lock has at least its heading"),
        ("\n \n", "this file is empty: a lock has at least its heading"),
        ("{}\n", "'{}' is not a valid line of this file"),
        ("[]", "'[]' is not a valid line of this file"),
        ("# Written by hand\n", "this lists no tenant, and environments.lock says that staging has some"),
    ],
)
@pytest.mark.parametrize("entries", ["kept", "removed"])
def test_an_emptied_lock_agrees_to_nothing(
    locked: Workspace, emptied: str, message: str, entries: str
) -> None:
    locked.write(ENVIRONMENTS_LOCK, environments_lock(locked.root, locked.load()))
    if entries == "removed":
        locked.write(STAGING_TENANTS, "tenants: []\n")
    locked.write(LOCK, emptied)
    line = ":1" if emptied[:1] in {"{", "["} else ""
    assert (
        f"environments/{LOCK}{line}: {message}\n    Restore the file from the main branch" in locked.error()
    )


def test_the_last_tenant_can_leave(locked: Workspace) -> None:
    text = locked.text(STAGING_TENANTS).replace("  - id:", "  - status: retired\n    id:")
    locked.write(STAGING_TENANTS, "\n".join(x for x in text.split("\n") if "status: suspended" not in x))
    lock(locked)
    locked.write(ENVIRONMENTS_LOCK, environments_lock(locked.root, locked.load()))
    locked.write(STAGING_TENANTS, "tenants: []\n")
    locked.write(ENVIRONMENTS_LOCK, environments_lock(locked.root, locked.load()))
    lock(locked)
    assert locked.load()[0].tenants == ()


def test_a_tenant_stays_in_its_cell(locked: Workspace) -> None:
    write(locked, f"{ENTRY}    cell: cell-2\n")
    assert "this tenant's data is in staging, and tenants.yaml now says staging-cell-2" in locked.error()
    deployed(locked, f"{ENTRY}    status: retired\n")
    write(locked, f"{ENTRY}    status: retired\n    cell: cell-2\n")
    assert "Restore `cell`" in locked.error()


def test_a_new_tenant_chooses_its_cell(locked: Workspace) -> None:
    new = "  - {id: 99999999-9999-4999-8999-999999999999, slug: new, name: New Life, cell: cell-2}\n"
    locked.write(STAGING_TENANTS, locked.text(STAGING_TENANTS) + new)
    (environment,) = locked.load()
    assert environment.tenants[-1].cell == "cell-2"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            [],
            f"    tier: dedicated\n    dedicated: {OWN}\n",
            "mentions the database in its cell's cluster, but it was not retired: it would be lost\n    Restore "
            "`tier: shared` and what stood beside it. A move begins with `dedicated` alone, which is deployed: "
            "step 1 of "
            "docs/runbooks/move-to-dedicated.md.\n",
        ),
        (
            MOVE,
            f"    tier: dedicated\n    dedicated: {OWN}\n",
            "mentions the database in its cell's cluster",
        ),
        (
            MOVE[:1],
            "",
            "mentions its own cluster, but it was not retired: it would be lost\n    Write `retired: true` "
            "under `dedicated`, deploy that",
        ),
    ],
)
def test_no_place_of_data_is_dropped_in_one_edit(
    locked: Workspace, before: list[str], after: str, told: str
) -> None:
    for step in before:
        deployed(locked, ENTRY + step)
    write(locked, ENTRY + after)
    assert told in locked.error()


def test_the_move_of_the_runbook_is_accepted_step_by_step(locked: Workspace) -> None:
    for entry in (
        *MOVE,
        f"    dedicated: {OWN}\n    tier: dedicated\n    shared_copy: retired\n",
        f"    dedicated: {OWN}\n    tier: dedicated\n",
    ):
        deployed(locked, ENTRY + entry)
    assert f"{GRACE} active staging dedicated=kept postgres=17\n" in locked.text(LOCK)


def test_a_move_can_be_given_up(locked: Workspace) -> None:
    given_up = OWN.replace("}}", "}, retired: true}")
    for entry in (f"    dedicated: {OWN}\n", f"    dedicated: {given_up}\n", ""):
        deployed(locked, ENTRY + entry)
    assert f"{GRACE} active staging shared=kept\n" in locked.text(LOCK)


def test_without_a_lock_nothing_is_compared(staging: Workspace) -> None:
    write(staging, "")
    assert len(staging.load()[0].tenants) == 2


@pytest.mark.parametrize(
    "line",
    [
        "<<<<<<< HEAD",
        "three words here",
        f"{GRACE} gone staging shared=kept",
        f"{GRACE} active staging-cell-1 shared=kept",
        f"{GRACE} active staging shared=lost",
        f"{GRACE} active staging elsewhere=kept",
        f"{GRACE.upper()} active staging shared=kept",
    ],
)
def test_a_line_that_is_none_is_told_with_its_number(line: str) -> None:
    known, (problem,) = parse_lock(f"# heading\n{line}\n", "tenants.lock", "staging")
    assert known == {}
    assert (problem.line, problem.remedy) == (
        2,
        "Restore the file from the main branch (git checkout), then run `presence360 tenant lock`.",
    )


def test_a_tenant_twice_is_told(locked: Workspace) -> None:
    locked.write(LOCK, locked.text(LOCK) + f"{GRACE} retired staging shared=retired\n")
    assert f"environments/{LOCK}:5: {GRACE} is listed twice" in locked.error()


def test_a_lock_that_is_behind_is_warned_about(locked: Workspace) -> None:
    assert not any("tenants.lock" in str(warning) for warning in locked.load()[0].warnings)
    write(locked, f"{ENTRY}    status: suspended\n")
    (warning,) = (str(one) for one in locked.load()[0].warnings if "tenants.lock" in str(one))
    assert warning == (
        f"environments/{LOCK}: this does not match tenants.yaml\n    Run `presence360 tenant lock` and commit the file."
    )


def test_a_lock_that_came_with_a_copied_folder_is_told_so(locked: Workspace) -> None:
    text = locked.text(LOCK).replace(" staging ", " production ")
    known, (problem,) = parse_lock(text, "tenants.lock", "staging")
    assert known == {}
    assert str(problem) == (
        "tenants.lock: this is the lock of 'production': it lists its tenants, and none of staging\n"
        "    Delete this file: `presence360 tenant lock` writes this environment's own."
    )


@pytest.mark.parametrize(
    "word", ["serves=both", "generation=x", "keep=a", "postgres=new", "shared=kept=kept"]
)
def test_a_word_of_a_line_that_means_nothing_is_told(word: str) -> None:
    known, (problem,) = parse_lock(f"{GRACE} active staging {word}\n", "tenants.lock", "staging")
    assert (known, problem.line) == ({}, 1)


def test_a_line_says_the_same_when_it_is_read_and_written() -> None:
    line = (
        f"{GRACE} active staging-cell-2 shared=kept dedicated=kept serves=dedicated postgres=17 "
        "generation=4 keep=2,3"
    )
    known, _ = parse_lock(line, "tenants.lock", "staging")
    assert str(known[GRACE]) == line
