"""The answer to the fetcher: whether another version of the programs may take over now."""

import socket
import time
from collections.abc import Callable

from droplet import journal
from droplet.converge.errors import HeldError, WaitingError
from droplet.converge.group import Group
from droplet.converge.manifest import read_set
from droplet.converge.paths import Paths
from droplet.converge.processes import Run, run_program
from droplet.converge.release import load_release
from droplet.converge.run import droplet_id
from droplet.converge.store import Store
from droplet.converge.turns import WAIT, Change, check_turn


def answer_update(
    digest: str,
    *,
    paths: Paths | None = None,
    hostname: str | None = None,
    clock: Callable[[], float] = time.time,
    run: Run = run_program,
) -> int:
    """Answer whether another version may take over now: 0, or `WAIT`.

    Programs change in the same turns as releases. A droplet without a release serves nothing, so it does not wait.

    Args:
        digest: of the other version.
        paths: where the release that runs is found.
        hostname: this droplet's; its number decides its turn.
        clock: seconds since 1970.
        run: runs rclone.
    """
    paths, hostname = paths or Paths(), hostname or socket.gethostname()
    current = load_release(paths.current)
    if current is None:
        return 0
    group = Group(paths, Store(run), droplet_id(paths, hostname), hostname, clock)
    try:
        read_set(paths)
        check_turn(Change("programs", digest), current, group.view())
    except (HeldError, WaitingError) as waiting:
        journal.log(journal.INFO, f"programs {digest}: {waiting}")
        return WAIT
    return 0
