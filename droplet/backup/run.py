"""One run: look at every database, dump what is due, and say how the dumps are."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from droplet import database_lock, journal, postgres
from droplet.backup import board, drills
from droplet.backup.archive import AGE, Encryption
from droplet.backup.board import Board
from droplet.backup.databases import Database, changed, databases_of
from droplet.backup.dump import Dumper
from droplet.backup.errors import BackupError, GaveWayError
from droplet.backup.history import night_of
from droplet.backup.store import RCLONE, CommandError, Store
from droplet.backup.wanted import Wanted
from droplet.begun import WORDS, Begun
from droplet.configuration import Cluster
from droplet.converge.paths import write
from droplet.converge.peers import read_time
from droplet.isolation.folders import Folders
from droplet.names import BACKUP_LOCK
from droplet.postgres import Client
from droplet.session import Session, SessionError

REQUEST_SECONDS = 6 * 3600
"""How long a request counts: longer than the night's run takes, after which it is read."""

TELL_SECONDS = 60.0
STATUS_SECONDS = 6 * 3600
"""After which the status is written again although it says the same."""

READERS = 8
"""Of clusters."""
CONNECTIONS = 3
"""Of each dump: the session that watches the lock, the one that has the snapshot, and pg_dump's."""
CONNECT_TRIES = 3
CONNECT_PAUSE_SECONDS = 3.0


