"""Injected faults: errors, dropped connections, a rate limit, latency. All of them are off by default."""

import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lab.local_digitalocean.clock import Clock

MINUTE, HOUR = 60, 3600
# The limits of a token (API documentation, "Rate Limit").
PER_MINUTE, PER_HOUR = 250, 5000

DROP, DROP_ANSWER = "drop", "drop-answer"
"""The connection is closed before the request is handled, or after."""

_STATUSES = range(400, 600)
MOST_NUMBERS = 2
RETRY_SECONDS = 1
"""The `Retry-After` of an injected 429, in seconds."""


@dataclass
class Fault:
    """A fault in some calls.

    Attributes:
        method: the method of the calls; ``*`` for any.
        path: a pattern for their whole path; for Spaces ``/bucket/key``.
        what: an HTTP status, ``drop`` or ``drop-answer``.
        nth: the first of those calls that fails, from 1.
        times: how many fail.
        seen: how many there were.
    """

    method: str
    path: str
    what: str
    nth: int = 1
    times: int = 1
    seen: int = 0

    def hits(self, method: str, path: str) -> bool:
        """Count a call; return whether it fails."""
        if self.method not in ("*", method) or not re.fullmatch(self.path, path):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times

    @classmethod
    def read(cls, written: str) -> "Fault":
        """Read ``POST /v2/droplets 500``, ``GET /v2/.* drop 3``, ``* .* 429 10 5``: what, the nth call, how many.

        Raises:
            ValueError: it has another form.
        """
        words = written.split()
        match words:
            case [method, path, what, *numbers] if len(numbers) <= MOST_NUMBERS and all(
                map(str.isdigit, numbers)
            ):
                fault = cls(method.upper(), path, what, *(int(one) for one in numbers))
            case _:
                raise ValueError(f"a fault is METHOD PATH WHAT [NTH [TIMES]], not {written!r}")
        fault.check()
        return fault

    def check(self) -> None:
        """Check the fields.

        Raises:
            ValueError: a field is invalid.
        """
        known = self.what in (DROP, DROP_ANSWER) or (self.what.isdigit() and int(self.what) in _STATUSES)
        if not known or self.nth < 1 or self.times < 1:
            raise ValueError(f"a fault is a status from 400, {DROP} or {DROP_ANSWER}, not {self.what!r}")
        try:
            re.compile(self.path)
        except re.error as error:
            raise ValueError(
                f"the path of a fault is a pattern, and {self.path!r} is none: {error}"
            ) from None


@dataclass(frozen=True)
class Rate:
    """What the ratelimit-... headers say.

    Attributes:
        limit: calls an hour.
        remaining: how many of them are left.
        reset: when the oldest one is forgotten, in seconds since the epoch.
        retry_after: seconds to wait, if the call is refused.
    """

    limit: int
    remaining: int
    reset: int
    retry_after: int | None


@dataclass
class Faults:
    """The switches.

    Attributes:
        latency: seconds before each answer.
        per_minute, per_hour: the rate limit; None for none.
        faults: those that are on.
    """

    clock: Clock = field(default_factory=Clock)
    latency: float = 0.0
    per_minute: int | None = None
    per_hour: int | None = None
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._calls: deque[float] = deque()
        self._lock = threading.Lock()

    def set(self, wanted: dict[str, Any]) -> None:
        """Turn switches.

        Raises:
            ValueError: there is no such switch, or no such setting.
        """
        unknown = set(wanted) - {"latency", "per_minute", "per_hour", "faults"}
        if unknown:
            raise ValueError(f"there is no switch {', '.join(sorted(unknown))}")
        faults: Iterable[Any] = wanted.get("faults", [])
        read = [Fault.read(one) if isinstance(one, str) else Fault(**one) for one in faults]
        for fault in read:
            fault.check()
        with self._lock:
            self.latency = float(wanted.get("latency", self.latency))
            if {"per_minute", "per_hour"} & set(wanted):
                self.per_minute, self.per_hour = wanted.get("per_minute"), wanted.get("per_hour")
                self._calls.clear()
            if "faults" in wanted:
                self.faults = read

    def hits(self, method: str, path: str) -> str | None:
        """Count a call; return what is to happen to it instead of an answer."""
        with self._lock:
            struck = [fault.what for fault in self.faults if fault.hits(method, path)]
        return struck[0] if struck else None

    def rate(self) -> Rate:
        """Count a call against the limits; both windows slide."""
        now = self.clock.now()
        with self._lock:
            while self._calls and self._calls[0] <= now - HOUR:
                self._calls.popleft()
            minute = [at for at in self._calls if at > now - MINUTE]
            hour_limit = self.per_hour or PER_HOUR
            wait: float | None = None
            if self.per_hour and len(self._calls) >= self.per_hour:
                wait = self._calls[0] + HOUR - now
            if self.per_minute and len(minute) >= self.per_minute:
                wait = max(wait or 0, minute[0] + MINUTE - now)
            if wait is None:
                self._calls.append(now)
            oldest = self._calls[0] if self._calls else now
            remaining = max(0, hour_limit - len(self._calls))
        return Rate(
            hour_limit, remaining, int(oldest + HOUR), None if wait is None else max(1, int(wait + 0.999))
        )
