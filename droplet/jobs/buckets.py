"""The group's buckets, as runs need them: requests, claims, runs with their output, and the records of jobs."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from droplet import journal
from droplet.converge.errors import CommandError
from droplet.converge.processes import Run as RunProgram
from droplet.converge.processes import run_program
from droplet.converge.store import BOUNDED, FIRST, bound
from droplet.jobs.contract import Record, Request, read_record, read_request

REQUESTS = "requests"
"""The folder in the group's configuration bucket: only operators write there."""
RUNS, JOBS = "status:runs", "status:jobs"
"""Folders in the group's status bucket: only the group's droplets write there."""

_FETCHED = "records-fetched"

_RCLONE = ("/usr/bin/rclone", "--config", "/etc/presence360/rclone.conf", "--quiet")
_LIMITS = ("--retries", "1", "--low-level-retries", "2", "--contimeout", "3s", "--timeout", "10s")
_SECONDS = 15


@dataclass(frozen=True)
class Buckets:
    """Reads and writes them; `CommandError` where Spaces does not answer.

    Attributes:
        folder: where copies are, in memory.
        run: runs rclone.
    """

    folder: Path
    run: RunProgram = run_program

    def requests(self) -> list[Request]:
        """Return what operators ask for, the oldest first."""
        copy = self.folder / "asked"
        # From the bucket itself: a folder without objects does not exist.
        self._rclone(
            "sync", "--checksum", "--max-depth", "2", "--filter", f"+ /{REQUESTS}/*.json", "--filter", "- *",
            "group:", str(copy),
        )  # fmt: skip
        found = [
            request
            for path in sorted((copy / REQUESTS).glob("*.json"))
            if (request := read_request(path.stem, path.read_bytes()))
        ]
        return sorted(found, key=lambda one: (one.time, one.id))

    def claim(self, run_id: str, said: bytes) -> bool:
        """Write a run's object if there is none, and tell whether it is this one now.

        Spaces was seen to honour If-None-Match (docs/digitalocean.md). Without it two droplets would have to look and
        write in the same seconds, and the one that wrote last has the run.
        """
        key = f"{run_id}.json"
        only = ("--max-depth", "2", "--filter", f"+ /runs/{key}", "--filter", "- *")
        if not self._rclone("lsf", "--files-only", "--recursive", *only, "status:").strip():
            file = self._file(f"claim-{key}", said)
            once = ("--header", "If-None-Match: *", "--no-check-dest", "--s3-no-head", "--s3-no-head-object")
            # Where this fails, another droplet was first, or the answer was lost: the object says which.
            with contextlib.suppress(CommandError):
                self._rclone(*once, "copyto", str(file), f"{RUNS}/{key}")
            file.unlink()
        # Of an object that is not there rclone prints nothing, and is content.
        found = self._rclone(*FIRST, f"{RUNS}/{key}")
        if not found:
            raise CommandError(f"the claim of {run_id} was not written")
        return _claimant(found) == _claimant(said.decode())

    def put_run(self, run_id: str, said: bytes) -> None:
        """Write a run's object."""
        self._put(f"{RUNS}/{run_id}.json", said)

    def records(self, now: float) -> dict[str, Record]:
        """Fetch the records of scheduled jobs, by the job's name."""
        try:
            self._rclone(
                "sync", "--checksum", *BOUNDED, "--max-depth", "2", "--filter", "+ /jobs/*.json", "--filter", "- *",
                "status:", str(self.folder / "records"),
            )  # fmt: skip
        finally:
            bound(self.folder / "records/jobs")
        self._file(_FETCHED, f"{now:.0f}".encode())
        found = self.known_records(now)
        for path in (self.folder / "records/jobs").glob("*.json"):
            if path.stem not in found:
                journal.log(journal.ERROR, f"{JOBS}/{path.name} is no record of that job, and is ignored")
        return found

    def known_records(self, now: float) -> dict[str, Record]:
        """Return the records as they were fetched or written here last."""
        found = (
            read_record(path.stem, path.read_bytes(), now)
            for path in (self.folder / "records/jobs").glob("*.json")
        )
        return {one.job: one for one in found if one}

    def records_fetched(self) -> float:
        """Return when they were fetched last; 0 if they were not."""
        try:
            return float((self.folder / _FETCHED).read_text())
        except (OSError, ValueError):
            return 0

    def put_record(self, record: Record) -> None:
        """Write a scheduled job's record."""
        self._put(f"{JOBS}/{record.job}.json", record.as_json())
        own = self.folder / "records/jobs"
        own.mkdir(parents=True, exist_ok=True)
        (own / f"{record.job}.json").write_bytes(record.as_json())

    def _put(self, target: str, content: bytes) -> None:
        file = self._file("put", content)
        try:
            self._rclone("copyto", "--no-check-dest", str(file), target)
        finally:
            file.unlink()

    def _file(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        file.write_bytes(content)
        return file

    def _rclone(self, *arguments: str) -> str:
        return self.run((*_RCLONE, *_LIMITS, *arguments), {}, _SECONDS)


def _claimant(text: str) -> object:
    try:
        value = json.loads(text)
        return value["droplet"], value["state"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
