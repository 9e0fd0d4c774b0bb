"""What is in the way of a run, such as an image that cannot be pulled: tried again, and told after a while.

A registry, a cluster or another program that is in the way for a moment is no reason to hold a release back. What is
still in the way after `PATIENCE_SECONDS` is. Since when is kept in what all groups read, so that the droplets of the
control group, which take turns in running, agree on it.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from droplet.converge.peers import read_time, write_time
from droplet.converge.status import one_line
from droplet.integers import integer

PATIENCE_SECONDS = 300
"""How long something is only tried again: ten runs. A control group that is silent is waited for as long
(droplet/converge/migrations.py)."""

MOST = 300
"""Characters of a reason."""


@dataclass(frozen=True)
class Obstacle:
    """Something that is in the way.

    Attributes:
        reason: one line.
        since: when it was met first, seconds since 1970.
        tries: how often it was met.
    """

    reason: str
    since: float
    tries: int

    def lasts(self, now: float) -> bool:
        """Tell whether it has been there for so long that somebody has to look."""
        return now - self.since >= PATIENCE_SECONDS


class Obstacles:
    """All that is in the way, by what it keeps from being done; several threads write."""

    def __init__(self, clock: Callable[[], float], before: Mapping[str, Obstacle] | None = None) -> None:
        """Begin with those of the run before: each is there until this run has found it gone."""
        self._clock = clock
        # The clock of who met it may have been ahead.
        now = clock()
        self._known = {what: replace(one, since=min(one.since, now)) for what, one in (before or {}).items()}
        self._met: set[str] = set()
        self._lock = threading.Lock()

    def meet(self, what: str, reason: str) -> None:
        """Note that something is in the way, or is so still."""
        with self._lock:
            before = self._known.get(what)
            since, tries = (before.since, before.tries) if before else (self._clock(), 0)
            self._known[what] = Obstacle(one_line(reason, ())[:MOST], since, tries + 1)
            self._met.add(what)

    def clear(self, what: str) -> None:
        """Note that nothing is in the way of something."""
        with self._lock:
            self._known.pop(what, None)

    def forget_others(self) -> None:
        """Forget what this run has not met."""
        with self._lock:
            self._known = {what: one for what, one in self._known.items() if what in self._met}

    def get(self, what: str) -> Obstacle | None:
        """Return what is in the way of something."""
        with self._lock:
            return self._known.get(what)

    def starting(self, prefix: str) -> dict[str, Obstacle]:
        """Return those whose name begins so, sorted."""
        with self._lock:
            return {what: one for what, one in sorted(self._known.items()) if what.startswith(prefix)}

    def as_json(self) -> dict[str, Any]:
        """Return what the next run reads."""
        return {
            what: {"reason": one.reason, "since": write_time(one.since), "tries": one.tries}
            for what, one in self.starting("").items()
        }


def read(value: object) -> dict[str, Obstacle]:
    """Read what a run before wrote; what cannot be read was never met."""
    found: dict[str, Obstacle] = {}
    if not isinstance(value, dict):
        return found
    for what, one in value.items():
        try:
            found[str(what)] = Obstacle(
                str(one["reason"]), read_time(str(one["since"])), integer(one["tries"], 0)
            )
        except (KeyError, TypeError, ValueError):
            continue
    return found
