"""What a drill came to, as JSON; ops/drill/report.py writes it for people. No row of a church's is in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from droplet.converge.peers import write_time
from droplet.drill.checks import Tried
from droplet.drill.request import Request

VERSION = 1
FOLDER = "drills"
"""In the first bucket of dumps; it has nothing else."""
DAY_SECONDS = 86_400


@dataclass
class Report:
    """One drill.

    Attributes:
        request: what was asked for.
        droplet: which one tried.
        started: seconds since 1970.
        finished: the same; 0 while it goes on.
        problems: what makes it a failure, beside the databases'.
        notes: what somebody should look at.
        tried: by database.
        left: databases that were not reached in the time.
        known: by database, when and how it was last looked through, in any drill.
    """

    request: Request
    droplet: str
    started: float
    finished: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong, and something was tried."""
        return bool(self.tried) and not self.problems and all(one.passed for one in self.tried)

    @property
    def fork_seconds(self) -> float:
        """How long the fork took."""
        return self.request.ready - self.request.began

    @property
    def rto_seconds(self) -> float | None:
        """From the decision until the slowest of the churches that were tried is served from a new database."""
        restored = [one.restore_seconds for one in self.tried if one.restore_seconds is not None]
        return self.fork_seconds + max(restored) if restored else None

    @property
    def rpo_seconds(self) -> float:
        """How much of the last writes a restore of the backup would have lost."""
        return self.request.time - self.request.backup

    @property
    def dump_rpo_seconds(self) -> float | None:
        """The same of the oldest of the newest dumps."""
        ages = [one.dump_age for one in self.tried if one.dump_age is not None]
        return max(ages) if ages else None

    @property
    def stamp(self) -> str:
        """What the objects are called after."""
        return write_time(self.started).replace("-", "").replace(":", "")

    def all_problems(self) -> list[str]:
        """Return every one, the databases' too."""
        return [
            *self.problems,
            *(
                f"{one.database}: {check.name}: {check.detail}"
                for one in self.tried
                for check in one.checks
                if not check.passed
            ),
        ]

    def as_json(self) -> bytes:
        """Return it for programs (model/drill_report.py reads it)."""
        rto, dumps = self.rto_seconds, self.dump_rpo_seconds
        value = {
            "version": VERSION,
            "id": self.request.id,
            "environment": self.request.environment,
            "source": self.request.source,
            "droplet": self.droplet,
            "backup": write_time(self.request.backup),
            "started": write_time(self.started),
            "finished": write_time(self.finished),
            "passed": self.passed,
            "problems": self.all_problems(),
            "notes": self.notes,
            "fork_seconds": round(self.fork_seconds),
            "rto_seconds": None if rto is None else round(rto),
            "rpo_seconds": round(self.rpo_seconds),
            "dump_rpo_seconds": None if dumps is None else round(dumps),
            "left": sorted(self.left),
            "databases": [one.as_json() for one in sorted(self.tried, key=lambda one: one.database)],
            "known": {name: self.known[name] for name in sorted(self.known)},
        }
        return (json.dumps(value, indent=1) + "\n").encode()

    def remember(self, earlier: Mapping[str, Any]) -> None:
        """Carry on what earlier drills looked through, and add what this one did."""
        self.known = {str(name): dict(one) for name, one in earlier.items() if isinstance(one, Mapping)}
        for one in self.tried:
            changes = self.known.get(one.database, {}).get("changes")
            self.known[one.database] = {
                **({"changes": changes} if changes is not None else {}),
                "at": write_time(one.started),
                "way": one.way,
            }

    def too_long_ago(self, names: Sequence[str], now: float, read: Mapping[str, float]) -> list[str]:
        """Return databases that no drill has looked through for too long."""
        limit = self.request.every_days * DAY_SECONDS
        return [name for name in names if name in read and now - read[name] > limit]
