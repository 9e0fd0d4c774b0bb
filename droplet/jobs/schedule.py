"""When a job was due last. model/schedule.py worked out the numbers from what operators wrote."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from droplet.integers import integer

HORIZON_SECONDS = 24 * 3600
"""How far back a missed run is looked for."""

_PARTS = ("minutes", "hours", "days", "months", "weekdays")


@dataclass(frozen=True)
class Schedule:
    """The minutes at which a job is due: those whose every part is listed. None stands for any.

    Attributes:
        parts: minutes, hours, days of the month, months, and days of the week with Monday as 1.
    """

    parts: tuple[frozenset[int] | None, ...]

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> "Schedule":
        """Read what Terraform wrote.

        Raises:
            KeyError, TypeError, ValueError: it has another form.
        """
        return cls(
            tuple(None if value[part] is None else frozenset(map(integer, value[part])) for part in _PARTS)
        )

    def last_due(self, now: float) -> float | None:
        """Return the last time at which it was due, within the horizon; None if there was none."""
        minute = int(now // 60) * 60
        for due in range(minute, minute - HORIZON_SECONDS, -60):
            if self._is_due(due):
                return float(due)
        return None

    def _is_due(self, seconds: int) -> bool:
        at = time.gmtime(seconds)
        values = (at.tm_min, at.tm_hour, at.tm_mday, at.tm_mon, at.tm_wday + 1)
        return all(part is None or value in part for part, value in zip(self.parts, values, strict=True))
