"""What the guard says of a restore's steps, and what it refuses: a database of then or of today that nobody gave up."""

from pathlib import Path

import pytest

from lab.plans.environment import ENVIRONMENTS, GRACE, situation
from model.generations import Database
from ops.guard.finding import Rule
from ops.guard.markdown import render
from ops.guard.report import Report, Verdict
from ops.guard.text import to_plain
from tests.ops.guard.cases import lock, write_lock
from tests.ops.guard.guard import judge, write_environments

STAGING = ENVIRONMENTS["staging"]
OWN = {"tier": "dedicated", "own_cluster": "db-s-2vcpu-4gb"}
PLACES: dict[str, dict[str, str]] = {"shared": {}, "dedicated": OWN}
ONE = Database()
RESTORING, SWITCHED = Database(current=1, restoring=2), Database(current=2, kept=1)
FINISHED, SECOND = Database(current=2, retired=1), Database(current=2)
ABANDONED, GIVEN_UP = Database(current=1, retired=2), Database(abandoned=(2,))

IN_WORDS = {
    "begun": (ONE, RESTORING, "database of generation 2{own} added"),
    "switched": (RESTORING, SWITCHED, "user{of} added; user{of} removed; credentials changed"),
    "back": (SWITCHED, RESTORING, "user{of} added; user{of} removed; credentials changed"),
    "finished": (
        SWITCHED,
        FINISHED,
        "its database is kept without protection until the line that names it is removed",
    ),
    "back before it is dropped": (FINISHED, RESTORING, "user{of} added; user{of} removed"),
    "taken back": (FINISHED, SWITCHED, "its database is kept, and protected again"),
    "dropped": (FINISHED, SECOND, "database{own} removed"),
    "abandoned": (RESTORING, ABANDONED, "its database of generation 2 is kept without protection"),
    "abandoned and dropped": (ABANDONED, GIVEN_UP, "database of generation 2{own} removed"),
}


def judged(
    tmp_path: Path,
    place: str,
    before: Database,
    after: Database,
    *,
    locked: Database | None = None,
    bare: bool = False,
) -> Report:
    """Judge an edit with the files and the lock of the base, which says what was deployed; ``bare``: without both."""
    was, will = (STAGING.tenant(GRACE, **PLACES[place], database=one) for one in (before, after))
    if bare:
        return judge(tmp_path / "plans", {"staging": situation(was, will)})
    agreed = before if locked is None else locked
    return judge(
        tmp_path / "plans",
        {"staging": situation(was, will)},
        locks=write_lock(tmp_path / "base", "staging", lock(line(place, agreed), *others())),
        environments=write_environments(tmp_path / "files", "staging", will.tenants),
    )


def line(place: str, database: Database) -> str:
    words = [f"database={database.current}"] if database.current > 1 else []
    words += [
        f"database-{key}={value}"
        for key, value in database.model_dump(exclude_none=True).items()
        if key not in {"current", "abandoned"}
    ]
    return " ".join([GRACE, "active", "staging", f"{place}=kept", *words])


def others() -> list[str]:
    return [f"{one.id} active staging shared=kept" for one in STAGING.tenants if one.id != GRACE]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("step", IN_WORDS)
def test_each_step_passes_and_is_told(step: str, place: str, tmp_path: Path) -> None:
    before, after, words = IN_WORDS[step]
    report = judged(tmp_path, place, before, after)
    assert report.verdict is Verdict.SAFE, report.refused or report.problems
    own = place == "dedicated"
    said = words.format(own=" in its own cluster" if own else "", of=" of its own cluster" if own else "")
    comment = render(report)
    assert said in comment
    names = [f"tenant_{GRACE}" + ("" if one.current == 1 else f"_r{one.current}") for one in (before, after)]
    assert (f"database `{names[0]}` → `{names[1]}`" in comment) is (names[0] != names[1])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("before", "after", "generation"),
    [(RESTORING, ONE, 2), (SWITCHED, SECOND, 1), (SECOND, ONE, 2), (ONE, SECOND, 1)],
    ids=["restored one left out", "kept one left out", "served one left out", "another one named"],
)
def test_a_generation_that_was_not_retired_is_not_dropped(
    before: Database, after: Database, generation: int, place: str, tmp_path: Path
) -> None:
    report = judged(tmp_path, place, before, after)
    assert report.verdict is Verdict.REFUSED
    (caught,) = [one for one in report.refused if one.rule is Rule.LOSS]
    name = f"tenant_{GRACE}" + ("" if generation == 1 else f"_r{generation}")
    assert f"database {name} in cluster" in to_plain(caught.what)
    assert caught.tenants == (GRACE,)
    assert ("presence360 restore finish" in to_plain(caught.remedy)) is (generation > 1)


@pytest.mark.parametrize("place", PLACES)
def test_retired_and_dropped_in_one_edit_is_refused_by_the_lock(place: str, tmp_path: Path) -> None:
    """The state has it at the retired address, and what was agreed on last still keeps it."""
    report = judged(tmp_path, place, FINISHED, SECOND, locked=SWITCHED)
    assert report.verdict is Verdict.REFUSED
    assert "it was not retired before" in to_plain(report.refused[0].why)


def test_without_the_operators_files_nobody_knows_that_another_generation_serves(tmp_path: Path) -> None:
    report = judged(tmp_path, "shared", FINISHED, SECOND, bare=True)
    assert report.verdict is Verdict.REFUSED


def test_a_generation_under_the_key_of_another_is_not_dropped(tmp_path: Path) -> None:
    was, will = (STAGING.tenant(GRACE, database=one) for one in (FINISHED, SECOND))
    it = situation(was, will)
    address = next(one for one in it.there if "retired" in one and GRACE in one)
    it.there[address] = it.there[address].but(name=f"tenant_{GRACE}_r2")
    report = judge(
        tmp_path / "plans",
        {"staging": it},
        locks=write_lock(tmp_path / "base", "staging", lock(line("shared", FINISHED), *others())),
        environments=write_environments(tmp_path / "files", "staging", will.tenants),
    )
    assert report.verdict is Verdict.REFUSED


def test_a_switch_to_a_database_that_goes_as_well_is_refused(tmp_path: Path) -> None:
    """The line that kept generation 1 is gone, and generation 2, which is to serve, leaves the plan too."""
    was, will = (STAGING.tenant(GRACE, database=one) for one in (FINISHED, SECOND))
    it = situation(was, will)
    gone = next(one for one in it.wanted if f"{GRACE}_r2" in one and "database_db" in one)
    del it.wanted[gone]
    report = judge(
        tmp_path / "plans",
        {"staging": it},
        locks=write_lock(tmp_path / "base", "staging", lock(line("shared", FINISHED), *others())),
        environments=write_environments(tmp_path / "files", "staging", will.tenants),
    )
    lost = {
        name
        for one in report.refused
        for name in (f"tenant_{GRACE} ", f"tenant_{GRACE}_r2 ")
        if name in to_plain(one.what)
    }
    assert lost == {f"tenant_{GRACE} ", f"tenant_{GRACE}_r2 "}
