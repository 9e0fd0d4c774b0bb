"""environments/sanity.yaml: the owners' queries, and what is said of wrong ones."""

import json
from pathlib import Path

import pytest

from droplet.drill import request
from model.errors import InvalidInputError
from model.sanity import FILE, STATEMENT, load_sanity

GOOD = (
    "queries:\n  - name: members\n    database: tenant\n    sql: SELECT count(*) FROM members\n    least: 1\n"
)


def load(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    return [query.name for query in load_sanity(tmp_path)]


def test_queries_are_read_and_there_may_be_none(tmp_path: Path) -> None:
    assert load_sanity(tmp_path) == ()
    assert load(tmp_path, "queries: []\n") == []
    assert load(tmp_path, GOOD) == ["members"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("SELECT count(*) FROM members", "DELETE FROM members", 4, "this is no single SELECT"),
        ("members\n    least", "members; SELECT 1\n    least", 4, "this is no single SELECT"),
        ("members\n    least", "members /* all\n    least", 4, "this has a comment"),
        ("members\n    least", "members -- all\n    least", 4, "this has a comment"),
        ("members\n    least", "members WHERE name = 'x\n    least", 4, "a quote that does not end"),
        ("members\n    least", 'members AS "m\n    least', 4, "a quote that does not end"),
        ("members\n    least", "members WHERE name = $x$y\n    least", 4, "a `$` outside quotes"),
        ("    least: 1\n", "", 2, "this query has neither `least` nor `most`: nothing could be wrong"),
        ("least: 1", "least: 1\n    most: 0", 6, "0 is less than `least`, 1"),
        ("database: tenant", "database: postgres", 3, "'postgres'"),
        ("name: members", "name: Members", 2, "'Members'"),
        ("least: 1", "at_least: 1", 5, "at_least"),
    ],
)
def test_a_wrong_query_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(InvalidInputError) as error:
        load(tmp_path, GOOD.replace(old, new))
    assert f"{FILE}:{line}: " in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM members WHERE name LIKE '--%' OR name = 'it''s /* 5 $'",
        'SELECT count(*) - 1 / 2 - -3 FROM "members $"',
        "WITH m AS (SELECT 1) SELECT count(*) FROM m",
    ],
)
def test_signs_within_quotes_are_text(tmp_path: Path, sql: str) -> None:
    written = json.dumps(sql)
    assert load(tmp_path, GOOD.replace("SELECT count(*) FROM members", written)) == ["members"]


def test_droplets_refuse_the_same() -> None:
    assert request._STATEMENT.pattern == STATEMENT.pattern


def test_two_queries_have_two_names(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is the name of another query as well"):
        load(tmp_path, GOOD + GOOD.removeprefix("queries:\n"))
