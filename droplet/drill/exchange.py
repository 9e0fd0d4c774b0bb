"""The group's status bucket, as a drill uses it: what it says of itself, and what it is sent.

An object there says which run this is, the public half of a key that was made for it, and how far it is. Who asked
encrypts for that key what only this run may know, and writes it beside; it is read, and deleted.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet import journal
from droplet.converge.errors import CommandError
from droplet.converge.peers import write_time
from droplet.converge.processes import Run, run_program
from droplet.drill.errors import DrillError, StoppedError
from droplet.drill.keys import Identity
from droplet.drill.request import Secrets, read_secrets

FOLDER = "drill"
VERSION = 1
LARGEST_BYTES = 1024 * 1024
"""Of what is sent, which is text: a cell has at most 250 churches, with a user and a password each."""

TELL_SECONDS = 5.0
_LIMITS = ("--retries", "2", "--low-level-retries", "3", "--contimeout", "10s", "--timeout", "30s")
_SECONDS = 60


@dataclass
class Exchange:
    """Reads and writes one run's objects.

    Attributes:
        run_id: names the run.
        droplet: this droplet's name.
        scratch: a folder in memory.
        configuration: rclone's, with the remote `status`.
        rclone: the program.
        run: runs it.
        clock: seconds since 1970.
    """

    run_id: str
    droplet: str
    scratch: Path
    configuration: Path
    rclone: Path
    run: Run = run_program
    clock: Callable[[], float] = time.time
    _said: dict[str, Any] = field(default_factory=dict)
    _told: float = 0.0

    def say(self, *, now: bool = True, **members: Any) -> None:
        """Say how the run is; with ``now`` false, not more often than each few seconds.

        What cannot be said is in the journal, and the drill goes on.
        """
        self._said |= members
        if not now and self.clock() - self._told < TELL_SECONDS:
            return
        self._told = self.clock()
        file = self.scratch / "said.json"
        content = {"version": VERSION, "id": self.run_id, "droplet": self.droplet, **self._said}
        file.write_text(json.dumps({**content, "time": write_time(self.clock())}), encoding="utf-8")
        try:
            self._rclone("copyto", "--no-check-dest", str(file), f"status:{FOLDER}/{self.run_id}.json")
        except CommandError as error:
            journal.log(journal.WARNING, f"the status bucket does not take what is said: {error}")

    def has_ended(self) -> bool:
        """Tell whether a droplet of the group has ended this run already.

        Raises:
            CommandError: the bucket does not say it.
        """
        # Of an object that is not there rclone prints nothing, and is content.
        found = self._rclone("cat", "--count", str(LARGEST_BYTES), f"status:{FOLDER}/{self.run_id}.json")
        try:
            return bool(found) and json.loads(found)["state"] == "ended"
        except (ValueError, KeyError, TypeError, RecursionError):
            return False

    def receive(
        self, own: Identity, recipient: str, seconds: float, stopped: Callable[[], bool], pause: float = 2.0
    ) -> Secrets:
        """Wait for what is sent to this run's key, delete it from the bucket, and return it.

        Of a droplet that was killed there may be another object, for a key that nobody has any more.

        Raises:
            DrillError: nothing came, or what came cannot be read.
            StoppedError: the run is to end.
        """
        # As model/drill_status.py names it.
        key = f"status:{FOLDER}/{self.run_id}-{recipient[-16:]}.age"
        until = time.monotonic() + seconds
        while not stopped():
            content = ""
            try:
                # Of an object that is not there rclone prints nothing, and is content.
                content = self._rclone("cat", "--count", str(LARGEST_BYTES), key)
            except CommandError as error:
                journal.log(journal.WARNING, f"what is sent cannot be read; asking again: {error}")
            if content:
                self._delete(key)
                return read_secrets(own.decrypt(content.encode()))
            if time.monotonic() > until:
                raise DrillError(f"nothing was sent to this run's key within {seconds / 60:.0f} minutes")
            time.sleep(pause)
        raise StoppedError("the run is to end")

    def _delete(self, key: str) -> None:
        try:
            self._rclone("deletefile", key)
        except CommandError as error:
            journal.log(journal.WARNING, f"what was sent was not deleted; the bucket expires it: {error}")

    def _rclone(self, *arguments: str) -> str:
        command = (str(self.rclone), "--config", str(self.configuration), "--quiet", *_LIMITS, *arguments)
        environment: Mapping[str, str] = {"HOME": str(self.scratch)}
        return self.run(command, environment, _SECONDS)
