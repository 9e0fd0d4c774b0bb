"""Turns: when a droplet may change, so that those of its group do not change at once.

Droplets follow each other: by number, and in a pool, whose droplets have none, by name. The first is the canary; it
changes alone, and if it fails, nobody follows. Where a droplet is silent, the others fall back on the clock: turn =
(unix time / slot) mod turns.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from droplet.converge.errors import HeldError, WaitingError
from droplet.converge.peers import Peer, number_of, successors_of
from droplet.converge.release import Release

WAIT = 75
"""Exit status of ``--may-update``: wait. EX_TEMPFAIL of sysexits.h, "the user is invited to retry"; no Python
program ends with it by mistake. droplet/fetch.py knows the same number."""


@dataclass(frozen=True)
class Change:
    """What a group changes to: a release, or another version of the programs."""

    what: str
    digest: str

    def done(self, peer: Peer) -> bool:
        """Tell whether a droplet made the change, and serves."""
        runs = peer.release if self.what == "release" else peer.programs
        return runs == self.digest and peer.phase == "serving"

    def failed(self, peer: Peer) -> bool:
        """Tell whether a droplet tried the change, and it failed."""
        tried = peer.wanted if self.what == "release" else peer.programs
        return tried == self.digest and peer.phase == "failed"

    def __str__(self) -> str:
        return f"{self.what} {self.digest}"


@dataclass(frozen=True)
class View:
    """What a droplet sees of its group when it wants to change.

    Attributes:
        droplet: its own id.
        name: its own name.
        peers: what all droplets said last; None where the object store did not answer.
        now: seconds since 1970.
        waited: for how many seconds it has waited for this change.
    """

    droplet: str
    name: str
    peers: Sequence[Peer] | None
    now: float
    waited: float = 0

    @property
    def others(self) -> list[Peer]:
        """The other droplets."""
        return [peer for peer in self.peers or () if peer.droplet != self.droplet]


def check_turn(change: Change, timing: Release, view: View, *, retry: bool = False) -> None:
    """Return if the droplet may change now.

    Args:
        change: what the bucket says.
        timing: of the group.
        view: of the group.
        retry: a person wants another try of what failed elsewhere.

    Raises:
        HeldError: another droplet failed with this change.
        WaitingError: it is not this droplet's turn.
    """
    if not retry:
        _check_verdicts(change, view)
    speaking = [peer for peer in view.others if peer.fresh(view.now)]
    # An old droplet of a number that has a successor which serves is on its way out.
    present = [peer for peer in speaking if not _replaced(change, peer, speaking, view.now)]
    limit = _limit(timing, view, present)
    away = [peer for peer in present if peer.away]
    if len(away) >= limit:
        raise WaitingError(f"waits for {away[0].name}, which is {away[0].phase}")
    unaware = _unaware(change, timing, view, present)
    before = [
        peer
        for peer in sorted(present, key=lambda peer: _rank(peer.name))
        if _rank(peer.name) < _rank(view.name)
        and peer not in unaware
        and not change.done(peer)
        and not (retry and change.failed(peer))
    ]
    canary = not any(change.done(peer) for peer in present)
    if before and (canary or len(before) >= limit):
        raise WaitingError(f"waits for {before[0].name}")
    if (unaware or _absent(timing, view, present)) and not may_start(timing, view.name, view.now):
        raise WaitingError("waits for its slot, because a droplet of the group is silent")


def may_start(timing: Release, name: str, now: float) -> bool:
    """Tell whether a droplet's own slot is now, and young enough for a change to be over, or undone, before it ends."""
    if timing.turns <= 1:
        return True
    slot, into = divmod(now, timing.slot_seconds)
    return int(slot) % timing.turns == own_turn(name, timing.turns) and (
        into + timing.worst_seconds <= timing.slot_seconds
    )


def own_turn(name: str, turns: int) -> int:
    """Return a droplet's turn by the clock: by its number; by chance in a pool."""
    number = number_of(name)
    value = number - 1 if number else int(hashlib.sha256(name.encode()).hexdigest(), 16)
    return value % turns


def _check_verdicts(change: Change, view: View) -> None:
    """A failure counts however old it is: a canary that failed and then fell silent did not make the change good."""
    for peer in view.others:
        if change.failed(peer) and not _replaced(change, peer, view.others, view.now):
            raise HeldError(f"{peer.name} failed with {change}: {peer.reason}")


def _replaced(change: Change, peer: Peer, others: Sequence[Peer], now: float) -> bool:
    return any(change.done(other) for other in successors_of(peer, others, now))


def _limit(timing: Release, view: View, present: Sequence[Peer]) -> int:
    """Return how many may be away at once: one in a group with numbers, a part of a pool."""
    if number_of(view.name) is not None:
        return 1
    return max(1, (len(present) + 1) // max(1, timing.turns))


def _unaware(change: Change, timing: Release, view: View, present: Sequence[Peer]) -> list[Peer]:
    """Return who speaks, but knows nothing of the change after a whole round: it cannot fetch its bucket."""
    if change.what != "release" or view.waited <= timing.turns * timing.slot_seconds:
        return []
    return [peer for peer in present if peer.wanted != change.digest and not peer.away]


def _absent(timing: Release, view: View, present: Sequence[Peer]) -> bool:
    """Tell whether somebody says nothing: any number of the group, or, in a pool, everybody."""
    if view.peers is None:
        return True
    own = number_of(view.name)
    if own is None:
        return False
    speaking = {peer.number for peer in present} | {own}
    return any(number not in speaking for number in range(1, timing.turns + 1))


def _rank(name: str) -> tuple[int, str]:
    return number_of(name) or 0, name
