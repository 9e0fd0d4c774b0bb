"""What this droplet knows of its own runs: a file for each, so that no run begins twice after a crash."""

from dataclasses import dataclass
from pathlib import Path

from droplet.converge.paths import write
from droplet.jobs.contract import Run, read_run

KEPT_SECONDS = 24 * 3600
"""As long as a run's object in the bucket (constructs_lib/status_buckets.py); a request is ignored long before."""


@dataclass(frozen=True)
class Disk:
    """The files.

    Attributes:
        folder: where they are; it outlives a reboot.
    """

    folder: Path

    def runs(self) -> list[Run]:
        """Return the runs that are known."""
        found = (read_run(path.read_bytes()) for path in sorted(self.folder.glob("*.json")))
        return [run for run in found if run]

    def knows(self, run_id: str) -> bool:
        """Tell whether a run was begun here, or found to be another droplet's."""
        return self._file(run_id).exists()

    def keep(self, run: Run) -> None:
        """Write a run."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self._file(run.id), run.record(), mode=0o600)

    def forget(self, run_id: str) -> None:
        """Remove a run."""
        self._file(run_id).unlink(missing_ok=True)

    def prune(self, now: float) -> None:
        """Remove runs that ended long ago, and files that a power cut left empty."""
        for path in self.folder.glob("*.json"):
            run = read_run(path.read_bytes())
            if (run is None or run.state == "ended") and now - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()

    def _file(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"
