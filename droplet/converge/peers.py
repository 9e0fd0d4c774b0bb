"""What the droplets of the group said of themselves."""

import calendar
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.converge.paths import read_json
from droplet.converge.store import LARGEST

FRESH_SECONDS = 300
"""What is older says nothing about the present (model/status.py)."""

AWAY = ("draining", "starting")
"""Phases in which a droplet takes no requests."""

LONGEST = 400
"""Characters of a reason that count: no droplet of ours writes more (droplet/converge/status.py)."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"

# staging-app-1, or staging-app-1-3fa9c2 with the droplet's generation (model/naming.py).
_NUMBER = re.compile(r"-(\d{1,3})(-[0-9a-f]{6})?$")


@dataclass(frozen=True)
class Peer:
    """What one droplet said last; the members are those of model/status.py."""

    droplet: str
    name: str
    release: str | None
    wanted: str | None
    programs: str | None
    phase: str
    reason: str
    time: float

    def fresh(self, now: float) -> bool:
        """Tell whether it says something about the present."""
        return abs(now - self.time) <= FRESH_SECONDS

    @property
    def number(self) -> int | None:
        """Its place in the group; None in a pool."""
        return number_of(self.name)

    @property
    def away(self) -> bool:
        """Whether it takes no requests, but did before."""
        return self.phase in AWAY and self.release is not None


def number_of(name: str) -> int | None:
    """Return a droplet's number, which counts from 1; None in a pool, whose droplets have none."""
    found = _NUMBER.search(name)
    return int(found[1]) if found else None


def read_peers(folder: Path) -> list[Peer]:
    """Read what was fetched; an object without the expected form says nothing."""
    found = ((path.stem, read_json(path, LARGEST)) for path in sorted(folder.glob("*.json")))
    return [peer for droplet, value in found if (peer := _peer(droplet, value))]


def successors_of(peer: Peer, peers: Iterable[Peer], now: float) -> list[Peer]:
    """Return who has the same number and spoke lately: a replaced droplet and its successor stand side by side."""
    return [
        other
        for other in peers
        if peer.number is not None
        and other.number == peer.number
        and other.droplet != peer.droplet
        and other.fresh(now)
    ]


def write_time(seconds: float) -> str:
    """Write a time as statuses have it."""
    return time.strftime(_TIME, time.gmtime(seconds))


def read_time(text: str) -> float:
    """Read a time as statuses have it.

    Raises:
        ValueError: it has another form.
    """
    return float(calendar.timegm(time.strptime(text, _TIME)))


def _line(value: object) -> str:
    """Return a peer's words as one short line: they reach the journal and our own status, and it may be compromised."""
    return "".join(one if one.isprintable() else " " for one in str(value)[:LONGEST])


def _peer(droplet: str, value: dict[str, Any]) -> Peer | None:
    try:
        if value["droplet"] != droplet:
            return None
        return Peer(
            droplet=droplet,
            name=_line(value["name"]),
            release=value["release"],
            wanted=value["wanted"],
            programs=value["programs"],
            phase=str(value["phase"]),
            reason=_line(value["reason"]),
            time=read_time(value["time"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
