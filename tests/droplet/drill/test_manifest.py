"""What a fork holds against the dumps around its backup: what differs rightly, and what does not."""

import pytest

from droplet.drill.manifest import SETTLED_SECONDS, compare, stale

Line = tuple[str, str, str]
SCHEMA: list[Line] = [("table", "public.people", "r p d f f f"), ("column", "public.people.id", "integer t")]


def content(rows: int, total: int = 0, position: int = 10) -> list[Line]:
    return [
        *SCHEMA,
        ("content", "public.people", f"{rows} rows, {total}"),
        ("position", "public.people_id_seq", f"{position} t"),
    ]


@pytest.mark.parametrize(
    ("fork", "before", "after", "wrong"),
    [
        pytest.param(content(100), content(100), content(100), "", id="nothing was written"),
        pytest.param(content(110, 5), content(100), content(120, 7), "", id="a church goes on writing"),
        pytest.param(content(100), content(100), content(120, 7), "", id="written after the backup"),
        pytest.param(content(60, 3), content(100), content(110, 7), "", id="a clean-up in between"),
        pytest.param(content(110, 5), content(100), None, "", id="no dump after it yet"),
        pytest.param(content(5, 3), content(100), None, "", id="most of it is gone since, perhaps rightly"),
        pytest.param(content(3, 3), content(19), content(18, 1), "", id="a queue"),
        pytest.param(
            content(99, 1), content(100), content(100),
            "public.people: 99 rows, 1 on the fork, and 100 rows, 0 in the dumps before and after it", id="a row",
        ),
        pytest.param(
            content(49, 1), content(100), content(120, 7),
            "public.people: 49 rows on the fork, and 100 or more in the dumps", id="most of a table",
        ),
        pytest.param(
            content(110, 5, position=4), content(100), None,
            "the sequence public.people_id_seq is at 4 t, behind 10 t of an earlier dump", id="a sequence",
        ),
        pytest.param(
            [*content(100), ("table", "public.more", "r p d f f f")], content(100), content(100),
            "table public.more: missing in the dump, r p d f f f on the fork", id="a table that is new",
        ),
        pytest.param(
            content(100)[1:], content(100), content(100), "table public.people: r p d f f f in the dump, missing",
            id="a table that is gone",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong(
    fork: list[Line], before: list[Line] | None, after: list[Line] | None, wrong: str
) -> None:
    found, _ = compare(fork, before, after, migrated=False)
    assert wrong in "; ".join(found)
    assert bool(found) == bool(wrong)


def test_a_migration_in_between_is_a_note_and_so_is_a_loss_that_nothing_confirms() -> None:
    more = [*content(100), ("table", "public.more", "r p d f f f")]
    assert compare(more, content(100), None, migrated=True) == (
        [],
        ["it was migrated between backup and dump: 1 differences of schema"],
    )
    _, notes = compare(content(5, 3), content(100), None, migrated=False)
    assert notes == ["public.people: 5 rows on the fork, and 100 or more in the dumps"]
    assert compare(content(1), None, None, migrated=False) == ([], ["there is no dump to compare it with"])


def test_what_no_backup_has_is_left_out() -> None:
    names = {"public.people", "public.people_id_seq"}
    assert compare(content(0, 0, 1), content(100), content(100), migrated=False, unlogged=names) == ([], [])


def test_a_backup_that_is_older_than_it_says_knows_of_no_dump_before_it() -> None:
    name, at = "tenant_1", 1_000_000.0
    earlier = at - SETTLED_SECONDS - 60
    good = {"key": f"dumps/{name}/20260101T000000Z.shared", "at": earlier}
    assert stale(good, name, at, [earlier]) == []
    # The record comes when the dump is stored: one that was just made may not be in it.
    assert stale(good, name, at, [earlier, at - 60]) == []
    assert "it is older than its backup's time" in stale({**good, "at": 5}, name, at, [earlier])[0]
    assert "it is older than its backup's time" in stale({}, name, at, [earlier])[0]
    assert stale({}, name, at, []) == []
    other = {**good, "key": "dumps/tenant_2/20260101T000000Z.shared"}
    assert stale(other, name, at, [earlier]) == [f"its record is that of another database: {other['key']}"]
