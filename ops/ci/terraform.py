"""Terraform, or OpenTofu, in a stack's folder."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from ops.cdktf_cli import BINARY_VARIABLE
from ops.ci.errors import StepError

LOCK_FILE = ".terraform.lock.hcl"
"""Terraform's name for the providers' hashes; stacks/provider_lock.py puts the committed file beside each stack."""

# What Terraform 1.11 and OpenTofu 1.10 print when the state is no longer the one that was planned against.
STALE = "Saved plan is stale"

LOCK_TIMEOUT = "10m"
"""How long to wait for somebody else's lock. An apply of a few resources is over by then, one of a cluster is not."""

_CHANGES = 2  # terraform plan -detailed-exitcode: 0 nothing to do, 1 an error, 2 changes


class StalePlanError(StepError):
    """The state changed after the plan was made, so what was reviewed is not what would happen."""


class Terraform:
    """One stack's folder, with the variables its program is given."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._binary = environ.get(BINARY_VARIABLE) or "terraform"
        self._environ = {**environ, "TF_IN_AUTOMATION": "1"}

    def init(self, *, locked: bool) -> None:
        """Open the state and install providers; ``locked``: exactly those of the lock file, or fail."""
        self._quietly("init", "-input=false", *(["-lockfile=readonly"] if locked else []))

    def plan(self, file: Path, *, lock: bool) -> bool:
        """Write a plan; whether it changes anything. Whoever may only read the state cannot lock it."""
        locking = f"-lock-timeout={LOCK_TIMEOUT}" if lock else "-lock=false"
        return (
            self._quietly("plan", "-input=false", "-detailed-exitcode", locking, f"-out={file}") == _CHANGES
        )

    def show(self, file: Path) -> bytes:
        """Return a plan as JSON. It holds every secret in clear."""
        return self._run("show", "-json", str(file)).stdout

    def apply(self, file: Path) -> None:
        """Apply a plan file, nothing else, and show the progress.

        Raises:
            StalePlanError: the state is no longer the one that was planned against.
            StepError: Terraform failed.
        """
        command = self._command("apply", "-input=false", f"-lock-timeout={LOCK_TIMEOUT}", str(file))
        code, said = _watched(command, self._environ)
        if STALE in said:
            raise StalePlanError(
                f"{self.folder.name}: the plan is stale: the state changed after it was made, so it is no longer what "
                "was reviewed. Nothing of it was applied. Plan again, review again, apply that."
            )
        if code:
            raise StepError(f"{self.folder.name}: {self._binary} apply failed; what it said is above")

    def force_unlock(self, lock_id: str) -> None:
        """Remove the lock with this id from the state, and no other."""
        self._quietly("force-unlock", "-force", lock_id)

    def _quietly(self, *arguments: str) -> int:
        """Run a program whose output nobody needs unless it fails; its exit code, 0 or 2."""
        return self._run(*arguments).returncode

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(self._command(*arguments), env=self._environ, capture_output=True, check=False)
        if done.returncode not in {0, _CHANGES}:
            said = done.stderr.decode(errors="replace").strip()
            raise StepError(f"{self.folder.name}: {self._binary} {arguments[0]} failed:\n{said}")
        return done

    def _command(self, subcommand: str, *arguments: str) -> list[str]:
        color = [] if subcommand == "show" else ["-no-color"]
        return [self._binary, f"-chdir={self.folder}", subcommand, *color, *arguments]


def _watched(command: list[str], environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a program that must not be killed; its exit code, and what it wrote to stderr, which is shown as well."""
    # Its own session, so that a signal reaches it once: a second one makes Terraform drop what it is doing.
    with subprocess.Popen(
        command, env=environ, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:

        def stop(_number: int, _frame: FrameType | None) -> None:
            process.send_signal(signal.SIGINT)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        said = []
        try:
            for line in process.stderr or ():
                said.append(line)
                sys.stderr.write(line)
            return process.wait(), "".join(said)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def lock_is_committed(root: Path) -> bool:
    """Whether the repository pins its providers by hash."""
    return (root / LOCK_FILE).exists()
