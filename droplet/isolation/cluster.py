"""Isolate the tenants of one cluster: run cluster.sql, and database.sql in each database that it names."""

import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from droplet import journal
from droplet.configuration import Limits
from droplet.names import ISOLATION_LOCK, ISOLATION_MARK, MEMBERSHIP_VERSION, TENANT_ID
from droplet.postgres import Client

PARALLEL_VISITS = 2
"""Connections at a time, beside the cluster's own: the smallest cluster has 22 for everybody."""

CLUSTER_TIMEOUT_SECONDS = 600.0
VISIT_TIMEOUT_SECONDS = 60.0

_FOLDER = Path(__file__).parent
_COUNTED = ("places", "logins", "ended", "orphans")
"""Kinds of notes whose value is a number; of the others, lines are counted."""


class Visit(NamedTuple):
    """A database whose schema is to be visited.

    Attributes:
        database: its name.
        owner: its owner role.
        mark: the comment that it gets when all is right.
    """

    database: str
    owner: str
    mark: str


@dataclass
class Result:
    """What a run found out about one cluster.

    Attributes:
        cluster: its name in the operators' file.
        findings: what is wrong: role, database, what.
        errors: statements or connections that failed.
        notes: how many of each kind: what this administrator cannot change, and what was counted.
        visited: databases whose schema was looked at.
        busy: another run is in progress there, and this one did nothing.
        seconds: how long it took.
    """

    cluster: str
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    visited: int = 0
    busy: bool = False
    seconds: float = 0.0

    @property
    def success(self) -> bool:
        """Whether every tenant of the cluster is known to be isolated."""
        return not self.findings and not self.errors

    def take(self, code: int, output: str, messages: str) -> list[Visit]:
        """Note what a script printed, and return the databases that it wants visited."""
        visits = self._take_output(output)
        self._take_messages(code, messages)
        return visits

    def _take_output(self, output: str) -> list[Visit]:
        visits = []
        for line in output.splitlines():
            match line.split("|"):
                case ["busy"]:
                    self.busy = True
                case ["visit", database, owner, mark]:
                    visits.append(Visit(database, owner, mark))
                case ["finding", role, database, what]:
                    self.findings.append((role, database, what))
                case ["note", kind, count] if kind in _COUNTED:
                    self.notes[kind] = int(count)
                case ["note", kind, _]:
                    self.notes[kind] = self.notes.get(kind, 0) + 1
                case _:
                    # A script that prints something else is not one that this program knows.
                    self.errors.append(f"unexpected line: {line[:200]}")
        return visits

    def _take_messages(self, code: int, messages: str) -> None:
        lines = [
            line for line in messages.splitlines() if "ERROR:" in line or "error:" in line or "FATAL:" in line
        ]
        if code == 0:
            # One statement's, for example of a role that was dropped meanwhile. The script checked the result
            # afterwards.
            for line in lines:
                journal.log(journal.WARNING, f"{self.cluster}: {line}")
        # With findings the script ends in an error of its own, which says nothing new.
        elif not self.findings:
            self.errors += lines or [messages.strip()[-500:] or f"psql: exit {code}"]


def isolate(client: Client, limits: Limits, *, full: bool) -> Result:
    """Run the scripts on one cluster; with ``full``, every database is visited."""
    result = Result(cluster=client.cluster)
    start = time.monotonic()
    variables = _variables(limits, full=full)

    def visit(wanted: Visit) -> tuple[int, str, str]:
        return client.run_script(
            wanted.database,
            _FOLDER / "database.sql",
            {**variables, **wanted._asdict()},
            VISIT_TIMEOUT_SECONDS,
        )

    visits = result.take(
        *client.run_script(client.database, _FOLDER / "cluster.sql", variables, CLUSTER_TIMEOUT_SECONDS)
    )
    with ThreadPoolExecutor(max_workers=PARALLEL_VISITS) as pool:
        # In the order of the names, so that a run that is killed leaves the first ones done.
        for answer in pool.map(visit, visits):
            result.take(*answer)
    result.visited = len(visits)
    result.seconds = time.monotonic() - start
    return result


def _variables(limits: Limits, *, full: bool) -> dict[str, str]:
    """Return the variables that settings.sql lists."""
    values: Mapping[str, str | int] = {
        "connections": limits.connections,
        "overrides": json.dumps(limits.overrides),
        "statement_timeout": limits.statement_timeout_ms,
        "idle_timeout": limits.idle_in_transaction_timeout_ms,
        "revision": revision(),
        "full": int(full),
        "tenant_id": TENANT_ID,
        "lock": ISOLATION_LOCK,
        "mark_prefix": ISOLATION_MARK,
        "membership_version": MEMBERSHIP_VERSION,
        "run_timeout": round(CLUSTER_TIMEOUT_SECONDS * 1000),
    }
    return {name: str(value) for name, value in values.items()}


@cache
def revision() -> str:
    """Name the scripts after their content; databases are marked with it when they are visited."""
    digest = hashlib.sha256()
    for script in sorted(_FOLDER.glob("*.sql")):
        digest.update(script.read_bytes())
    return digest.hexdigest()[:12]
