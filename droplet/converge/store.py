"""The group's status bucket: this droplet's object in it, and those of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.processes import Run, run_program

REMOTE = "status:droplets"
"""The folder in the bucket, as rclone knows it (cloud_init/templates/host_files.j2)."""

_RCLONE = ("/usr/bin/rclone", "--config", "/etc/presence360/rclone.conf", "--quiet")
_LIMITS = ("--retries", "1", "--low-level-retries", "2", "--contimeout", "3s", "--timeout", "5s")
SECONDS = 8
"""For each of them. Less than the fetcher gives an answer (droplet/fetch.py, ANSWER_SECONDS), which asks for peers."""


@dataclass(frozen=True)
class Store:
    """Reads and writes the folder; `CommandError` where the object store does not answer."""

    run: Run = run_program

    def put(self, file: Path, droplet: str) -> None:
        """Write this droplet's object."""
        self._rclone("copyto", "--no-check-dest", str(file), f"{REMOTE}/{droplet}.json")

    def fetch(self, folder: Path) -> None:
        """Bring a folder to what all droplets of the group said."""
        self._rclone("sync", "--checksum", REMOTE, str(folder))

    def forget(self, droplet: str) -> None:
        """Remove the object of a droplet that is gone."""
        self._rclone("deletefile", f"{REMOTE}/{droplet}.json")

    def _rclone(self, *arguments: str) -> None:
        command: Sequence[str] = (*_RCLONE, *_LIMITS, *arguments)
        self.run(command, {}, SECONDS)
