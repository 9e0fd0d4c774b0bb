"""This droplet in its group: what the others say, and whether it is its turn."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from droplet import journal
from droplet.converge.errors import ConvergeError, WaitingError
from droplet.converge.paths import Paths, read_json, write
from droplet.converge.peers import Peer, read_peers
from droplet.converge.release import Release
from droplet.converge.store import Store
from droplet.converge.turns import Change, View, check_turn

PERIOD_SECONDS = 30
"""How often a run begins (presence360-converge.timer)."""
POLL_SECONDS = 4
REST_SECONDS = 6
"""A run that waits ends so long before the next begins: that one fetches again, so a newer release ends the wait. A run
that is late is left out by systemd, and nobody would look for half a minute."""


@dataclass
class Group:
    """The droplets of the group.

    Attributes:
        paths: where records are.
        store: the status bucket.
        droplet: this droplet's id.
        name: this droplet's name.
        clock: seconds since 1970.
        sleep: waits.
        told: is called with what this droplet waits for.
    """

    paths: Paths
    store: Store
    droplet: str
    name: str
    clock: Callable[[], float]
    sleep: Callable[[float], None] = lambda _: None
    told: Callable[[str], None] = lambda _: None

    def peers(self) -> list[Peer] | None:
        """Return what the droplets of the group said; None where the object store does not answer."""
        try:
            self.paths.peers.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.store.fetch(self.paths.peers)
        except (ConvergeError, OSError) as error:
            journal.log(journal.WARNING, f"the other droplets' statuses were not fetched: {error}")
            return None
        return read_peers(self.paths.peers)

    def wait_for_turn(self, release: Release, *, retry: bool = False) -> None:
        """Return when it is this droplet's turn to start a release.

        Raises:
            HeldError: another droplet failed with it, and nobody asked for another try.
            WaitingError: not in this run.
        """
        change = Change("release", release.digest)

        def check() -> None:
            waited = self.waited(str(change))
            check_turn(change, release, self.view(waited), retry=retry)

        self.wait(str(change), check)

    def wait(self, what: str, check: Callable[[], None]) -> None:
        """Return when a check passes.

        Raises:
            WaitingError: not in this run.
        """
        while True:
            try:
                check()
            except WaitingError as waiting:
                if PERIOD_SECONDS - self.clock() % PERIOD_SECONDS < POLL_SECONDS + REST_SECONDS:
                    raise WaitingError(f"{what} {waiting}") from None
                self.told(f"{what} {waiting}")
                self.sleep(POLL_SECONDS)
            else:
                return

    def view(self, waited: float = 0) -> View:
        """Return what this droplet sees of its group now."""
        return View(self.droplet, self.name, self.peers(), self.clock(), waited)

    def waited(self, what: str) -> float:
        """Return for how many seconds this droplet has waited for something."""
        record, now = read_json(self.paths.waiting), self.clock()
        if record.get("what") == what and isinstance(since := record.get("since"), int | float):
            return now - since
        write(self.paths.waiting, json.dumps({"what": what, "since": now}).encode(), mode=0o644)
        return 0

    def forget_failures(self) -> None:
        """Remove what droplets that are gone said when they failed; it would hold this group for ever."""
        for peer in self.peers() or ():
            if peer.phase == "failed" and not peer.fresh(self.clock()):
                self.store.forget(peer.droplet)
