"""How far the migrations are: counted, told to all groups, and written as metrics."""

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from droplet.converge.migrations import DONE, FAILED, RUNNING
from droplet.converge.peers import write_time
from droplet.migrate.databases import Database
from droplet.migrate.history import Verdict
from droplet.migrate.obstacles import Obstacles
from droplet.migrate.wanted import CONTROL_PLANE, TENANTS, Wanted

VERSION = 1
NAMED = 10
"""Databases that are named in what all groups read; the details have all."""

_OF_A_DATABASE = "database "
"""What obstacles of one database begin with; the others are in the way of everything."""

Key = tuple[str, str]
"""Of a database: its cluster's name and its own."""


@dataclass(frozen=True)
class Entry:
    """A database and what is true of it."""

    database: Database
    verdict: Verdict


@dataclass(frozen=True)
class Failure:
    """Why a database has not arrived, where that is no matter of a moment."""

    entry: Entry
    reason: str
    tries: int
    at: float


@dataclass
class Board:
    """What is known of every database; several threads write.

    Attributes:
        wanted: what is to be true.
        droplet: this droplet's name.
        clock: seconds since 1970.
        obstacles: what is in the way, of one database or of all.
        entries: by cluster and name.
        known: whether every entry's verdict is about the wanted images: not until those are here.
    """

    wanted: Wanted
    droplet: str
    clock: Callable[[], float]
    obstacles: Obstacles
    entries: dict[Key, Entry] = field(default_factory=dict)
    known: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, database: Database, verdict: Verdict) -> None:
        """Note what is true of a database."""
        with self._lock:
            self.entries[key_of(database)] = Entry(database, verdict)

    def keep(self, keys: Collection[Key]) -> None:
        """Forget databases that are gone, or that nobody logs in to any more."""
        with self._lock:
            self.entries = {key: entry for key, entry in self.entries.items() if key in keys}

    def blocked(self, database: Database, reason: str) -> None:
        """Note what is in the way of one database."""
        self.obstacles.meet(_OF_A_DATABASE + "/".join(key_of(database)), reason)

    def free(self, database: Database) -> None:
        """Note that nothing is in the way of one database."""
        self.obstacles.clear(_OF_A_DATABASE + "/".join(key_of(database)))

    def of(self, kind: str) -> list[Entry]:
        """Return what is known of one kind of database, by name."""
        with self._lock:
            found = [entry for entry in self.entries.values() if entry.database.kind == kind]
        return sorted(found, key=lambda entry: (entry.database.name, entry.database.cluster.name))

    def failure(self, entry: Entry) -> Failure | None:
        """Return why a database failed: with this image, or because something has been in its way for long."""
        history = entry.database.history
        if entry.verdict is Verdict.FAILED:
            return Failure(entry, history.reason, history.tries, history.at)
        if entry.verdict is Verdict.DUE:
            obstacle = self.obstacles.get(_OF_A_DATABASE + "/".join(key_of(entry.database)))
            if obstacle and obstacle.lasts(self.clock()):
                return Failure(entry, obstacle.reason, obstacle.tries, obstacle.since)
        return None

    @property
    def failed(self) -> list[Failure]:
        """Those that failed, the control plane's first."""
        found = (self.failure(entry) for kind in (CONTROL_PLANE, TENANTS) for entry in self.of(kind))
        return [one for one in found if one]

    @property
    def stopped(self) -> list[str]:
        """Those of the first that failed, so that no other is begun."""
        first = [entry for kind in (CONTROL_PLANE, TENANTS) for entry in self.of(kind)]
        first = [entry for entry in first if self.wanted.is_first(entry.database.name)]
        return [entry.database.name for entry in first if entry.verdict is Verdict.FAILED]

    @property
    def trouble(self) -> dict[str, str]:
        """What is in the way of everything, and for how long."""
        now = self.clock()
        return {
            what: f"{one.reason} (for {(now - one.since) / 60:.0f} minutes)"
            if one.lasts(now)
            else f"{one.reason} (is tried again)"
            for what, one in self.obstacles.starting("").items()
            if not what.startswith(_OF_A_DATABASE)
        }

    @property
    def state(self) -> str:
        """Whether droplets may change: when the control plane's and enough of the tenants' databases have arrived."""
        now = self.clock()
        in_the_way = [
            one for what, one in self.obstacles.starting("").items() if not what.startswith(_OF_A_DATABASE)
        ]
        if any(one.lasts(now) for one in in_the_way):
            return FAILED
        if in_the_way or not self.known.is_set():
            return RUNNING
        if self._arrived(CONTROL_PLANE, 100) and self._arrived(TENANTS, self.wanted.share):
            return DONE
        possible = not self.stopped
        possible = possible and self._arrived(CONTROL_PLANE, 100, due=True)
        possible = possible and self._arrived(TENANTS, self.wanted.share, due=True)
        return RUNNING if possible else FAILED

    def _arrived(self, kind: str, share: int, *, due: bool = False) -> bool:
        """Tell whether a share of a kind has arrived, or may arrive with those that are due."""
        if kind not in self.wanted.jobs:
            return True
        found = self.of(kind)
        if kind == CONTROL_PLANE and not found:
            return due
        arrived = sum(
            1
            for one in found
            if one.verdict.arrived or (due and one.verdict is Verdict.DUE and not self.failure(one))
        )
        return arrived * 100 >= share * len(found)

    def summary(self) -> dict[str, Any]:
        """Return what all groups read."""
        failed = self.failed
        counts = {
            kind: {
                "total": len(found := self.of(kind)),
                "arrived": sum(1 for entry in found if entry.verdict.arrived),
                "failed": sum(1 for one in failed if one.entry.database.kind == kind),
            }
            for kind in self.wanted.jobs
        }
        return {
            "version": VERSION,
            "time": write_time(self.clock()),
            "droplet": self.droplet,
            "asked": self.wanted.asked,
            "images": dict(self.wanted.images),
            "state": self.state,
            "share": self.wanted.share,
            "databases": counts,
            "reason": self._reason(counts, failed),
            "trouble": list(self.trouble.values())[:NAMED],
            "obstacles": self.obstacles.as_json(),
            "failed": [
                {
                    "database": one.entry.database.name,
                    "reason": one.reason,
                    "tries": one.tries,
                    "at": write_time(one.at),
                }
                for one in failed[:NAMED]
            ],
        }

    def details(self) -> dict[str, Any]:
        """Return what operators ask for: every database."""
        with self._lock:
            entries = sorted(self.entries.items())
        return {
            "version": VERSION,
            "time": write_time(self.clock()),
            "images": dict(self.wanted.images),
            "databases": [self._detail(key, entry) for key, entry in entries],
        }

    def _detail(self, key: Key, entry: Entry) -> dict[str, Any]:
        cluster, name = key
        history, failure = entry.database.history, self.failure(entry)
        waits = self.obstacles.get(_OF_A_DATABASE + "/".join(key)) if entry.verdict is Verdict.DUE else None
        return {
            "cluster": cluster,
            "database": name,
            "result": str(Verdict.FAILED if failure else entry.verdict),
            "image": history.images[-1] if history.images else None,
            "revision": history.revision,
            "since": write_time(history.since) if history.images else None,
            "reason": failure.reason if failure else waits.reason if waits else "",
            "tries": failure.tries if failure else 0,
        }

    def _reason(self, counts: Mapping[str, Mapping[str, int]], failed: Sequence[Failure]) -> str:
        """Say in a line how far it is, and what failed or is in the way."""
        total = sum(one["total"] for one in counts.values())
        arrived = sum(one["arrived"] for one in counts.values())
        text = f"{arrived} of {total} databases are migrated"
        if not self.known.is_set() and not self.trouble:
            return "the images are being fetched"
        parts = [f"{one.entry.database.name}: {one.reason}" for one in failed[:3]]
        if len(failed) > len(parts):
            parts.append(f"and {len(failed) - len(parts)} more")
        if parts:
            text += f"; failed: {'; '.join(parts)}"
        if trouble := list(self.trouble.values())[:2]:
            text += f"; in the way: {'; '.join(trouble)}"
        return text

    def metrics(self, seconds: float) -> str:
        """Return it in Prometheus's text format."""
        lines: list[str] = []
        failed = self.failed
        overdue = {key_of(one.entry.database) for one in failed}

        def result(entry: Entry) -> Verdict:
            return Verdict.FAILED if key_of(entry.database) in overdue else entry.verdict

        def family(name: str, text: str, samples: Sequence[tuple[str, float]]) -> None:
            full = f"presence360_migrations_{name}"
            lines.extend([f"# HELP {full} {text}", f"# TYPE {full} gauge"])
            lines.extend(f"{full}{labels} {value}" for labels, value in samples)

        family(
            "success",
            "Whether enough databases have the schema of the wanted release.",
            [("", int(self.state == DONE))],
        )
        family(
            "databases",
            "Databases by what is true of them.",
            [
                (f'{{databases="{kind}",result="{verdict}"}}', count)
                for kind in sorted(self.wanted.jobs)
                for verdict in Verdict
                for count in [sum(1 for entry in self.of(kind) if result(entry) is verdict)]
            ],
        )
        family(
            "failing",
            "Databases that failed, or that could not be begun for minutes; the value is the number of tries.",
            [(f'{{database="{one.entry.database.name}"}}', one.tries) for one in failed],
        )
        family("duration_seconds", "How long the run took.", [("", round(seconds, 3))])
        family("timestamp_seconds", "When the run ended.", [("", round(self.clock()))])
        return "\n".join(lines) + "\n"


def key_of(database: Database) -> Key:
    """Return what tells a database from all others: two clusters may have one of the same name."""
    return database.cluster.name, database.name


def as_text(value: Mapping[str, Any]) -> bytes:
    """Write an object for the status bucket."""
    return json.dumps(value, indent=1, sort_keys=True).encode()
