"""What a run found out about one cluster, from the lines that the scripts print."""

from dataclasses import dataclass, field
from typing import NamedTuple

from droplet import journal

_COUNTED = ("places", "logins", "watched", "readers")
"""Kinds of notes whose value is a number; of the others, lines are counted."""

_TOLD = {
    "closed": (journal.INFO, "closed: {}"),
    "readers-over": (journal.WARNING, "the time of this reader is over: {}"),
    "readers-changed": (
        journal.WARNING,
        "its church's code changed the settings of this reader, which is removed: {}",
    ),
    "ended": (journal.WARNING, "session ended: {}"),
    "unendable": (journal.WARNING, "session that this administrator may not end: {}"),
    "orphans": (journal.WARNING, "session that this administrator may not end: {}"),
}
"""Kinds of notes that the journal names one by one."""


class Visit(NamedTuple):
    """A database whose schema is to be visited.

    Attributes:
        database: its name.
        owner: its owner role.
        mark: what its record says when all is right.
    """

    database: str
    owner: str
    mark: str


class Clear(NamedTuple):
    """What a tenant has left somewhere, so that a role cannot be dropped.

    Attributes:
        tenant: whose it is, by the name of its database.
        database: where it is.
    """

    tenant: str
    database: str


class Reader(NamedTuple):
    """A login that a person reads with (droplet/sql).

    Attributes:
        database: the one that it reads.
        role: its name.
    """

    database: str
    role: str


@dataclass
class Result:
    """What a run found out about one cluster.

    Attributes:
        cluster: its name in the operators' file.
        findings: what is wrong: role, database, what.
        errors: statements or connections that failed.
        notes: how many of each kind: what this administrator cannot change, and what was counted.
        clears: what is to be cleared.
        late: readers whose time is over, and which still hold something.
        open: readers whose time is not over.
        visits: databases whose schema is to be looked at.
        visited: how many were.
        cleared: what tenants had granted to roles of others, or held by their logins, and what was taken back.
        busy: another run is in progress there, and this one did nothing.
        seconds: how long it took.
    """

    cluster: str
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    clears: list[Clear] = field(default_factory=list)
    late: list[Reader] = field(default_factory=list)
    open: list[Reader] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    visited: int = 0
    cleared: int = 0
    busy: bool = False
    seconds: float = 0.0

    @property
    def success(self) -> bool:
        """Whether every tenant of the cluster is known to be isolated."""
        return not self.findings and not self.errors

    def begin_again(self) -> None:
        """Forget what is looked at once more; sessions that were ended are counted together."""
        ended = self.notes.get("ended", 0)
        self.findings, self.errors, self.clears, self.late, self.open, self.visits = [], [], [], [], [], []
        self.notes = {"ended": ended} if ended else {}

    def take(self, code: int, output: str, messages: str, *, database: str = "") -> None:
        """Note what a script printed.

        Args:
            code: psql's exit code.
            output: lines that the scripts know.
            messages: psql's, on stderr.
            database: whose script it was, if not the cluster's.
        """
        ended = False
        for line in output.splitlines():
            ended = line in ("done", "busy") or ended
            self._take_line(line, database)
        where = f"{database}: " if database else ""
        lines = [
            line for line in messages.splitlines() if "ERROR:" in line or "error:" in line or "FATAL:" in line
        ]
        if ended and code == 0:
            # One statement's, for example of a role that was dropped meanwhile. The script looked at the result
            # afterwards.
            for line in lines:
                journal.log(journal.WARNING, f"{self.cluster}: {where}{line}")
        else:
            # Whatever was found before: what comes after the error was not looked at.
            said = lines or [messages.strip()[-500:] or f"psql: exit {code}, and the script did not end"]
            self.errors += [f"{where}{line}" for line in said]

    def _take_line(self, line: str, of: str) -> None:
        match line.split("|"):
            case ["done"] | ["right"]:
                return
            case ["busy"]:
                self.busy = True
            case ["visit", database, owner, mark]:
                self.visits.append(Visit(database, owner, mark))
            case ["clear" | "reader" | "open" as kind, first, second]:
                self.clears += [Clear(first, second)] if kind == "clear" else []
                self.late += [Reader(first, second)] if kind == "reader" else []
                self.open += [Reader(first, second)] if kind == "open" else []
            case ["cleared", owner, role]:
                self.cleared += 1
                where = f" in {of}" if of else ""
                journal.log(
                    journal.WARNING,
                    f"{self.cluster}: {owner} kept {role} from being dropped{where}: taken back",
                )
            case ["finding", role, database, *what]:
                self.findings.append((role, database, "|".join(what)))
            case ["note", kind, count] if kind in _COUNTED:
                self.notes[kind] = int(count)
            case ["note", kind, *what]:
                self.notes[kind] = self.notes.get(kind, 0) + 1
                if kind in _TOLD:
                    priority, text = _TOLD[kind]
                    journal.log(priority, f"{self.cluster}: {text.format('|'.join(what))}")
            case _:
                # A script that prints something else is not one that this program knows.
                self.errors.append(f"unexpected line: {line[:200]}")
