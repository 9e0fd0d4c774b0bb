"""Whose drill goes on: a record in the control group's configuration bucket, so that two never share one fork.

Every fork of an environment has the same name, and a drill that begins destroys what an earlier one left. So who begins
writes a record first, only if there is none, and removes it last. It is never changed: that the program still runs is
in an object of the run's own, so that nothing of a run that was taken over comes back. Where nothing was said for long,
the program was killed.
"""

import getpass
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from model.contract import TIME, line, members, moment
from model.restore_drill import RECORD
from ops.bucket import Bucket
from ops.errors import OperationError
from ops.waiting import SYSTEM_CLOCK, Clock

BEAT_SECONDS = 300
"""As often as a droplet says that it goes on (droplet/drill/run.py)."""

RECORD_KEY = f"{RECORD}.json"

STALE = timedelta(seconds=3 * BEAT_SECONDS)
"""Who said nothing for this long was killed."""

ATTEMPTS = 3


@dataclass(frozen=True)
class Record:
    """Whose drill it is.

    Attributes:
        run_id: names the run.
        who: a person and a machine, or the address of a run of CI.
        began: when.
        time: when the program said last that it runs.
    """

    run_id: str
    who: str
    began: datetime
    time: datetime

    def is_stale(self, now: datetime) -> bool:
        """Tell whether the program was killed. A clock that is ahead of this one is wrong by as much."""
        return abs(now - self.time) > STALE

    def __str__(self) -> str:
        """Say it in half a sentence."""
        began, time = f"{self.began:%Y-%m-%d %H:%M}", f"{self.time:%H:%M}"
        return f"{self.who} began a drill at {began} UTC and said at {time} that it goes on"


def held(bucket: Bucket) -> Record | None:
    """Return whose drill goes on, or was killed; None if there is no record, or one that nobody can read.

    Raises:
        OperationError: the bucket cannot be read.
    """
    content = bucket.read(RECORD_KEY)
    if content is None:
        return None
    try:
        value = members(content, "record of a drill")
        run_id, who, began = line(value["id"]), line(value["who"]), moment(value["began"])
    except (KeyError, TypeError, ValueError):
        return None
    return Record(run_id, who, began, max(began, _said(bucket, run_id) or began))


def _said(bucket: Bucket, run_id: str) -> datetime | None:
    content = bucket.read(_beat_key(run_id))
    try:
        return moment(members(content, "word of a drill")["time"]) if content else None
    except (KeyError, TypeError, ValueError):
        return None


def _beat_key(run_id: str) -> str:
    return f"{RECORD}-{run_id}.json"


def me(environ: Mapping[str, str]) -> str:
    """Say who asks: the run of CI, or a person and a machine."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    if all(environ.get(name) for name in names):
        server, repository, run = (environ[name] for name in names)
        return f"{server}/{repository}/actions/runs/{run}"
    try:
        person = getpass.getuser()
    except (KeyError, OSError):
        # A container may have a user without a name.
        person = "somebody"
    return f"{person}@{socket.gethostname()}"


@dataclass
class Holding:
    """One run's hold on the fork.

    Attributes:
        bucket: the control group's configuration bucket, which only operators write.
        run_id: names the run.
        who: whose it is.
        clock: the clock.
        beat_seconds: how often it says that it runs.
    """

    bucket: Bucket
    run_id: str
    who: str
    clock: Clock = SYSTEM_CLOCK
    beat_seconds: float = BEAT_SECONDS
    _said: datetime = field(init=False)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def taken(self, how_to_end: str = "") -> Iterator[None]:
        """Hold the fork; meanwhile it says that it runs, and at the end the record goes unless it is another's.

        Args:
            how_to_end: the command that ends another one's drill, for the message; empty: this is that command, which
                takes over.

        Raises:
            OperationError: another run holds it, or the bucket cannot be used.
        """
        self._take(how_to_end)
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._end.set()
            beating.join()
            # What is left says nothing any more in a quarter of an hour.
            with suppress(OperationError):
                if not self.is_anothers():
                    self.bucket.erase(RECORD_KEY)
                self.bucket.erase(_beat_key(self.run_id))

    def is_anothers(self) -> bool:
        """Tell whether another run has taken over, as it may from a program that said nothing for long.

        Where the bucket does not answer, this run still holds the fork as long as nobody may take it.
        """
        try:
            record = held(self.bucket)
        except OperationError:
            return self.clock.time() - self._said > STALE
        return record is not None and record.run_id != self.run_id

    def check(self) -> None:
        """Check that nobody has taken over, or cleaned up.

        Raises:
            OperationError: somebody has, or the bucket cannot be read.
        """
        record = held(self.bucket)
        if record is None:
            raise OperationError("somebody has cleaned up (--clean), so the fork of this drill is gone")
        if record.run_id != self.run_id:
            raise OperationError(f"{record}: it has taken over, so the fork of this drill is gone")

    def _take(self, how_to_end: str) -> None:
        self._said = self.clock.time()
        value = {"version": 1, "id": self.run_id, "who": self.who, "began": self._said.strftime(TIME)}
        for _ in range(ATTEMPTS):
            # Before it is read: what is removed is then never a record that came after it.
            versions = list(self.bucket.versions(RECORD))
            other = held(self.bucket)
            if how_to_end and other is not None and not other.is_stale(self._said):
                raise OperationError(
                    f"{other}: its fork is not destroyed. Wait until it has ended. If that program was killed, a drill "
                    f"may begin {STALE.seconds // 60} minutes after its last word, or at once after: {how_to_end}"
                )
            self.bucket.remove(versions)
            if self.bucket.create(RECORD_KEY, json.dumps(value).encode()):
                return
        raise OperationError("others began a drill at this moment: try again")

    def _beat(self) -> None:
        while not self._end.wait(self.beat_seconds):
            # What is wrong with the bucket, who follows the drill says too.
            with suppress(OperationError):
                now = self.clock.time()
                value = {"version": 1, "time": now.strftime(TIME)}
                self.bucket.write(_beat_key(self.run_id), json.dumps(value).encode())
                self._said = now
