"""One drill: the fork as a whole, then one database after another, those first that waited longest or have changed."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from droplet.begun import WORDS, Begun
from droplet.converge.peers import read_time
from droplet.drill import inside, manifest, sanity, served, temporary, whole
from droplet.drill.checks import DUMP, FORK, Tried, explained
from droplet.drill.connect import Record
from droplet.drill.deadline import Deadline, each
from droplet.drill.dumps import Contents, Dump, Dumps
from droplet.drill.errors import DrillError, LateError, StoppedError
from droplet.drill.fork import Database, Fork, Inside, Reader
from droplet.drill.report import DAY_SECONDS, Report
from droplet.drill.request import Request, Secrets, Wanted
from droplet.move_tenant.inventory import Line

AT_ONCE = 2
"""Databases at a time: a fork of the smallest size has 22 connections, and each needs up to six."""

LONGEST_SECONDS = 3600.0
"""That a database may take after the drill's own time, which who asked waits for (ops/drill/asking.py)."""

BEAT_SECONDS = 300.0
"""Who asked takes silence for the end (ops/drill/asking.py), and one database may take longer."""

EARLY_DAYS = 8
"""A database is due this long before its time is over: the next weekly drill would come too late."""


@dataclass
class Drill:
    """One run.

    Attributes:
        request: what is asked for.
        secrets: what this run alone knows.
        fork: what is tried.
        dumps: ours.
        earlier: what earlier drills looked through, by database.
        report: what came of it.
        stopping: is set when the run is to end.
        begun: where a run of this drill was killed.
        progress: is told how many are done, of how many.
        share: the part of the drill's time that one database may take.
        clock: seconds since 1970.
    """

    request: Request
    secrets: Secrets
    fork: Fork
    dumps: Dumps
    earlier: Mapping[str, Any]
    report: Report
    stopping: threading.Event
    begun: Begun
    progress: Callable[[int, int, str], None]
    share: float = 0.5
    clock: Callable[[], float] = time.time
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Try everything that there is time for, and complete the report.

        Raises:
            StoppedError: it is to end.
            DrillError: the dumps cannot be listed.
            SessionError: the fork cannot be reached.
        """
        temporary.sweep(self.fork)
        self.dumps.find()
        there = self.fork.databases()
        whole.judge(self.report, self.fork, self.dumps, there)
        wanted = sorted(
            (one for one in self.request.databases if one.name in there),
            key=lambda one: self._order(one, there),
        )
        until = time.monotonic() + self.request.hours * 3600

        given_up = [one for one in wanted if self.begun.is_given_up(one.name)]
        wanted = [one for one in wanted if one not in given_up]
        for name in (one.name for one in given_up):
            failed = Tried(name, self._way(name), started=self.clock())
            failed.add("reached", WORDS)
            self.report.tried.append(failed)
        of = len(wanted) + len(given_up)

        def one(number: int) -> None:
            if self.stopping.is_set():
                return
            if time.monotonic() > until:
                with self._lock:
                    self.report.left.append(wanted[number].name)
                return
            most = min(time.monotonic() + self.share * self.request.hours * 3600, until + LONGEST_SECONDS)
            with self.begun.at_work(wanted[number].name):
                tried = self._database(there[wanted[number].name], wanted[number], wanted, Deadline(most))
            if self.stopping.is_set() and not tried.passed:
                return  # It ended because the run does.
            with self._lock:
                self.report.tried.append(tried)
                self.progress(len(self.report.tried), of, tried.database)

        self.progress(len(given_up), of, "")
        try:
            with each(BEAT_SECONDS, lambda: self._beat(of)), ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(one, range(len(wanted))))
        finally:
            self._remember(there)
        if self.stopping.is_set():
            raise StoppedError("the run is to end")
        self._complete()

    def _beat(self, of: int) -> None:
        with self._lock:
            self.progress(len(self.report.tried), of, "")

    def _order(self, wanted: Wanted, there: Mapping[str, Database]) -> tuple[int, bool, bool, float, str]:
        """Put first what is due, then what has changed since it was looked through, then what waited longest.

        Last is where a run of this drill was killed: the others have their turn before it may be killed again.
        """
        last = self._last(wanted.name)
        due = self.clock() - last > (self.request.every_days - EARLY_DAYS) * DAY_SECONDS
        known = self.earlier.get(wanted.name)
        before = known.get("changes") if isinstance(known, Mapping) else None
        changed = there[wanted.name].backup.get("changes") != before
        return self.begun.times(wanted.name), not due, not changed, last, wanted.name

    def _last(self, name: str) -> float:
        known = self.earlier.get(name)
        try:
            return read_time(str(known["at"])) if isinstance(known, Mapping) else 0.0
        except (KeyError, ValueError):
            return 0.0

    def _way(self, name: str) -> str:
        known = self.earlier.get(name)
        last = known.get("way") if isinstance(known, Mapping) else None
        if last is None:
            # Half of the churches begin with the one, half with the other.
            return DUMP if sum(name.encode()) % 2 else FORK
        return FORK if last == DUMP else DUMP

    def _remember(self, there: Mapping[str, Database]) -> None:
        """Note what was looked through, whatever ends the run: what failed is not the first again for that."""
        self.report.remember(self.earlier)
        for one in self.report.tried:
            self.report.known[one.database]["changes"] = there[one.database].backup.get("changes")

    def _complete(self) -> None:
        report, request = self.report, self.request
        now = self.clock()
        for name in report.left:
            last = self._last(name)
            # One that was never tried counts from when its dumps begin: a new church has its time.
            first = min((dump.at for dump in self.dumps.of(name)), default=now)
            if now - (last or first) > request.every_days * DAY_SECONDS:
                report.problems.append(
                    f"{name} was not looked through for {request.every_days} days, and not this time"
                )
        rto = report.rto_seconds
        if rto is None:
            report.problems.append("nothing was restored")
        elif rto > request.rto_minutes * 60:
            report.problems.append(
                f"a restore took {rto / 60:.0f} minutes with the fork, and {request.rto_minutes} are allowed"
            )
        report.finished = self.clock()

    def _database(
        self, database: Database, wanted: Wanted, all_wanted: Sequence[Wanted], deadline: Deadline
    ) -> Tried:
        tried = Tried(database.name, self._way(database.name), started=self.clock(), deadline=deadline)
        try:
            looked = self.fork.inside(database.name)
            if looked.forced and not self.fork.bypasses:
                tried.add(
                    "readable",
                    "row level security is forced, and the fork's administrator cannot read past it",
                )
                return tried
            with self.fork.login(database, looked, deadline) as reader:
                self._with(reader, database, looked, wanted, all_wanted, tried)
        except LateError as error:
            tried.add("in time", str(error))
        except Exception as error:
            # One church ends its own part, and no other's.
            tried.add("reached", explained(error))
        return tried

    def _with(
        self, reader: Reader, database: Database, looked: Inside, wanted: Wanted, all_wanted: Sequence[Wanted],
        tried: Tried,
    ) -> None:  # fmt: skip
        lines: list[Line] = []
        with tried.trying("readable"):
            lines = inside.read(reader, database)
            tried.tables = sum(kind == "content" and name != "large objects" for kind, name, _ in lines)
            tried.rows = sum(
                int(value.partition(" ")[0])
                for kind, name, value in lines
                if kind == "content" and "rows" in value
            )
            tried.add("readable", [], f"{tried.tables} tables, {tried.rows} rows")
        with tried.trying("whole"):
            tried.add(
                "whole", inside.indexes(reader, database, lines) + inside.foreign_keys(reader, database)
            )
        with tried.trying("owned"):
            tried.add("owned", inside.owners(self.fork, database))
        newest = self._manifest(database, looked, lines, tried)
        with tried.trying("sane"):
            tried.add("sane", sanity.ask(reader, database, self.request.queries))
        record = self._connected(database, wanted, all_wanted, lines, tried)
        began = time.monotonic()
        with tried.trying("restored"), temporary.database(self.fork, database, looked) as name:
            there = self._restored(reader, database, name, lines, newest, tried)
            if record and there is not None:
                others = [one for one in self._records(all_wanted) if one.user != record.user]
                wrong = served.switched(self.fork, record, name, there, lines)
                tried.restore_seconds = time.monotonic() - began
                wrong += filter(None, [served.stranger(self.fork, other, name) for other in others[:1]])
                tried.add("switched", wrong)
            elif there is not None:
                tried.restore_seconds = time.monotonic() - began

    def _manifest(
        self, database: Database, looked: Inside, lines: Sequence[Line], tried: Tried
    ) -> tuple[Dump, Contents] | None:
        """Compare the fork with the dumps around the backup's moment; return the newest dump, which may be restored."""
        found = self.dumps.of(database.name)
        if not found:
            tried.notes.append("it has no dump")
            return None
        newest = found[-1]
        tried.dump_age = self.request.time - newest.at
        limit = self.request.rpo_hours
        tried.add(
            "dumped",
            f"its newest dump was {tried.dump_age / 3600:.1f} hours old, and {limit} are allowed"
            if tried.dump_age > limit * 3600
            else [],
        )
        at = self.request.backup
        before = max((dump for dump in found if dump.at <= at), default=None)
        after = min((dump for dump in found if dump.at > at), default=None)
        known: dict[Dump, Contents] = {}
        with tried.trying("opened"):
            for dump in {one for one in (before, after, newest) if one}:
                known[dump] = self.dumps.contents(dump, database.name)
            tried.add("opened", [])
        if not lines:
            tried.notes.append("it was not compared with its dumps: it cannot be read")
            return (newest, known[newest]) if newest in known else None
        earlier, later = (known.get(one) if one else None for one in (before, after))
        with tried.trying("as dumped"):
            revision = [database.migration.get("revision"), _images(database.migration)]
            migrated = all(one.revision != revision for one in (earlier, later) if one)
            wrong, notes = manifest.compare(
                lines,
                earlier.lines if earlier else None,
                later.lines if later else None,
                migrated=migrated,
                unlogged=looked.unlogged,
            )
            wrong += manifest.stale(database.backup, database.name, at, [dump.at for dump in found])
            tried.add("as dumped", wrong if known else [*wrong, "no dump of it can be read"])
            tried.notes += notes
        return (newest, known[newest]) if newest in known else None

    def _connected(
        self,
        database: Database,
        wanted: Wanted,
        all_wanted: Sequence[Wanted],
        lines: Sequence[Line],
        tried: Tried,
    ) -> Record | None:
        """Connect as the church does, and where it must not; return a record that leads to the fork."""
        if wanted.user is None:
            tried.notes.append("it is suspended: it has no user to connect with")
            return None
        known = self.secrets.records.get(database.name, {})
        record = served.record_of(self.fork, database, wanted, self.secrets.passwords, known)
        with tried.trying("connected"):
            wrong = served.of_record(known, wanted) if database.name != sanity.CONTROL_PLANE else []
            if record is None:
                tried.add("connected", [*wrong, f"the fork has no user {wanted.user}"])
                return None
            how = "directly and through PgBouncer" if served.is_pooled(self.fork, record) else "directly"
            tried.add("connected", wrong + served.works(self.fork, record, lines), how)
        others = [one.name for one in all_wanted if one.name != database.name]
        # The next one by name, so that over all churches each is tried by another; and the control plane's.
        later = [name for name in sorted(others) if name > database.name] or sorted(others)
        chosen = {*later[:1], *(name for name in others if name == sanity.CONTROL_PLANE)}
        with tried.trying("kept out"):
            tried.add("kept out", served.is_refused(self.fork, record, sorted(chosen)))
        return record

    def _restored(
        self, reader: Reader, database: Database, name: str, lines: Sequence[Line],
        newest: tuple[Dump, Contents] | None, tried: Tried,
    ) -> Sequence[Line] | None:  # fmt: skip
        """Fill a new database; return what is in it, or None."""
        if tried.way == DUMP and newest is None:
            tried.way = FORK
        if tried.way == DUMP and newest:
            dump, contents = newest
            good = tried.add(
                "restored", temporary.from_dump(reader, database, name, self.dumps, dump, contents)
            )
            return contents.lines if good else None
        if not lines:
            raise DrillError("it cannot be copied: it cannot be read")
        good = tried.add("restored", temporary.from_fork(reader, database, name, lines))
        return lines if good else None

    def _records(self, all_wanted: Sequence[Wanted]) -> list[Record]:
        passwords = self.secrets.passwords
        return [
            Record.copied(
                self.fork, one.name, one.user, passwords[one.user], self.secrets.records.get(one.name, {})
            )
            for one in all_wanted
            if one.user and one.user in passwords
        ]


def _images(migration: Mapping[str, Any]) -> list[str]:
    images = migration.get("images")
    return [str(one) for one in images][-1:] if isinstance(images, list) else []
