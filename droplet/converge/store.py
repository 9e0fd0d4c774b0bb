"""The group's status bucket: this droplet's object in it, and those of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.converge.processes import Run, run_program

REMOTE = "status:droplets"
"""The folder in the bucket, as rclone knows it (cloud_init/templates/host_files.j2)."""

_RCLONE = ("/usr/bin/rclone", "--config", "/etc/presence360/rclone.conf", "--quiet")
_LIMITS = ("--retries", "1", "--low-level-retries", "2", "--contimeout", "3s", "--timeout", "5s")
SECONDS = 8
"""For each of them. Less than the fetcher gives an answer (droplet/fetch.py, ANSWER_SECONDS), which asks for peers."""

LARGEST = 256 * 1024
"""Bytes of an object of a status bucket that count: a stolen key of a droplet's may write any. Ours have a few KiB."""
MOST = 1000
"""Objects of a folder that count. Those of droplets that are gone expire after 3 days."""
ALL = 16 * 1024 * 1024
"""Bytes of a folder that count."""
BOUNDED = ("--max-depth", "1", "--max-size", f"{LARGEST}B", "--max-transfer", f"{ALL}B")
"""Of a sync. rclone refuses filters such as --max-size for a single object: see FIRST."""
FIRST = ("cat", "--count", str(LARGEST))
"""Reads no more of one object."""


def bound(folder: Path) -> None:
    """Remove what is too much of a fetched folder: what a sync that was cut short has fetched stays there.

    Raises:
        CommandError: it was too much.
    """
    size = 0
    removed = False
    for number, path in enumerate(sorted(folder.glob("*"))):
        size += path.lstat().st_size
        if (number >= MOST or size > ALL) and not path.is_dir():
            path.unlink()
            removed = True
    if removed:
        raise CommandError(f"{folder} had more than {MOST} objects or {ALL} bytes")


@dataclass(frozen=True)
class Store:
    """Reads and writes the folder; `CommandError` where the object store does not answer."""

    run: Run = run_program

    def put(self, file: Path, droplet: str) -> None:
        """Write this droplet's object."""
        self._rclone("copyto", "--no-check-dest", str(file), f"{REMOTE}/{droplet}.json")

    def publish(self, file: Path, key: str) -> None:
        """Write an object beside the folder, such as what the control group says of migrations."""
        self._rclone("copyto", "--no-check-dest", str(file), f"status:{key}")

    def read_control(self, key: str, file: Path) -> None:
        """Bring a file to what the control group says; its status bucket is every group's to read."""
        # Of an object that is not there rclone may print nothing, and be content.
        if said := self._rclone(*FIRST, f"control-status:{key}"):
            write(file, said.encode(), mode=0o644)

    def fetch(self, folder: Path) -> None:
        """Bring a folder to what all droplets of the group said."""
        try:
            self._rclone("sync", "--checksum", *BOUNDED, REMOTE, str(folder))
        finally:
            bound(folder)

    def forget(self, droplet: str) -> None:
        """Remove the object of a droplet that is gone."""
        self._rclone("deletefile", f"{REMOTE}/{droplet}.json")

    def _rclone(self, *arguments: str) -> str:
        command: Sequence[str] = (*_RCLONE, *_LIMITS, *arguments)
        return self.run(command, {}, SECONDS)
