"""How the dumps are: for operators, in the bucket, and as metrics."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from droplet.backup.databases import Database
from droplet.backup.history import History
from droplet.converge.peers import write_time

KEY = "status.json"
VERSION = 1


@dataclass
class Board:
    """What is known of every database; several threads write.

    Attributes:
        droplet: this droplet's name.
        night: when the last night began.
        trouble: what keeps the run from knowing every database.
    """

    droplet: str
    night: float
    trouble: list[str] = field(default_factory=list)
    _known: dict[tuple[str, str], tuple[Database, History]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, database: Database, history: History) -> None:
        """Note what is true of a database."""
        with self._lock:
            self._known[database.place] = database, history

    @property
    def known(self) -> list[tuple[Database, History]]:
        """All, by cluster and name."""
        with self._lock:
            return [self._known[place] for place in sorted(self._known)]

    @property
    def failing(self) -> list[tuple[Database, History]]:
        """Those whose dump failed since the last good one."""
        return [one for one in self.known if one[1].tries]

    def status(self, now: float) -> dict[str, Any]:
        """Return what operators read."""
        return {
            "version": VERSION,
            "time": write_time(now),
            "droplet": self.droplet,
            "night": write_time(self.night),
            "trouble": self.trouble[:10],
            "databases": [
                {
                    "cluster": database.cluster.name,
                    "database": database.name,
                    "at": write_time(history.at) if history.at else None,
                    "key": history.key or None,
                    "bytes": history.bytes,
                    "tries": history.tries,
                    "reason": history.reason if history.tries else "",
                }
                for database, history in self.known
            ],
        }

    def metrics(self, now: float, seconds: float) -> str:
        """Return it in Prometheus's text format."""
        lines: list[str] = []

        def family(name: str, text: str, samples: Sequence[tuple[str, float]]) -> None:
            full = f"presence360_dump_{name}"
            lines.extend([f"# HELP {full} {text}", f"# TYPE {full} gauge"])
            lines.extend(f"{full}{labels} {value}" for labels, value in samples)

        def labels(database: Database) -> str:
            return f'{{cluster="{database.cluster.name}",database="{database.name}"}}'

        good = [(labels(database), history) for database, history in self.known if history.at]
        family("timestamp_seconds", "When the last good dump was made.", [(at, one.at) for at, one in good])
        family("size_bytes", "The size of the last good dump.", [(at, one.bytes) for at, one in good])
        family(
            "failing",
            "Databases whose dump failed last; the value is the number of tries.",
            [(labels(database), history.tries) for database, history in self.failing],
        )
        family("never", "Databases that have no dump yet.", [("", len(self.known) - len(good))])
        family("run_duration_seconds", "How long the run took.", [("", round(seconds, 3))])
        family("run_timestamp_seconds", "When the run ended.", [("", round(now))])
        return "\n".join(lines) + "\n"


def as_text(value: dict[str, Any]) -> bytes:
    """Write an object for the bucket."""
    return json.dumps(value, indent=1, sort_keys=True).encode()
