"""What a drill is asked for, what it is sent, and what it says of errors: nothing of rows, and no secret."""

import json
from typing import Any

import pytest

from droplet.drill.checks import Tried, meaning
from droplet.drill.errors import DrillError
from droplet.drill.request import read_request, read_secrets

CHURCH = "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
TIME = "2026-11-27T01:00:00Z"
REQUEST: dict[str, Any] = {
    "version": 1,
    "id": "20261127-010000-abcd1234",
    "environment": "staging",
    "source": "shared",
    **dict.fromkeys(("time", "began", "ready", "backup"), TIME),
    "databases": [{"name": CHURCH, "user": f"{CHURCH}_g1"}, {"name": "control_plane", "user": None}],
    **dict.fromkeys(("rpo_hours", "rto_minutes", "every_days", "hours"), 3),
    "queries": [{"name": "q", "database": "tenant", "sql": "SELECT 1", "least": None, "most": 0}],
}


def read(**changed: Any) -> Any:
    return read_request(json.dumps({**REQUEST, **changed}).encode())


def test_a_request_is_read() -> None:
    request = read()
    assert [one.name for one in request.databases] == [CHURCH, "control_plane"]
    assert (request.queries[0].most, request.queries[0].control_plane) == (0, False)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"id": "../x"},
        {"databases": [{"name": "postgres", "user": None}]},
        {"databases": [{"name": CHURCH, "user": "doadmin"}]},
        {"queries": [{**REQUEST["queries"][0], "sql": "SELECT 1; DROP TABLE people"}]},
        {"queries": [{**REQUEST["queries"][0], "sql": "SELECT 1 \\! sh"}]},
        {"queries": [{**REQUEST["queries"][0], "sql": "DELETE FROM people"}]},
        *(
            {"queries": [{**REQUEST["queries"][0], "sql": sql}]}
            for sql in (
                "SELECT 1 /* one",
                "SELECT 1 -- one",
                "SELECT 'x",
                'SELECT 1 AS "x',
                "SELECT $$x",
                "SELECT '\0'",
            )
        ),
        {"hours": 0},
        {"backup": "yesterday"},
        {"time": 5},
    ],
)
def test_what_is_no_request_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(DrillError):
        read(**changed)


def test_what_was_sent_is_never_quoted() -> None:
    secret = "AGE-SECRET-KEY-1SECRET"
    with pytest.raises(DrillError) as error:
        read_secrets(json.dumps({"identity": secret}).encode())
    assert secret not in str(error.value)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("shared: psql:<stdin>:5: ERROR:  XX001", "damaged pages (data_corrupted)"),
        ("psql:<stdin>:5: ERROR:  23505\nmore", "rows that are not unique (unique_violation)"),
        ("psql:<stdin>:5: ERROR:  42P07", "Postgres ended with the error code 42P07"),
        (
            'connection to server at "127.0.0.1", port 45023 failed: FATAL:  password authentication failed for user',
            "password authentication failed",
        ),
        # Nothing else of a text is kept: it may quote rows.
        (
            'ERROR:  invalid input syntax for type integer: "Kofi 12345"',
            "the connection, or a program, ended",
        ),
        ("", "the connection, or a program, ended"),
    ],
)
def test_of_an_error_the_code_is_kept_alone(said: str, means: str) -> None:
    assert meaning(said) == means


def test_a_database_passes_if_something_was_tried_and_all_of_it_holds() -> None:
    tried = Tried(CHURCH, "fork", 0)
    verdicts = [tried.passed]
    assert tried.add("readable", [])
    verdicts.append(tried.passed)
    assert not tried.add("whole", [f"index {number}" for number in range(8)])
    verdicts.append(tried.passed)
    assert verdicts == [False, True, False]
    assert tried.checks[-1].detail.endswith("index 4; and 3 more")

    def fails() -> None:
        raise DrillError("the dump\nis damaged")

    with tried.trying("restored"):
        fails()
    assert tried.checks[-1].detail == "the dump is damaged"
