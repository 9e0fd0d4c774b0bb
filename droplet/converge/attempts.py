"""What was tried before: a release that failed is not tried again until the bucket changes."""

import json
from dataclasses import dataclass

from droplet.converge.paths import Paths, read_json, write

INTERRUPTIONS = 2
"""A try that a power cut or a time limit ended is repeated once: it may have ended because of the release."""


@dataclass(frozen=True)
class Attempts:
    """The record of the last try."""

    paths: Paths

    def begin(self, digest: str) -> None:
        """Record a try before anything is touched.

        So a droplet whose disk is full fails here, while it still serves, and not after a drain, each minute.

        Raises:
            OSError: the disk takes no file.
        """
        self._write(digest, "it was interrupted", self._interruptions(digest) + 1)

    def fail(self, digest: str, reason: str) -> None:
        """Record that a try failed."""
        self._write(digest, reason, INTERRUPTIONS)

    def forget(self) -> None:
        """Forget the last try: it succeeded, or somebody wants it again."""
        self.paths.failed.unlink(missing_ok=True)

    def failure(self, digest: str) -> str | None:
        """Return why a release is not to be tried; None if it is."""
        return str(self._read(digest)["reason"]) if self._interruptions(digest) >= INTERRUPTIONS else None

    def _interruptions(self, digest: str) -> int:
        tries = self._read(digest).get("tries", 0)
        return tries if isinstance(tries, int) else 0

    def _read(self, digest: str) -> dict[str, object]:
        found = read_json(self.paths.failed)
        return found if found.get("digest") == digest and "reason" in found else {}

    def _write(self, digest: str, reason: str, tries: int) -> None:
        record = {"digest": digest, "reason": reason, "tries": tries}
        write(self.paths.failed, json.dumps(record).encode(), mode=0o600)
