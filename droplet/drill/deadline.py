"""The time that one database has: what a church's own code does not end is ended for it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from droplet.drill.errors import LateError

AGAIN_SECONDS = 5.0
"""Until sessions are ended again that began meanwhile."""


@dataclass(frozen=True)
class Deadline:
    """When a database's time is over.

    Attributes:
        at: of the monotonic clock.
    """

    at: float

    @property
    def left(self) -> float:
        """How many seconds there are."""
        return self.at - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether there are none."""
        return self.left <= 0

    def check(self) -> None:
        """Go on only while there is time.

        Raises:
            LateError: there is none.
        """
        if self.is_over:
            raise LateError("it took too long")

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Call what ends the sessions when the time is over, and again until the block is left."""

        def late() -> None:
            if self.is_over:
                end()

        with each(lambda: AGAIN_SECONDS if self.is_over else max(self.left, 0.0), late):
            yield


@contextmanager
def each(seconds: float | Callable[[], float], do: Callable[[], None]) -> Iterator[None]:
    """Do something again and again, in a thread of its own, until the block is left."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(min(seconds() if callable(seconds) else seconds, threading.TIMEOUT_MAX)):
            do()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        left.set()
        watching.join()


NEVER = Deadline(float("inf"))
