"""Telling all groups, and operators, how far the run is: at the beginning, every while, and at the end."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet import journal
from droplet.converge.errors import ConvergeError
from droplet.converge.migrations import DONE, KEY
from droplet.converge.paths import Paths, read_json, write
from droplet.converge.peers import read_time
from droplet.converge.store import Store
from droplet.migrate.board import Board, as_text
from droplet.migrate.wanted import Wanted, folder_of

DETAILS_KEY = "migrations-databases.json"
"""Beside the object that all groups read: every database, for operators."""

PUBLISH_SECONDS = 20.0
"""While a run goes on; twice a fetch of the droplets that wait."""
LOOK_SECONDS = 0.2

DETAILS_SECONDS = 6 * 3600
"""After which the details are written again, although they say the same: objects that are not expire."""


@dataclass
class Telling:
    """Writes what a board shows into the group's status bucket.

    Attributes:
        paths: where files are.
        scratch: this run's folder.
        store: the status bucket.
        clock: seconds since 1970.
        before: what was told last, by this droplet or another one.
    """

    paths: Paths
    scratch: Path
    store: Store
    clock: Callable[[], float]
    before: Mapping[str, Any] = field(default_factory=dict)

    def read_before(self) -> None:
        """Read what was told last; nothing if it cannot be read."""
        file = self.scratch / f"before-{KEY}"
        try:
            self.store.read_control(KEY, file)
        except (ConvergeError, OSError) as error:
            journal.log(journal.INFO, f"what was told before cannot be read: {error}")
        self.before = read_json(file)

    def was_done(self, wanted: Wanted) -> bool:
        """Tell whether the same was told to be done."""
        return self.before.get("asked") == wanted.asked and self.before.get("state") == DONE

    @contextmanager
    def telling(self, board: Board) -> Iterator[None]:
        """Tell while the context lasts, and when it ends.

        Nothing is told before the databases are known: a run that finds nothing to do would take back, for a moment,
        that everything is done. An image takes long to come sometimes, and then that is told.
        """
        ended = threading.Event()

        def tell() -> None:
            begin = time.monotonic()
            while not board.known.is_set() and time.monotonic() - begin < PUBLISH_SECONDS:
                if ended.wait(LOOK_SECONDS):
                    return
            while not ended.is_set():
                if board.known.is_set() or not self.was_done(board.wanted):
                    self._publish(board)
                if board.known.is_set():
                    self._publish_details(board)
                ended.wait(PUBLISH_SECONDS)

        thread = threading.Thread(target=tell)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._publish(board)
            self._publish_details(board)

    def _publish(self, board: Board) -> None:
        file = self.scratch / KEY
        try:
            write(file, as_text(board.summary()), mode=0o600)
            self.store.publish(file, KEY)
        except (ConvergeError, OSError) as error:
            journal.log(journal.WARNING, f"{KEY} was not written: {error}")

    def _publish_details(self, board: Board) -> None:
        file = folder_of(self.paths) / DETAILS_KEY
        details = board.details()
        before = read_json(file)
        same = {**before, "time": ""} == json.loads(json.dumps({**details, "time": ""}))
        try:
            if same and self.clock() - read_time(str(before["time"])) < DETAILS_SECONDS:
                return
            file.unlink(missing_ok=True)
            draft = self.scratch / DETAILS_KEY
            write(draft, as_text(details), mode=0o600)
            self.store.publish(draft, DETAILS_KEY)
            write(file, as_text(details), mode=0o600)
        except (ConvergeError, OSError, ValueError) as error:
            journal.log(journal.WARNING, f"{DETAILS_KEY} was not written: {error}")
