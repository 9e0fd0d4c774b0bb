"""The work of a run: what is due is migrated, several databases at a time, and new ones are looked for meanwhile."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from droplet import journal
from droplet.configuration import Cluster
from droplet.migrate.board import Board, Entry, Key, key_of
from droplet.migrate.databases import Database, databases_of
from droplet.migrate.history import Verdict, images_after
from droplet.migrate.migration import Migrator, Target
from droplet.postgres import Client
from droplet.session import SessionError

LOOK_SECONDS = 30.0
"""While migrations go on, databases are looked for again, as often as the timer would start a run: so a new church
waits for a free place, and not for the slowest of the others."""

READERS = 8
CONNECT_TRIES = 3
CONNECT_PAUSE_SECONDS = 3.0

NOT_ISOLATED = "the isolation job has not been in it yet (presence360-isolation)"
TAKEN = "another program is at work in it: a dump, a move, or a migration that a run before left"


@dataclass
class Work:
    """What one run does.

    Attributes:
        board: what is known of every database.
        clients: how to reach every cluster.
        migrator: migrates a database.
        digests: of the wanted images, by kind of database; None before they are here.
        asked: tells by database when an operator asked for another try.
        changed: tells whether something else is wanted by now, so that nothing more is begun.
        stopping: is set when the run is to end.
    """

    board: Board
    clients: Sequence[tuple[Cluster, Client]]
    migrator: Migrator
    asked: Callable[[], Mapping[str, float]]
    changed: Callable[[], bool]
    stopping: threading.Event
    digests: Mapping[str, str] | None = None
    _targets: dict[Key, Target] = field(default_factory=dict)
    _begun: dict[Key, float] = field(default_factory=dict)
    """When somebody had asked for the try that was begun; each database is begun once in a run, or once more for each
    time that somebody asks."""
    _left: set[Key] = field(default_factory=set)
    """Something was in their way since the databases were looked for last."""

    def look(self, tries: int = CONNECT_TRIES, running: Collection[Key] = ()) -> None:
        """Find every database that is to be migrated; a cluster that cannot be reached is an obstacle.

        Of those that are ``running`` their own thread says what is true.
        """
        with ThreadPoolExecutor(READERS) as pool:
            answers = list(pool.map(lambda one: self._databases(one[0], one[1], tries), self.clients))
        silent = {
            cluster.name for (cluster, _), found in zip(self.clients, answers, strict=True) if found is None
        }
        found = [one for answer in answers for one in answer or () if one.kind in self.board.wanted.jobs]
        kept = {key for key in self.board.entries if key[0] in silent or key in running}
        self.board.keep({*map(key_of, found), *kept})
        self._left.clear()
        fresh = [one for one in found if key_of(one) not in running]
        if self.digests is not None:
            self._judge(fresh, self.digests)
            return
        for database in fresh:
            self.board.set(database, Verdict.DUE)

    def _databases(self, cluster: Cluster, client: Client, tries: int) -> list[Database] | None:
        name = f"cluster {cluster.name}"
        for left in reversed(range(tries)):
            try:
                found = databases_of(cluster, client, self.migrator.private)
            except SessionError as error:
                if not left:
                    self.board.obstacles.meet(name, str(error))
                    journal.log(journal.ERROR, str(error))
                    return None
                self.stopping.wait(CONNECT_PAUSE_SECONDS)
            else:
                self.board.obstacles.clear(name)
                return found
        return None

    def _judge(self, databases: Sequence[Database], digests: Mapping[str, str]) -> None:
        """Say of databases what is true of them, with the images that are wanted."""
        asked, now = self.asked(), self.migrator.now()
        for kind, job in self.board.wanted.jobs.items():
            known = [entry.database.history for entry in self.board.of(kind)]
            ours = [one for one in databases if one.kind == kind]
            newer = images_after(digests[kind], [*known, *(one.history for one in ours)])
            for database in ours:
                target = Target(job, digests[kind], newer, asked.get(database.name, 0))
                verdict = database.history.verdict(target.digest, newer, now, target.asked)
                self._targets[key_of(database)] = target
                self.board.set(database, verdict)
                if verdict is Verdict.DUE and not database.isolated:
                    self.board.blocked(database, NOT_ISOLATED)
                elif verdict is not Verdict.DUE:
                    self.board.free(database)
        self.board.known.set()

    def do(self, digests: Mapping[str, str]) -> None:
        """Migrate what is due, and what comes to be due meanwhile; return when nothing is in progress any more."""
        self.digests = digests
        self._judge(
            [entry.database for kind in self.board.wanted.jobs for entry in self.board.of(kind)], digests
        )
        looked = time.monotonic()
        places = self.board.wanted.parallel
        with ThreadPoolExecutor(places) as pool:
            running: dict[Future[None], Key] = {}
            while True:
                # Another release, or the same one again: the next run looks at everything anew.
                if not self.stopping.is_set() and not self.changed():
                    for entry in self._next(set(running.values()))[: places - len(running)]:
                        key = key_of(entry.database)
                        self._begun[key] = self._targets[key].asked
                        running[pool.submit(self._one, entry.database, self._targets[key])] = key
                if not running:
                    return
                pause = max(0.0, looked + LOOK_SECONDS - time.monotonic())
                for done in wait(running, timeout=pause, return_when=FIRST_COMPLETED).done:
                    del running[done]
                    done.result()
                if running and time.monotonic() - looked >= LOOK_SECONDS:
                    self.look(tries=1, running=running.values())
                    looked = time.monotonic()

    def _next(self, running: set[Key]) -> list[Entry]:
        """Return what may be begun now, in its order.

        The control plane and the canaries are first, and the others wait for them. A database that has never been
        migrated is not held back: a new church waits for no other. Where no database of that kind has been migrated
        yet, the first ones go first as well: the churches may have been there for long.
        """
        board, is_first = self.board, self.board.wanted.is_first
        entries = [entry for kind in board.wanted.jobs for entry in board.of(kind)]
        begun = {entry.database.kind for entry in entries if entry.database.history.images}
        due = [entry for entry in entries if self._is_due(entry, running)]
        ahead = [entry for entry in due if is_first(entry.database.name)]
        new = [
            entry
            for entry in due
            if entry not in ahead and not entry.database.history.images and entry.database.kind in begun
        ]
        if board.stopped or ahead or any(is_first(name) for _, name in running):
            return [*ahead, *new]
        return [*new, *(entry for entry in due if entry not in new)]

    def _is_due(self, entry: Entry, running: set[Key]) -> bool:
        key = key_of(entry.database)
        if entry.verdict is not Verdict.DUE or not entry.database.isolated:
            return False
        if key in running or key in self._left:
            return False
        return key not in self._begun or self._begun[key] < self._targets[key].asked

    def _one(self, database: Database, target: Target) -> None:
        begin = time.monotonic()
        try:
            done = self.migrator.migrate(database, target)
        except SessionError as error:
            self._leave(database, str(error))
            return
        except Exception as error:
            # What is wrong with one database keeps no other from its turn.
            self._leave(database, f"it could not be migrated: {type(error).__name__}")
            return
        if done is None:
            if not self.stopping.is_set():
                self._leave(database, TAKEN)
            return
        verdict = done.history.verdict(target.digest, target.newer, self.migrator.now())
        self.board.free(done)
        self.board.set(done, verdict)
        took = f"{time.monotonic() - begin:.1f} s"
        if verdict is Verdict.FAILED:
            journal.log(journal.ERROR, f"{done.name} failed after {took}: {done.history.reason}")
        else:
            journal.log(journal.INFO, f"{done.name} is at {done.history.revision}, after {took}")

    def _leave(self, database: Database, reason: str) -> None:
        """Leave a database that something is in the way of; it is tried again when all are looked at next."""
        journal.log(journal.WARNING, f"{database.name}: {reason}")
        self.board.blocked(database, reason)
        key = key_of(database)
        self._left.add(key)
        self._begun.pop(key, None)
