"""Which databases a job has begun and not ended, on the disk: a job that was killed does not begin with the same again.

A database whose content ends the whole job, and not its own part alone, would otherwise be the first again at the next
start, for ever, and no other database would have its turn.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from droplet.converge.paths import write

MOST = 2
"""So many times a job may be killed in a database; one more time it is not begun. Once may be a droplet that lost its
power."""

WORDS = f"{MOST} times the job was killed while it was at work here, so it is not begun again"


class Begun:
    """What was begun, by database."""

    def __init__(self, file: Path, work: str) -> None:
        """Read what an earlier job noted.

        Args:
            file: where it is noted.
            work: names what is done, such as one night; what is noted of another one is forgotten.
        """
        self._file, self._work = file, work
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}
        try:
            value = json.loads(file.read_bytes())
            if value["work"] == work:
                self._open = {str(name): int(times) for name, times in value["open"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # There was none, or it was killed in the middle.
            self._open = {}

    def times(self, database: str) -> int:
        """Return how many times a job was killed in a database."""
        return self._open.get(database, 0)

    def is_given_up(self, database: str) -> bool:
        """Tell whether a database is not begun any more."""
        return self.times(database) >= MOST

    @contextmanager
    def at_work(self, database: str) -> Iterator[None]:
        """Note that a database is begun, and at the block's end, whatever it is, that it has ended."""
        self._note(database, self.times(database) + 1)
        try:
            yield
        finally:
            self._note(database, 0)

    def _note(self, database: str, times: int) -> None:
        with self._lock:
            self._open[database] = times
            if not times:
                del self._open[database]
            text = json.dumps({"work": self._work, "open": self._open})
            # A full disk stops no job: it only begins as if nothing had been noted.
            with suppress(OSError):
                if self._open:
                    write(self._file, text.encode(), mode=0o600)
                else:
                    self._file.unlink(missing_ok=True)
