"""What runs a migration: a container of the image, hardened like the services', that ends when its command does."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from droplet import journal
from droplet.converge.containers import PULL_SECONDS, REMOVE_SECONDS
from droplet.converge.errors import ConvergeError
from droplet.converge.paths import Paths, write
from droplet.converge.processes import Run, run_program
from droplet.migrate.wanted import Job, folder_of

LABEL = "app.presence360.migration"
"""Not that of the jobs (droplet/jobs/containers.py): each program ends what it began, and nothing else."""
CA_FOLDER = "/etc/presence360"
"""Where a container finds ca.pem (model/releases.py, CA_FILE)."""

COMMAND_SECONDS = 60
MAX_OUTPUT = 64 * 1024
"""Of a migration's output: a church's own data may be in it, and make it as long as it likes."""
KEPT_IMAGES = 2
"""The image that is wanted, and the one before it, for a way back without a pull."""

BEHIND = ("--oom-score-adj", "500", "--cpu-shares", "512")
"""Services go first, as before other runs (droplet/jobs/containers.py)."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: its exit status; None if it was ended because it took too long.
        output: the end of what it printed, both streams; at most MAX_OUTPUT bytes.
    """

    code: int | None
    output: str = field(repr=False)


class Runner(Protocol):
    """Where migrations run; tests have one without containers."""

    def digest(self, job: Job, registry: bytes | None) -> str:
        """Fetch a job's image if it is not here, and return its digest.

        Raises:
            ConvergeError: it cannot be had.
        """

    def run(self, job: Job, name: str, variables: Mapping[str, str], authority: str) -> Ended:
        """Run a job to its end; ``authority`` is what the container finds as ca.pem."""

    def stop(self) -> None:
        """End every run of this droplet's, those of an earlier program included."""

    def tidy(self, images: Sequence[str]) -> None:
        """Remove images that no release and no migration needs any more."""


