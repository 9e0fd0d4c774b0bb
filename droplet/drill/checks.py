"""What was tried of one database, and what came of it."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from droplet.drill.deadline import NEVER, Deadline
from droplet.drill.errors import DrillError, LateError, StoppedError
from droplet.killed import KilledError
from droplet.session import SessionError

FORK, DUMP = "fork", "dump"
"""Where a database is restored from: in turns."""

# PostgreSQL documentation, "PostgreSQL Error Codes". Only the code of an error leaves the droplet: its text may quote a
# church's rows.
_MEANINGS = {
    "XX001": "damaged pages (data_corrupted)",
    "XX002": "a damaged index (index_corrupted)",
    "23505": "rows that are not unique (unique_violation)",
    "23503": "rows that refer to rows that are not there (foreign_key_violation)",
    "23514": "rows that a CHECK forbids (check_violation)",
    "23502": "NULL where it is forbidden (not_null_violation)",
    "42501": "a right is missing (insufficient_privilege)",
    "42P01": "a table is missing (undefined_table)",
    "42703": "a column is missing (undefined_column)",
    "58P01": "a file is missing (undefined_file)",
    "57014": "it took too long (query_canceled)",
}

# `\\set VERBOSITY sqlstate` of psql shows nothing else of an error.
_CODE = re.compile(r"(?:ERROR|FATAL|PANIC):  ([0-9A-Z]{5})(?![0-9A-Za-z])")

_REFUSALS = (
    "password authentication failed",
    "permission denied for database",
    "certificate verify failed",
    "does not match host name",
    "Connection refused",
    "could not translate host name",
    "timeout expired",
    "too many connections",
    "does not exist",
)
"""What libpq and the server say of a connection; none of it is of a church's."""


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: what, in words that stay the same: `readable`, `restored`, ...
        passed: whether it holds.
        detail: what was found; one line without anything of rows.
    """

    name: str
    passed: bool
    detail: str = ""


@dataclass
class Tried:
    """What came of one database.

    Attributes:
        database: its name.
        way: where it was restored from.
        checks: in their order.
        notes: what somebody should look at, and what is no failure.
        tables, rows: that it has on the fork.
        restore_seconds: into a new database, and served from there.
        dump_age: of its newest dump when the drill began, in seconds; None: it has none.
        started: seconds since 1970.
        deadline: when its time is over.
    """

    database: str
    way: str
    started: float
    deadline: Deadline = NEVER
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: int = 0
    rows: int = 0
    restore_seconds: float | None = None
    dump_age: float | None = None

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def add(self, name: str, wrong: list[str] | str, detail: str = "") -> bool:
        """Note a check: what is wrong, or nothing."""
        lines = [wrong] if isinstance(wrong, str) and wrong else list(wrong)
        shown = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")  # noqa: PLR2004
        self.checks.append(Check(name, not lines, one_line(shown or detail)))
        return not lines

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """Note a check as failed where what is tried ends with any error; a run that is to end goes on ending.

        Raises:
            StoppedError: the run is to end.
            LateError: the database's time is over, by which any error is explained.
        """
        self.deadline.check()
        try:
            yield
        except (StoppedError, LateError):
            raise
        except Exception as error:
            self.deadline.check()
            self.add(name, explained(error))

    def as_json(self) -> dict[str, Any]:
        """Return what the report has."""
        return {
            "database": self.database,
            "passed": self.passed,
            "way": self.way,
            "tables": self.tables,
            "rows": self.rows,
            "restore_seconds": None if self.restore_seconds is None else round(self.restore_seconds, 1),
            "dump_age_seconds": None if self.dump_age is None else round(self.dump_age),
            "checks": [{"name": one.name, "passed": one.passed, "detail": one.detail} for one in self.checks],
            "notes": self.notes,
        }


def meaning(said: str) -> str:
    """Say what an error of a session means, without its text: of Postgres's words only the code is kept."""
    if match := _CODE.search(said):
        return _MEANINGS.get(match[1], f"Postgres ended with the error code {match[1]}")
    for words in _REFUSALS:
        if words in said:
            return words
    return "the connection, or a program, ended"


def explained(error: Exception) -> str:
    """Say what an error means without anything of rows: of one that nobody thought of, its class alone."""
    if isinstance(error, KilledError):
        return str(error)
    if isinstance(error, SessionError):
        return meaning(str(error))
    return str(error) if isinstance(error, DrillError) else type(error).__name__


def one_line(text: str) -> str:
    """Return a text as one line of a report."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:600]


def seconds_since(began: float) -> float:
    """Return how long it is since a time of the monotonic clock."""
    return time.monotonic() - began
