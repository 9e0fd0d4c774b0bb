"""Turns: when a droplet may change, so that those of its group do not change at once."""

import hashlib
import re
import socket
import time

from droplet import journal
from droplet.converge.paths import Paths
from droplet.converge.release import Release, load_release

WAIT = 75
"""Exit status of ``--may-update``: wait. EX_TEMPFAIL of sysexits.h, "the user is invited to retry"; no Python
program ends with it by mistake. droplet/fetch.py knows the same number."""

# staging-app-1, or staging-app-1-3fa9c2 with the droplet's generation (model/naming.py).
_NUMBER = re.compile(r"-(\d{1,3})(-[0-9a-f]{6})?$")


def own_turn(hostname: str, turns: int) -> int:
    """Return a droplet's turn: by its number, which counts from 1; by chance in a pool, where it has none."""
    number = _NUMBER.search(hostname)
    value = int(number[1]) - 1 if number else int(hashlib.sha256(hostname.encode()).hexdigest(), 16)
    return value % turns


def may_start(release: Release, hostname: str, now: float) -> bool:
    """Tell whether a change may start now: in the own turn, and early enough to be over, or undone, before it ends."""
    if release.turns <= 1:
        return True
    slot, into = divmod(now, release.slot_seconds)
    return int(slot) % release.turns == own_turn(hostname, release.turns) and (
        into + release.worst_seconds <= release.slot_seconds
    )


def answer_update(
    digest: str, *, paths: Paths | None = None, hostname: str | None = None, now: float | None = None
) -> int:
    """Answer whether another version of the programs may take over now: 0, or `WAIT`.

    Programs change in the same turns as releases. A droplet without a release serves nothing, so it does not wait.

    Args:
        digest: of the other version; for the journal.
        paths: where the release that runs is found.
        hostname: this droplet's; its number decides its turn.
        now: seconds since 1970.
    """
    current = load_release((paths or Paths()).current)
    moment = time.time() if now is None else now
    if current is None or may_start(current, hostname or socket.gethostname(), moment):
        return 0
    journal.log(journal.INFO, f"programs {digest} wait for this droplet's turn")
    return WAIT
