"""What the watch has taken back, beside its rounds: a church that holds locks delays that, and never the watch."""

import threading
from pathlib import Path

from droplet.isolation.clear import clear
from droplet.isolation.late import take_back
from droplet.isolation.result import Result
from droplet.postgres import Client


class Beside:
    """Clears and takes back in a thread of its own, one result at a time.

    The thread is ended with the process: what it leaves, a work login at the most, the next run drops.
    """

    def __init__(self, client: Client, private: Path) -> None:
        self._client = client
        self._private = private / "beside"
        self._private.mkdir(mode=0o700, exist_ok=True)
        self._thread: threading.Thread | None = None

    def start(self, result: Result) -> None:
        """Do what a result asks for; nothing while an earlier one's is being done: the next round asks again."""
        if not (result.clears or result.late) or (self._thread and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._do, args=(result,), daemon=True)
        self._thread.start()

    def _do(self, result: Result) -> None:
        try:
            clear(self._client, result, self._private)
            take_back(self._client, result, self._private)
        finally:
            for left in self._private.glob("*.err"):
                left.unlink()
