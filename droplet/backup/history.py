"""A database's part of the record, and whether it is to be dumped now. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from droplet.integers import LATEST, integer

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 300, 3600
"""After a failure: twice as long each time."""

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class History:
    """What the record says of a database's dumps.

    Attributes:
        at: the time of the last good dump, seconds since 1970; 0: there is none.
        key: the folder in the bucket that has it.
        bytes: its size there.
        changes: the database's count of changes then (droplet/backup/databases.py).
        failed: when one failed since; 0: none did.
        tries: how often.
        reason: why: one line without secrets.
    """

    at: float = 0
    key: str = ""
    bytes: int = 0
    changes: int = -1
    failed: float = 0
    tries: int = 0
    reason: str = ""

    @classmethod
    def of(cls, value: object) -> "History":
        """Read it; what cannot be read means that nothing is known, so that the database is dumped."""
        if not isinstance(value, Mapping):
            return cls()
        try:
            return cls(
                at=integer(value.get("at", 0), 0, LATEST),
                key=str(value.get("key", "")),
                bytes=integer(value.get("bytes", 0), 0),
                changes=integer(value.get("changes", -1)),
                failed=integer(value.get("failed", 0), 0, LATEST),
                tries=integer(value.get("tries", 0), 0),
                reason=str(value.get("reason", "")),
            )
        except (TypeError, ValueError):
            return cls()

    def as_json(self) -> dict[str, Any]:
        """Return what the record has."""
        value: dict[str, Any] = {
            "at": round(self.at),
            "key": self.key,
            "bytes": self.bytes,
            "changes": self.changes,
        }
        if self.tries:
            value |= {"failed": round(self.failed), "tries": self.tries, "reason": self.reason}
        return value

    def after_success(self, at: float, key: str, size: int, changes: int) -> "History":
        """Return it after a dump."""
        return History(at, key, size, changes)

    def after_failure(self, reason: str, now: float) -> "History":
        """Return it after a failure."""
        return replace(self, failed=now, tries=self.tries + 1, reason=reason)

    def due(self, night: float, now: float, asked: float = 0) -> bool:
        """Tell whether the database is to be dumped.

        Args:
            night: when the last night began.
            now: seconds since 1970.
            asked: when an operator asked for a dump; 0: nobody did.
        """
        if asked > max(self.at, self.failed):
            return True
        return self.at < night and (not self.tries or now >= self.again)

    @property
    def again(self) -> float:
        """When it is tried again after a failure."""
        doubled = min(max(self.tries - 1, 0), 10)
        return self.failed + min(FIRST_PAUSE_SECONDS << doubled, LONGEST_PAUSE_SECONDS)


def night_of(now: float, hour: str) -> float:
    """Return when the last night began: the latest time of day ``hour`` (UTC, 01:30) that is past."""
    hours, minutes = hour.split(":")
    into = int(hours) * 3600 + int(minutes) * 60
    return (now - into) // DAY_SECONDS * DAY_SECONDS + into
