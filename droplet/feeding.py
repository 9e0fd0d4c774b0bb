"""A program's input, from a stream that is counted on the way."""

import hashlib
import threading
from contextlib import suppress
from typing import IO

_CHUNK_BYTES = 256 * 1024
_PATIENCE_SECONDS = 30


class Feeding:
    """Gives a program what a stream has, and takes its length and digest."""

    def __init__(self, source: IO[bytes], into: IO[bytes], *, drains: bool = False) -> None:
        """Begin.

        Args:
            source: the stream.
            into: the program's input; it is closed at the end.
            drains: read the stream to its end also when the program takes no more: who writes it waits for that.
        """
        self._source, self._into, self._drains = source, into, drains
        self._found = 0, ""
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        digest, size, takes = hashlib.sha256(), 0, True
        with suppress(ValueError, OSError):
            while (takes or self._drains) and (chunk := self._source.read(_CHUNK_BYTES)):
                digest.update(chunk)
                size += len(chunk)
                if takes:
                    takes = self._given(chunk)
        with suppress(ValueError, OSError):
            self._into.close()
        self._found = size, digest.hexdigest()

    def _given(self, chunk: bytes) -> bool:
        try:
            self._into.write(chunk)
        except (ValueError, OSError):
            return False
        return True

    def result(self) -> tuple[int, str]:
        """Return how much it was, and its digest."""
        self._thread.join(timeout=_PATIENCE_SECONDS)
        return self._found