@dataclass
class Docker:
    """Runs migrations with Docker.

    Attributes:
        paths: where the program's files are, and the releases, whose images are not this program's to remove.
        scratch: a folder of this run alone, in memory.
        run_program: runs what ends soon.
        popen: starts a container.
    """

    paths: Paths
    scratch: Path
    run_program: Run = run_program
    popen: Callable[..., "subprocess.Popen[bytes]"] = subprocess.Popen
    exact: dict[str, str] = field(default_factory=dict)
    """By reference, what a container is started from: the image by its digest."""

    def digest(self, job: Job, registry: bytes | None) -> str:
        """Fetch a job's image if it is not here, and return its digest."""
        found = self._inspect(job.image)
        if found is None:
            login = self.scratch / "docker"
            login.mkdir(mode=0o700, exist_ok=True)
            write(login / "config.json", registry or b"{}", mode=0o600)
            self.run_program(
                ["docker", "pull", "--quiet", job.image], {"DOCKER_CONFIG": str(login)}, PULL_SECONDS
            )
            found = self._inspect(job.image)
        if found is None:
            raise ConvergeError(f"the image {job.image} was pulled and is not here")
        self.exact[job.image] = found
        return found.rpartition("@")[2]

    def run(self, job: Job, name: str, variables: Mapping[str, str], authority: str) -> Ended:
        """Run a job in a container of its own."""
        folder = self.scratch / name
        folder.mkdir(mode=0o700)
        (folder / "ca").mkdir()
        # The container's user reads it, whatever the unit's umask says; what leads to the folder is root's alone.
        (folder / "ca").chmod(0o755)
        write(folder / "ca/ca.pem", authority.encode(), mode=0o644)
        # A file, so that no secret stands on a command line. A line is a variable, without quotes (docker-run(1)).
        lines = "".join(f"{key}={value}\n" for key, value in variables.items())
        write(folder / "environment", lines.encode(), mode=0o600)
        try:
            return self._run(self._command(job, name, folder), name, job.timeout_seconds)
        finally:
            for path in ("environment", "ca/ca.pem"):
                (folder / path).unlink(missing_ok=True)
            (folder / "ca").rmdir()
            folder.rmdir()

    def stop(self) -> None:
        """End every container of a migration."""
        try:
            found = self.run_program(
                ["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"], {}, COMMAND_SECONDS
            )
            if found.split():
                self.run_program(["docker", "rm", "--force", *found.split()], {}, COMMAND_SECONDS)
        except ConvergeError as error:
            journal.log(journal.WARNING, str(error))

    def tidy(self, images: Sequence[str]) -> None:
        """Remove images of earlier migrations that no release here has."""
        record = folder_of(self.paths) / "images.json"
        try:
            known = [one for one in json.loads(record.read_text()) if isinstance(one, str)]
        except (OSError, ValueError, TypeError):
            known = []
        known = [*(one for one in known if one not in images), *images]
        # Of each job the last ones.
        kept = known[-KEPT_IMAGES * max(1, len(images)) :]
        for image in known[: -len(kept)]:
            if not self._of_a_release(image):
                try:
                    self.run_program(["docker", "image", "rm", image], {}, REMOVE_SECONDS)
                except ConvergeError as error:
                    journal.log(journal.INFO, f"image {image} stays: {error}")
        write(record, json.dumps(kept).encode(), mode=0o600)

    def _of_a_release(self, image: str) -> bool:
        files = self.paths.releases.glob("*/release.json")
        return any(json.dumps(image) in _text(path) for path in files)

    def _inspect(self, image: str) -> str | None:
        """Return an image by the digest that the registry has, or by its own id where it came from none."""
        try:
            shown = self.run_program(
                ["docker", "image", "inspect", "--format", "{{.Id}} {{json .RepoDigests}}", image],
                {},
                COMMAND_SECONDS,
            )
        except ConvergeError:
            return None
        identity, _, digests = shown.strip().partition(" ")
        repository = image.partition("@")[0]
        if ":" in repository.rpartition("/")[2]:
            repository = repository.rpartition(":")[0]
        for one in json.loads(digests or "null") or ():
            name, _, digest = str(one).partition("@")
            if name == repository and _DIGEST.fullmatch(digest):
                return f"{name}@{digest}"
        return identity if _DIGEST.fullmatch(identity) else None

    def _command(self, job: Job, name: str, folder: Path) -> list[str]:
        # As the services have it (compose.yaml.j2); nothing of the output is kept by Docker.
        return [
            "docker", "run", "--rm", "--init", "--name", name, "--label", f"{LABEL}={job.name}",
            "--pull", "never", "--user", "1000:1000", "--read-only", "--tmpfs", "/tmp:size=64m,mode=1777",  # noqa: S108  in the container
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges=true", "--pids-limit", "512",
            "--memory", f"{job.memory_mib}m", "--memory-swap", f"{job.memory_mib}m", *BEHIND, "--log-driver", "none",
            "--mount", f"type=bind,source={folder}/ca,target={CA_FOLDER},readonly",
            "--env-file", f"{folder}/environment", self.exact[job.image], *job.command,
        ]  # fmt: skip

    def _run(self, command: Sequence[str], name: str, seconds: int) -> Ended:
        process = self.popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = _Tail(process)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            # The client's end would not be the container's.
            try:
                self.run_program(["docker", "rm", "--force", name], {}, COMMAND_SECONDS)
            except ConvergeError as error:
                journal.log(journal.WARNING, str(error))
            process.kill()
            process.wait()
            return Ended(None, output.text())
        return Ended(process.returncode, output.text())


def _text(path: Path) -> str:
    """Return a file's text; nothing if converge has just removed it."""
    try:
        return path.read_text()
    except OSError:
        return ""


class _Tail:
    """Reads all that a process prints, and keeps the end of it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._kept = b""
        self._process = process
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        if (stream := self._process.stdout) is None:
            return
        with stream:
            while chunk := os.read(stream.fileno(), MAX_OUTPUT):
                self._kept = (self._kept + chunk)[-MAX_OUTPUT:]

    def text(self) -> str:
        """Return the end, when the process has ended; what holds its output open longer is not waited for."""
        self._thread.join(COMMAND_SECONDS)
        return self._kept.decode(errors="replace")
