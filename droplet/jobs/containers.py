"""The containers of runs: Docker keeps them, this droplet's programs only look at them.

Compose makes them from the release's own file, as another project: so they have everything that makes the service's own
container (user, limits, read-only root, secrets), and no `docker compose up` of a release touches them.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.converge.errors import CommandError
from droplet.converge.processes import Run as RunProgram
from droplet.converge.processes import run_program
from droplet.converge.release import Release
from droplet.jobs.contract import Run

PROJECT = "presence360-jobs"
LABEL = "app.presence360.job"

SERVICES_NETWORK = "presence360_default"
"""Made by Compose for the project of the services (cloud_init/templates/compose.yaml.j2)."""

MAX_OUTPUT_BYTES = 1024 * 1024
"""Of a run's output the last of it is kept."""

STOP_SECONDS = 20
"""What a command has to end by itself, before it is killed."""

_SECONDS = 60

# The service goes first. The kernel takes a container with a higher score before one with a lower one
# (proc_pid_oom_score_adj(5)); a half of the usual weight (1024) where both want the processor (docker run reference,
# "CPU share constraint").
_BEHIND = {"oom_score_adj": 500, "cpu_shares": 512}
# Output is read again and again while a run goes on.
_LOGS = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "2"}}


@dataclass(frozen=True)
class Container:
    """How a run's container is.

    Attributes:
        running: whether the command runs.
        exit_status: of the command, once it has ended.
        out_of_memory: whether the kernel ended it for its memory limit.
        image: the digest of what it runs in.
        error: what Docker says where it could not start it.
    """

    running: bool
    exit_status: int
    out_of_memory: bool
    image: str
    error: str


@dataclass(frozen=True)
class Containers:
    """Docker, as runs need it.

    Attributes:
        run: runs a program.
        output: reads the last of a run's output, and whether something before it was cut.
    """

    run: RunProgram = run_program
    output: Callable[[str], tuple[str, bool]] = lambda run_id: last_output(
        ["docker", "logs", name_of(run_id)]
    )

    def start(self, release: Release, run: Run, folder: Path) -> None:
        """Start a run in the image of its service, as that runs now.

        Args:
            release: that runs.
            run: what to start.
            folder: where what differs from the service is written.

        Raises:
            CommandError: it does not start.
        """
        file = folder / f"{run.id}.json"
        file.write_text(_differs(run), encoding="utf-8")
        here = str(release.folder)
        files = ("--env-file", f"{here}/images.env", "--file", f"{here}/compose.yaml", "--file", str(file))
        command = ("docker", "compose", "--project-name", PROJECT, "--project-directory", here, *files)
        options = ("run", "--detach", "--no-deps", "--name", name_of(run.id))
        try:
            self.run([*command, *options, run.service], {"DOCKER_CONFIG": f"{here}/docker"}, _SECONDS)
        finally:
            file.unlink(missing_ok=True)

    def all(self) -> dict[str, Container]:
        """Return the containers of all runs, by the run's id.

        Raises:
            CommandError: Docker does not say it.
        """
        listed = self.run(
            ["docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}"], {}, _SECONDS
        )
        if not listed.split():
            return {}
        shown = self.run(["docker", "inspect", *listed.split()], {}, _SECONDS)
        try:
            return dict(_containers(json.loads(shown)))
        except (ValueError, KeyError, TypeError):
            raise CommandError("docker inspect does not answer as expected") from None

    def stop(self, run_id: str) -> None:
        """End a run's command."""
        stop = ["docker", "stop", "--time", str(STOP_SECONDS), name_of(run_id)]
        self.run(stop, {}, STOP_SECONDS + _SECONDS)

    def remove(self, run_id: str) -> None:
        """Remove the container of a run that has ended."""
        self.run(["docker", "rm", "--force", name_of(run_id)], {}, _SECONDS)


def name_of(run_id: str) -> str:
    """Name a run's container."""
    return f"presence360-job-{run_id}"


def last_output(command: Sequence[str]) -> tuple[str, bool]:
    """Return the last of what a program prints, both of its streams as they come; and whether something was cut.

    Raises:
        CommandError: it cannot be started, or fails.
    """
    kept, cut = b"", False
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            while chunk := process.stdout.read(64 * 1024) if process.stdout else b"":
                kept += chunk
                if len(kept) > MAX_OUTPUT_BYTES:
                    kept, cut = kept[-MAX_OUTPUT_BYTES:], True
    except OSError as error:
        raise CommandError(f"{command[0]}: {error}") from None
    if process.returncode:
        raise CommandError(f"{' '.join(command)}: exit {process.returncode}")
    return kept.decode(errors="replace"), cut


def _differs(run: Run) -> str:
    """Return a Compose file of what is different for a run.

    The network is the services' own: its range is fixed, so that a second one like it is refused. `!override` replaces
    what the services' file says of it (Compose 2.24.4, "Merge", `!override`).
    """
    program, *arguments = (word.replace("$", "$$") for word in run.command)
    own = {
        # The image's own entry point would take the command for its arguments.
        "entrypoint": [program],
        "command": arguments,
        "healthcheck": {"disable": True},
        "environment": {"PRESENCE360_JOB": run.job or run.kind},
        "labels": {LABEL: run.id},
        "logging": _LOGS,
        **_BEHIND,
    }
    network = json.dumps({"name": SERVICES_NETWORK, "external": True})
    services = json.dumps({run.service: own})
    return f'{{"services": {services}, "networks": {{"default": !override {network}}}}}\n'


def _containers(shown: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Container]]:
    for one in shown:
        state = one["State"]
        yield (
            one["Config"]["Labels"][LABEL],
            Container(
                # Created and not started: the start is under way, or failed; its caller knows.
                running=state["Status"] not in {"exited", "dead", "created"},
                exit_status=int(state["ExitCode"]),
                out_of_memory=bool(state["OOMKilled"]),
                image=str(one["Image"]),
                error=str(state.get("Error", "")),
            ),
        )
