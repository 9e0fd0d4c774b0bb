"""What a migration that failed is said to have failed of."""

import time

import pytest

from droplet.migrate.output import HIDDEN, MOST, NOT_TOLD, SHOWN, reason
from lab.local_postgres import Installation, installations

PERSON = "anna@example.org"

TRACEBACK = """Traceback (most recent call last):
  File "/app/.venv/lib/python3.13/site-packages/psycopg/cursor.py", line 97, in execute
    raise ex.with_traceback(None)
{inner}
DETAIL:  Key (email)=(anna@example.org) is duplicated.

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/migrations/versions/0003_unique.py", line 12, in upgrade
    op.create_unique_constraint("people_email_key", "people", ["email"])
  File "/app/.venv/lib/python3.13/site-packages/sqlalchemy/engine/base.py", line 1967, in _exec_single_context
sqlalchemy.exc.{outer}
DETAIL:  Key (email)=(anna@example.org) is duplicated.
[SQL: ALTER TABLE people ADD CONSTRAINT people_email_key UNIQUE (email)]
[parameters: {{'email': 'anna@example.org'}}]
(Background on this error at: https://sqlalche.me/e/20/gkpj)
"""


def failed_with(driver: str, message: str) -> str:
    """What Alembic prints of an error of psycopg's."""
    return TRACEBACK.format(inner=f"{driver}: {message}", outer=f"DBAPIError: ({driver}) {message}")


@pytest.mark.parametrize(
    ("output", "code", "told"),
    [
        (
            failed_with("psycopg.errors.UniqueViolation", 'could not create unique index "people_email"'),
            1,
            'psycopg.errors.UniqueViolation: could not create unique index "people_email" (0003_unique.py, line 12)',
        ),
        (
            failed_with("psycopg.DataError", f'invalid input syntax for type integer: "{PERSON}"'),
            1,
            "psycopg.DataError: invalid input syntax for type ...: ... (0003_unique.py, line 12)",
        ),
        (
            failed_with("psycopg.errors.RaiseException", f"{PERSON} has no household"),
            1,
            f"psycopg.errors.RaiseException: {NOT_TOLD} (0003_unique.py, line 12)",
        ),
        # A name is a name only if it looks like one.
        (
            failed_with("psycopg.errors.UndefinedTable", 'relation "Anna Smith" does not exist'),
            1,
            f"psycopg.errors.UndefinedTable: {NOT_TOLD} (0003_unique.py, line 12)",
        ),
        (
            failed_with("psycopg.errors.UndefinedTable", f'relation "{PERSON}" does not exist'),
            1,
            f"psycopg.errors.UndefinedTable: {NOT_TOLD} (0003_unique.py, line 12)",
        ),
        (
            failed_with("psycopg.errors.UndefinedColumn", 'column "Anna" does not exist'),
            1,
            "psycopg.errors.UndefinedColumn: column ... does not exist (0003_unique.py, line 12)",
        ),
        (f"Traceback ...\nKeyError: '{PERSON}'", 1, f"KeyError: {NOT_TOLD}"),
        (f"ValueError: invalid literal for int() with base 10: '{PERSON}'", 1, f"ValueError: {NOT_TOLD}"),
        (
            f"FAILED: Can't locate revision identified by '0003'\n{PERSON}",
            1,
            "FAILED: Can't locate revision identified by '0003'",
        ),
        (f"FAILED: {PERSON}", 255, f"FAILED: {NOT_TOLD}"),
        (
            'psql:/app/2.sql:3: ERROR:  column "email" of relation "people" already exists',
            3,
            'ERROR: column "email" of relation "people" already exists',
        ),
        (f"{PERSON}\nanna.Smith: {PERSON}", 4, "exit status 4, and no error that is known"),
        (f"exec: alembic: not found {PERSON}", 127, "the image does not have its command"),
        ("", 137, "it was killed: it may have needed more memory than it may have"),
    ],
)  # fmt: skip
def test_what_is_told_says_what_is_wrong_and_nothing_of_people(output: str, code: int, told: str) -> None:
    assert reason(output, code) == told
    assert PERSON not in reason(output, code)


@pytest.mark.parametrize("message", [*SHOWN, *HIDDEN])
def test_a_message_of_postgres_is_told_without_what_a_row_holds(message: str) -> None:
    quoted = message.replace("%d", "10").replace("%s", PERSON)
    told = reason(f"psycopg.errors.Whatever: {quoted}", 1)
    assert PERSON not in told
    harmless = message.replace("%d", "10").replace("%s", "people_email_key")
    shown = reason(f"psycopg.errors.Whatever: {harmless}", 1)
    assert shown.count("people_email_key") == (harmless.count("people_email_key") if message in SHOWN else 0)
    assert NOT_TOLD not in shown


@pytest.mark.parametrize("installed", installations().values(), ids=lambda one: str(one.major))
def test_the_messages_are_those_of_postgres(installed: Installation) -> None:
    program = (installed.binaries / "postgres").read_bytes()
    assert [message for message in (*SHOWN, *HIDDEN) if message.encode() not in program] == []


def test_a_line_that_a_church_made_long_takes_no_time() -> None:
    """A megabyte of this took minutes in an expression that takes the square of a line's length."""
    begin = time.process_time()
    for line in (
        f"FAILED: Can't locate revision identified by '{'a.' * 1_000_000}'",
        "a." * 1_000_000,
        f'relation "{"a " * 1_000_000}" does not exist',
        f"psycopg.errors.X: relation {'a_' * 1_000_000}",
        f'  File "{"/versions/a" * 100_000}',
    ):
        assert len(reason(line, 1)) <= MOST
    assert time.process_time() - begin < 1