@dataclass
class Run:
    """One run.

    Attributes:
        wanted: what Terraform says of the dumps.
        folders: of the clusters' configurations, of this run alone, and of what outlives it.
        droplet: this droplet's name.
        clock: seconds since 1970.
        stopping: is set when the run is to end.
        programs: the folder with Postgres's clients; None for Debian's newest.
        age: the program that encrypts.
        rclone: the program that stores.
    """

    wanted: Wanted
    folders: Folders
    droplet: str
    clock: Callable[[], float] = time.time
    stopping: threading.Event = field(default_factory=threading.Event)
    programs: Path | None = None
    age: str = AGE
    rclone: str = RCLONE

    def once(self) -> int:
        """Do what is to be done; 1 if something failed, which systemd shows as a failed unit."""
        begin, now = time.monotonic(), self.clock()
        store = Store(self.wanted, self.folders.scratch, self.rclone)
        clients, trouble = self._clients()
        state = Board(self.droplet, night_of(now, self.wanted.hour), trouble)
        with ExitStack() as stack:
            # Another droplet that works says nothing of the dumps here: this one looks for itself.
            alone = self._alone(clients, stack)
            found = self._look(clients, state)
            if alone:
                try:
                    asked = _asked(store.requests(), now)
                except CommandError as error:
                    # Nothing is dumped that could not be stored.
                    state.trouble.append(f"the bucket cannot be read: {error}")
                else:
                    self._dump_due(store, state, found, asked)
        seconds = time.monotonic() - begin
        metrics = state.metrics(self.clock(), seconds)
        if self.wanted.drill:
            try:
                metrics += drills.metrics(store, self.folders.state, self.clock())
            except (CommandError, OSError) as error:
                state.trouble.append(f"the drill's reports cannot be read: {error}")
        write(self.folders.scratch / "backup.prom", metrics.encode(), mode=0o644)
        for text in state.trouble:
            journal.log(journal.ERROR, text)
        return 1 if state.trouble or state.failing else 0

    def _clients(self) -> tuple[list[tuple[Cluster, Client]], list[str]]:
        """Return how to reach every cluster, the environment's own first, and what cannot be read."""
        configurations, broken = self.folders.read_configurations()
        configurations.sort(key=lambda one: (one.name != "environment", one.name))
        # Nothing of it ends by itself but statements on catalogs: a dump has a limit of its own (dump.py), and
        # the server notices by the keepalives that a droplet is gone.
        settings = {"idle_session_timeout": "0", "idle_in_transaction_session_timeout": "0"}
        settings |= {"statement_timeout": "0", "lock_timeout": "60000"}
        clients = [
            (
                cluster,
                Client.prepare(
                    cluster,
                    self.folders.scratch / cluster.name,
                    self.programs or postgres.newest_programs("pg_dump"),
                    application="presence360-backup",
                    settings=settings,
                ),
            )
            for configuration in configurations
            for cluster in configuration.clusters
        ]
        return clients, [f"configuration {name} {problem}" for name, problem in sorted(broken.items())]

    def _alone(self, clients: Sequence[tuple[Cluster, Client]], stack: ExitStack) -> bool:
        """Take the lock of the environment's one run, where `control_plane` is; it is held until the stack closes."""
        for _, client in clients:
            try:
                session = stack.enter_context(Session(client, client.database, self.folders.scratch))
                alone = database_lock.take_run(session, BACKUP_LOCK)
            except SessionError as error:
                journal.log(journal.ERROR, str(error))
                continue
            if alone is not None:
                if not alone:
                    journal.log(journal.INFO, "another droplet dumps")
                return alone
        return False

    def _look(self, clients: Sequence[tuple[Cluster, Client]], state: Board) -> list[Database]:
        """Find every database; a cluster that cannot be reached is trouble."""

        def one(place: tuple[Cluster, Client]) -> list[Database]:
            for left in reversed(range(CONNECT_TRIES)):
                try:
                    return databases_of(*place, self.folders.scratch)
                except SessionError as error:
                    if not left:
                        state.trouble.append(str(error))
                        return []
                self.stopping.wait(CONNECT_PAUSE_SECONDS)
            return []

        with ThreadPoolExecutor(READERS) as pool:
            found = [database for databases in pool.map(one, clients) for database in databases]
        for database in found:
            state.set(database, database.history)
        return found

    def _dump(self, store: Store, state: Board, due: Sequence[Database], begun: Begun) -> None:
        dumper = Dumper(
            store=store,
            encryption=Encryption(self.wanted.recipients, self.age),
            rate_mib=self.wanted.rate_mib,
            spool=self.folders.state,
            private=self.folders.scratch,
            now=self.clock,
            stopping=self.stopping.is_set,
        )

        def one(database: Database) -> None:
            if self.stopping.is_set():
                return
            begin = time.monotonic()
            name = f"{database.cluster.name} {database.name}"
            if begun.is_given_up(name):
                journal.log(journal.ERROR, f"{name}: {WORDS}")
                state.set(database, database.history.after_failure(WORDS, self.clock()))
                return
            try:
                with begun.at_work(name):
                    history = dumper.dump(database)
            except GaveWayError as error:
                journal.log(journal.INFO, f"{name} gives way, and is dumped again: {error}")
                return
            except BackupError as error:
                journal.log(journal.ERROR, f"{name}: {error}")
                state.set(database, database.history.after_failure(str(error), self.clock()))
                return
            except SessionError as error:
                journal.log(journal.ERROR, f"{name}: {error}")
                return
            if history is None:
                journal.log(journal.INFO, f"{name}: another program is at work there")
                return
            state.set(database, history)
            took = time.monotonic() - begin
            journal.log(journal.INFO, f"{name}: {history.bytes} bytes in {took:.1f} s")

        with ThreadPoolExecutor(self.wanted.parallel) as pool:
            list(pool.map(one, due))

    def _dump_due(
        self, store: Store, state: Board, found: Sequence[Database], asked: Callable[[Database], float]
    ) -> None:
        now = self.clock()
        due = [one for one in found if one.isolated and one.history.due(state.night, now, asked(one))]
        if due:
            with self._telling(store, state):
                begun = Begun(self.folders.state / "begun.json", f"{state.night}")
                self._dump(store, state, self._ordered(due, asked, begun), begun)
        self._tell(store, state)

    def _ordered(
        self, due: Sequence[Database], asked: Callable[[Database], float], begun: Begun
    ) -> Sequence[Database]:
        """Put first what somebody waits for, then what has changed, then what was dumped longest ago.

        Last is where this night's run was killed: the others have their turn before it may be killed again.
        """

        def one(database: Database) -> bool:
            try:
                return not self.stopping.is_set() and changed(database, self.folders.scratch)
            except SessionError:
                # Its dump says so.
                return True

        # No more connections than the dumps that follow have.
        with ThreadPoolExecutor(CONNECTIONS * self.wanted.parallel) as pool:
            order = {
                database.place: (
                    begun.times(f"{database.cluster.name} {database.name}"),
                    not asked(database),
                    not written,
                    database.history.at,
                )
                for database, written in zip(due, pool.map(one, due), strict=True)
            }
        return sorted(due, key=lambda database: order[database.place])

    @contextmanager
    def _telling(self, store: Store, state: Board) -> Iterator[None]:
        """Tell operators every while, as long as the dumps take."""
        ended = threading.Event()

        def tell() -> None:
            while not ended.wait(TELL_SECONDS):
                self._tell(store, state)

        thread = threading.Thread(target=tell)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _tell(self, store: Store, state: Board) -> None:
        """Write the status, if it says something new."""
        file = self.folders.state / board.KEY
        said = state.status(self.clock())
        try:
            before = json.loads(file.read_bytes())
            age = self.clock() - read_time(str(before["time"]))
            if {**before, "time": ""} == {**said, "time": ""} and age < STATUS_SECONDS:
                return
        except (OSError, ValueError, TypeError, KeyError):
            pass
        draft = self.folders.scratch / board.KEY
        try:
            write(draft, board.as_text(said), mode=0o600)
            store.put(draft, board.KEY)
            write(file, board.as_text(said), mode=0o600)
        except (CommandError, OSError) as error:
            journal.log(journal.WARNING, f"{board.KEY} was not written: {error}")


def _asked(requests: Sequence[Mapping[str, object]], now: float) -> Callable[[Database], float]:
    """Return what tells when an operator asked for a database's dump; 0 if nobody did."""
    everything = 0.0
    times: dict[str, float] = {}
    for request in requests:
        at, names = _request(request)
        if 0 <= now - at <= REQUEST_SECONDS:
            everything = everything if names else max(everything, at)
            times |= {name: max(at, times.get(name, 0)) for name in names}
    return lambda database: max(everything, times.get(database.name, 0))


def _request(request: Mapping[str, object]) -> tuple[float, list[str]]:
    """Return when somebody asked, and for which databases; for none: for all. What cannot be read is never."""
    try:
        names = request["databases"]
        return read_time(str(request["time"])), [str(one) for one in names] if isinstance(names, list) else []
    except (KeyError, ValueError):
        return 0, []
