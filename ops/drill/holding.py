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

from model.contract import TIME, line, members
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
    """Whose drill it is. All times are by the clock of Spaces: another machine's clock may be wrong by any amount.

    Attributes:
        run_id: names the run.
        who: a person and a machine, or the address of a run of CI.
        began: when.
        time: when the program said last that it runs.
        ago: how long ago that was.
    """

    run_id: str
    who: str
    began: datetime
    time: datetime
    ago: timedelta

    @property
    def is_stale(self) -> bool:
        """Whether the program was killed."""
        return self.ago > STALE

    def __str__(self) -> str:
        """Say it in half a sentence."""
        began, time = f"{self.began:%Y-%m-%d %H:%M}", f"{self.time:%H:%M}"
        return f"{self.who} began a drill at {began} UTC and said at {time} that it goes on"


def held(bucket: Bucket) -> Record | None:
    """Return whose drill goes on, or was killed; None if there is no record, or one that nobody can read.

    Raises:
        OperationError: the bucket cannot be read.
    """
    found = bucket.read_dated(RECORD_KEY)
    if found is None:
        return None
    try:
        value = members(found.content, "record of a drill")
        run_id, who = line(value["id"]), line(value["who"])
    except (KeyError, TypeError, ValueError):
        return None
    # Whatever is in it: that it was written is the word.
    said = bucket.read_dated(_beat_key(run_id))
    ago = min(found.ago, said.ago) if said else found.ago
    return Record(run_id, who, found.at, max(found.at, said.at) if said else found.at, ago)


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


class TakenError(OperationError):
    """The fork is not this run's any more."""


class GoneError(TakenError):
    """There is no record: somebody has cleaned up."""


@dataclass
class Holding:
    """One run's hold on the fork.

    Attributes:
        bucket: the control group's configuration bucket, which only operators write.
        run_id: names the run.
        who: whose it is.
        clock: the clock.
        beat_seconds: how often it says that it runs.
        leaves_something: not everything was destroyed, so the record stays: whose it is can go on destroying it.
    """

    bucket: Bucket
    run_id: str
    who: str
    clock: Clock = SYSTEM_CLOCK
    beat_seconds: float = BEAT_SECONDS
    leaves_something: bool = False
    _said: datetime = field(init=False)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def taken(self, how_to_end: str = "", but: str = "") -> Iterator[None]:
        """Hold the fork; meanwhile it says that it runs, and at the end the record goes, if it is this run's.

        Args:
            how_to_end: the command that ends another one's drill, for the message; empty: this is that command, which
                takes over.
            but: a run that is taken over all the same.

        Raises:
            OperationError: another run holds it, or the bucket cannot be used.
        """
        self._take(how_to_end, but)
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._end.set()
            beating.join()
            # What is left says nothing any more in a quarter of an hour.
            with suppress(OperationError):
                # Before it is read: what is removed is then never a record that came after it.
                versions = list(self.bucket.versions(RECORD_KEY))
                record = held(self.bucket)
                if not self.leaves_something and record is not None and record.run_id == self.run_id:
                    self.bucket.remove(versions)
                self.bucket.erase(_beat_key(self.run_id))

    def holds(self) -> bool:
        """Tell whether this run may destroy what it made: nobody else has the fork, nor can have it from now on.

        Where somebody has cleaned up, the record is gone, and what this run made since then is still there. Then it
        takes the record again, unless the next drill has one already: then what exists is that drill's.
        """
        try:
            self.keep()
        except GoneError:
            try:
                return self.bucket.create(RECORD_KEY, self._record())
            except OperationError:
                return False
        except OperationError:
            return False
        return True

    def keep(self) -> None:
        """Check that this run still holds the fork, before each step that destroys something.

        Where the bucket does not answer, it does as long as nobody may take it.

        Raises:
            OperationError: it does not.
        """
        try:
            self.check()
        except TakenError:
            raise
        except OperationError:
            if self.clock.time() - self._said > STALE:
                raise

    def check(self) -> None:
        """Check that nobody has taken over, or cleaned up.

        Raises:
            TakenError: somebody has; a `GoneError` where there is no record.
            OperationError: the bucket cannot be read.
        """
        record = held(self.bucket)
        if record is None:
            raise GoneError("somebody has cleaned up (--clean), so the fork of this drill is gone")
        if record.run_id != self.run_id:
            raise TakenError(f"{record}: it has taken over, so the fork of this drill is gone")

    def _take(self, how_to_end: str, but: str) -> None:
        self._said = self.clock.time()
        for _ in range(ATTEMPTS):
            # Before it is read: what is removed is then never a record that came after it.
            versions = list(self.bucket.versions(RECORD))
            other = held(self.bucket)
            if how_to_end and other is not None and not other.is_stale and other.run_id != but:
                raise OperationError(
                    f"{other}: its fork is not destroyed. Wait until it has ended. If that program was killed, a drill "
                    f"may begin {STALE.seconds // 60} minutes after its last word, or at once after: {how_to_end}"
                )
            self.bucket.remove(versions)
            if self.bucket.create(RECORD_KEY, self._record()):
                return
        raise OperationError("others began a drill at this moment: try again")

    def _record(self) -> bytes:
        value = {"version": 1, "id": self.run_id, "who": self.who, "began": self._said.strftime(TIME)}
        return json.dumps(value).encode()

    def _beat(self) -> None:
        while not self._end.wait(self.beat_seconds):
            # What is wrong with the bucket, who follows the drill says too.
            with suppress(OperationError):
                now = self.clock.time()
                value = {"version": 1, "time": now.strftime(TIME)}
                self.bucket.write(_beat_key(self.run_id), json.dumps(value).encode())
                self._said = now
