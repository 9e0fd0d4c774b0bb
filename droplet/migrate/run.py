"""One run: look at every database, migrate what is due, tell all groups how far it is."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from droplet import database_lock, journal, postgres
from droplet.configuration import Cluster
from droplet.converge.errors import ConvergeError
from droplet.converge.migrations import DONE
from droplet.converge.paths import Paths, read_json, write
from droplet.converge.peers import read_time
from droplet.converge.store import Store
from droplet.isolation.folders import Folders
from droplet.migrate import obstacles
from droplet.migrate.board import Board
from droplet.migrate.migration import Migrator
from droplet.migrate.runner import Runner
from droplet.migrate.telling import Telling
from droplet.migrate.wanted import CONTROL_PLANE, Wanted, read_wanted
from droplet.migrate.work import Work
from droplet.names import MIGRATION_LOCK
from droplet.postgres import Client
from droplet.session import Session, SessionError

REQUESTS = "requests/migrations-"
"""What objects in the group's configuration bucket begin with by which operators ask for another try, each by one."""
REQUEST_SECONDS = 600
"""How long a request counts."""


@dataclass
class Run:
    """One run.

    Attributes:
        paths: where files are.
        folders: of the clusters' configurations, and of this run alone.
        runner: runs migrations.
        droplet: this droplet's name.
        store: the status bucket.
        clock: seconds since 1970.
        stopping: is set when the run is to end.
        programs: the folder with psql; None for Debian's newest.
    """

    paths: Paths
    folders: Folders
    runner: Runner
    droplet: str
    store: Store
    clock: Callable[[], float] = time.time
    stopping: threading.Event = field(default_factory=threading.Event)
    programs: Path | None = None

    def once(self) -> int:
        """Do what is to be done; 1 if something failed, which systemd shows as a failed unit."""
        begin = time.monotonic()
        wanted = read_wanted(self.paths)
        if wanted is None:
            return 0
        clients, broken = self._clients()
        telling = Telling(self.paths, self.folders.scratch, self.store, self.clock)
        board = Board(wanted, self.droplet, self.clock, obstacles.Obstacles(self.clock))
        with ExitStack() as stack:
            alone = self._alone(clients, stack)
            if alone is False:
                return 1 if broken else 0
            if alone is None:
                board.obstacles.meet(CONTROL_PLANE, f"no cluster that can be reached has {CONTROL_PLANE}")
            else:
                telling.read_before()
                before = obstacles.read(telling.before.get("obstacles"))
                board.obstacles = obstacles.Obstacles(self.clock, before)
                for name, problem in sorted(broken.items()):
                    board.obstacles.meet(f"configuration {name}", f"configuration {name} {problem}")
                with telling.telling(board):
                    self._work(wanted, board, clients)
                    if not self.stopping.is_set():
                        board.obstacles.forget_others()
        write(
            self.folders.scratch / "migrate.prom",
            board.metrics(time.monotonic() - begin).encode(),
            mode=0o644,
        )
        for text in board.trouble.values():
            journal.log(journal.ERROR, text)
        return 0 if board.state == DONE and not board.failed else 1

    def _work(self, wanted: Wanted, board: Board, clients: Sequence[tuple[Cluster, Client]]) -> None:
        migrator = Migrator(
            self.runner,
            self.folders.scratch,
            self.clock,
            lambda seconds: void(self.stopping.wait(seconds)),
            self.stopping.is_set,
        )
        work = Work(board, clients, migrator, self._asked, lambda: self._changed(wanted), self.stopping)
        work.look()
        digests: dict[str, str] = {}
        for kind, job in wanted.jobs.items():
            try:
                digests[kind] = self.runner.digest(job, wanted.registry)
            except ConvergeError as error:
                board.obstacles.meet(f"image {job.image}", f"image: {error}")
            else:
                board.obstacles.clear(f"image {job.image}")
        if len(digests) < len(wanted.jobs):
            return
        work.do(digests)
        if stopped := board.stopped:
            journal.log(journal.WARNING, f"no other is begun, because {', '.join(stopped)} failed")
        if not self.stopping.is_set():
            self.runner.tidy([job.image for job in wanted.jobs.values()])

    def _clients(self) -> tuple[list[tuple[Cluster, Client]], dict[str, str]]:
        """Return how to reach every cluster, the environment's own first, and which configurations cannot be read."""
        configurations, broken = self.folders.read_configurations()
        configurations.sort(key=lambda one: (one.name != "environment", one.name))
        clients = [
            (
                cluster,
                Client.prepare(
                    cluster,
                    self.folders.scratch / cluster.name,
                    self.programs or postgres.newest_programs("psql"),
                    application="presence360-migrate",
                    # The session that holds the locks is idle while a container works. One whose droplet is gone is
                    # noticed by the keepalives.
                    settings={
                        "idle_session_timeout": "0",
                        "statement_timeout": "60000",
                        "lock_timeout": "10000",
                    },
                ),
            )
            for configuration in configurations
            for cluster in configuration.clusters
        ]
        return clients, broken

    def _alone(self, clients: Sequence[tuple[Cluster, Client]], stack: ExitStack) -> bool | None:
        """Take the lock of the environment's one run, where `control_plane` is; it is held until the stack closes.

        False: another droplet has it. None: the cluster cannot be reached, so that nobody knows, and nothing is told
        to the other groups.
        """
        for _, client in clients:
            try:
                session = stack.enter_context(Session(client, client.database, self.folders.scratch))
                alone = database_lock.take_run(session, MIGRATION_LOCK)
            except SessionError as error:
                journal.log(journal.ERROR, str(error))
                continue
            if alone is not None:
                if not alone:
                    journal.log(journal.INFO, "another droplet migrates")
                return alone
        return None

    def _changed(self, wanted: Wanted) -> bool:
        try:
            now = read_wanted(self.paths)
        except ConvergeError:
            # An apply is under way.
            return False
        return now is None or now.asked != wanted.asked

    def _asked(self) -> dict[str, float]:
        """Return by database when an operator asked for another try."""
        asked: dict[str, float] = {}
        for path in self.paths.incoming.glob(f"{REQUESTS}*.json"):
            request = read_json(path)
            try:
                at = read_time(str(request["time"]))
                names = [str(name) for name in request["databases"]]
            except (KeyError, TypeError, ValueError):
                continue
            if 0 <= self.clock() - at <= REQUEST_SECONDS:
                asked |= {name: max(at, asked.get(name, 0)) for name in names}
        return asked


def void(_: object) -> None:
    """Return nothing, whatever is given."""
