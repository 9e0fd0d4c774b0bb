"""The bucket of the dumps, through rclone; its key is in no file and on no command line."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from droplet.backup.wanted import Wanted
from droplet.converge.errors import CommandError
from droplet.converge.processes import Run, run_program

RCLONE = "/usr/bin/rclone"

REQUESTS = "requests"
"""The folder with what operators ask for."""

_LIMITS = ("--retries", "2", "--low-level-retries", "3", "--contimeout", "10s", "--timeout", "60s")
# Parts of a large object in memory: with two dumps at a time, 64 MiB (rclone documentation, "S3", "Multipart uploads").
_PARTS = ("--s3-chunk-size", "16M", "--s3-upload-concurrency", "2")
SMALL_SECONDS, UPLOAD_SECONDS = 60, 4 * 3600


@dataclass(frozen=True)
class Store:
    """Reads and writes the bucket; `CommandError` where Spaces does not answer, or refuses.

    Attributes:
        wanted: bucket and key.
        rclone: the program.
        home: where it may write.
        run: runs it.
    """

    wanted: Wanted
    home: Path
    rclone: str = RCLONE
    run: Run = run_program

    def put(self, file: Path, key: str) -> None:
        """Write an object; rclone compares its digest with what arrived."""
        self._rclone(UPLOAD_SECONDS, *_PARTS, "copyto", str(file), self._at(key))

    def put_all(self, files: Path, folder: str, but: str) -> None:
        """Write all files of a folder but one."""
        self._rclone(UPLOAD_SECONDS, *_PARTS, "--exclude", but, "copy", str(files), self._at(folder))

    def requests(self) -> list[Mapping[str, object]]:
        """Return what operators ask for; what cannot be read is nobody's request."""
        folder = self.home / REQUESTS
        folder.mkdir(mode=0o700, exist_ok=True)
        self._rclone(SMALL_SECONDS, "sync", self._at(REQUESTS), str(folder))
        found = []
        for path in sorted(folder.glob("*.json")):
            with suppress(OSError, ValueError, RecursionError):
                found.append(json.loads(path.read_bytes()))
        return [one for one in found if isinstance(one, Mapping)]

    def names(self, folder: str, pattern: str) -> list[str]:
        """Return the keys below a folder that fit a pattern of rclone's, without the folder."""
        listed = ("lsf", "--recursive", "--files-only", "--include", pattern, self._at(folder))
        return self._rclone(UPLOAD_SECONDS, *listed).splitlines()

    def read(self, key: str) -> bytes:
        """Return a small text object; empty if there is none."""
        return self._rclone(SMALL_SECONDS, "cat", self._at(key)).encode()

    def command(self, verb: str, key: str) -> list[str]:
        """Return a command of rclone on one object, for a program that runs it itself, with `environment`."""
        return [self.rclone, "--quiet", *_LIMITS, verb, self._at(key)]

    def _at(self, key: str) -> str:
        return f"backups:{self.wanted.bucket}/{key}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell rclone of the bucket and the key."""
        wanted = self.wanted
        values = {
            "type": "s3",
            # What Spaces is made of; it takes the bucket's name in the path.
            "provider": "Ceph",
            "env_auth": "false",
            "endpoint": wanted.endpoint,
            "access_key_id": wanted.access_key,
            "secret_access_key": wanted.secret_key,
            "no_check_bucket": "true",
        }
        # rclone documentation, "Environment Variables": a remote that no file describes.
        return {f"RCLONE_CONFIG_BACKUPS_{name.upper()}": value for name, value in values.items()} | {
            "HOME": str(self.home),
            "RCLONE_CONFIG": "/dev/null",
        }

    def _rclone(self, seconds: float, *arguments: str) -> str:
        try:
            return self.run((self.rclone, "--quiet", *_LIMITS, *arguments), self.environment, seconds)
        except CommandError as error:
            # Of its three tries, and of the command line, the end says what was wrong.
            raise CommandError(f"the bucket {self.wanted.bucket}: {str(error)[-200:]}") from None


__all__ = ["CommandError", "Store"]
