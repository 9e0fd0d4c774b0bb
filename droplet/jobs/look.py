"""One look: what became of runs, what operators ask for, and what is due."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from droplet import journal
from droplet.converge.errors import CommandError
from droplet.converge.paths import Paths
from droplet.converge.peers import number_of, read_peers
from droplet.converge.release import Release, load_release
from droplet.converge.store import Store
from droplet.jobs.buckets import Buckets
from droplet.jobs.contract import ONE_OFF, Request, Run
from droplet.jobs.runs import Runs
from droplet.jobs.scheduled import Scheduled


@dataclass
class Look:
    """What a look works with.

    Attributes:
        paths: where files are.
        buckets: requests.
        store: the droplets' statuses.
        runs: of this droplet.
        scheduled: jobs of its group.
        droplet: this droplet's id.
        name: this droplet's name.
        clock: seconds since 1970.
    """

    paths: Paths
    buckets: Buckets
    store: Store
    runs: Runs
    scheduled: Scheduled
    droplet: str
    name: str
    clock: Callable[[], float]

    def once(self) -> None:
        """Look after runs, and begin what is asked for and what is due.

        Raises:
            CommandError: Docker does not answer. Whatever runs goes on.
        """
        requests: list[Request] = []
        try:
            requests = self.buckets.requests()
        except (CommandError, OSError) as error:
            journal.log(journal.WARNING, f"requests were not fetched: {error}")
        self.runs.tend({request.id for request in requests if request.cancelled})
        release = load_release(self.paths.current)
        # A droplet that shuts down would take a run along.
        if release is None or self.paths.leaving.exists():
            return
        try:
            self._answer(requests, release)
            self.scheduled.begin_due(release, self._is_first)
        except (CommandError, OSError) as error:
            # Without a claim, or a disk that takes its file, nothing begins.
            journal.log(journal.WARNING, f"nothing begins: {error}")

    def _answer(self, requests: list[Request], release: Release) -> None:
        now = self.clock()
        for request in requests:
            if request.cancelled or not request.fresh(now) or self.runs.disk.knows(request.id):
                continue
            if self.runs.busy(ONE_OFF) or not self._is_first():
                return
            run = Run(
                id=request.id,
                kind=ONE_OFF,
                job=None,
                service=request.service,
                command=request.command,
                by=request.by,
                droplet=self.droplet,
                name=self.name,
                asked=request.time,
                deadline=now + request.timeout_seconds,
            )
            self.runs.begin(run, release)

    def _is_first(self) -> bool:
        """Tell whether this droplet is the first of those of its group that speak and have a release.

        Raises:
            CommandError: the statuses cannot be read, so nobody knows.
        """
        folder = self.paths.run / "jobs/peers"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.store.fetch(folder)
        own = _rank(self.name, self.droplet)
        return min([own, *self._ranks()]) == own

    def _ranks(self) -> Iterator[tuple[int, str, str]]:
        now = self.clock()
        for peer in read_peers(self.paths.run / "jobs/peers"):
            if peer.droplet != self.droplet and peer.fresh(now) and peer.release:
                yield _rank(peer.name, peer.droplet)


def _rank(name: str, droplet: str) -> tuple[int, str, str]:
    return number_of(name) or 0, name, droplet
