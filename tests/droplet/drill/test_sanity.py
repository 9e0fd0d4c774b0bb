"""A sanity query's value: a finite number, or a failed query."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from droplet.drill import sanity
from droplet.drill.fork import Database
from droplet.drill.request import Query

CHURCH = Database("tenant_1", {}, {}, "UTF8", "C", "C")
QUERY = Query("gifts", False, "SELECT sum(amount) FROM gifts", least=0, most=10)


class Reader:
    """Answers each question with one value."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @contextmanager
    def session(self, _: str) -> Iterator["Reader"]:
        yield self

    def ask(self, script: str) -> list[Any]:
        if "gifts" not in script:
            return []
        if isinstance(self.value, Exception):
            raise self.value
        return [self.value]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5, None),
        (9.5, None),
        (11, "11, and at most 10 is right"),
        (10**400, "and at most 10 is right"),
        # As to_json writes them.
        ("NaN", "it is no finite number"),
        ("Infinity", "it is no finite number"),
        (float("inf"), "it is no finite number"),
        (True, "it is no finite number"),
        ([1], "it is no finite number"),
        (None, "1 rows, and one number is expected"),
        (ValueError("Exceeds the limit (4300 digits)"), "no number that can be compared"),
    ],
)
def test_what_is_no_finite_number_is_a_failed_query(value: Any, words: str | None) -> None:
    wrong = sanity.ask(Reader(value), CHURCH, [QUERY, QUERY])  # type: ignore[arg-type]  # what it uses of a reader
    assert len(wrong) == (2 if words else 0)
    assert all((words or "") in one for one in wrong)
