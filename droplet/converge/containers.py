"""Docker Compose and nginx, as a release asks for them."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.errors import CommandError, ConvergeError
from droplet.converge.processes import Run, run_program
from droplet.converge.release import Release

PULL_SECONDS = 600
COMMAND_SECONDS = 60
"""For what only reads, or tells a daemon something."""
REMOVE_SECONDS = 120
RESTART_SECONDS = 150
"""Above the longest grace of a service that stops (model/services.py)."""

STATUS_PORT = 9362
"""Where nginx shows its counters, and which configuration it loaded (cloud_init/nginx.py)."""


def http_get(port: int, path: str, *, timeout: float = 2) -> tuple[int, str]:
    """Ask a loopback port; the status is 0 if it does not answer in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def http_ok(port: int, path: str, *, tries: int = 5, timeout: float = 2) -> bool:
    """Ask a loopback port until it answers 200, with a second between tries."""
    for attempt in range(tries):
        if attempt:
            time.sleep(1)
        if http_get(port, path, timeout=timeout)[0] == http.HTTPStatus.OK:
            return True
    return False


def loaded_configuration() -> str | None:
    """Ask nginx which configuration it runs with; None if it does not say."""
    status, text = http_get(STATUS_PORT, "/configuration")
    return text.strip() if status == http.HTTPStatus.OK else None


@dataclass(frozen=True)
class State:
    """How a service's container is.

    Attributes:
        running: whether it runs.
        unhealthy: whether its health check failed as often as Compose's file allows.
        starting: whether that is not known yet, as after each start.
    """

    running: bool
    unhealthy: bool
    starting: bool = False


@dataclass(frozen=True)
class Containers:
    """What runs a release's services and serves them.

    Attributes:
        run: runs a program.
        answers: tells whether a loopback port answers 200 on a path.
        loaded: tells which configuration nginx runs with.
    """

    run: Run = run_program
    answers: Callable[[int, str], bool] = http_ok
    loaded: Callable[[], str | None] = loaded_configuration

    def config(self, release: Release) -> str:
        """Return Compose's own reading of the release's file, as JSON."""
        return self.run(_compose(release, "config", "--format", "json"), {}, COMMAND_SECONDS)

    def pull(self, release: Release) -> None:
        """Fetch the release's images; the observability group may have none."""
        if not release.images:
            return
        self.run(_compose(release, "pull", "--quiet"), _login(release), PULL_SECONDS)

    def up(self, release: Release) -> None:
        """Start what changed; return when all services are healthy and answer where nginx will ask them.

        Raises:
            ConvergeError: one of them is not, in time.
        """
        options = ("--detach", "--wait", "--remove-orphans", "--no-build", "--pull", "never")
        if not release.images:
            # Compose refuses to start nothing ("no service selected"). What ran before is stopped and removed.
            self.run(_compose(release, "down", "--remove-orphans"), {}, RESTART_SECONDS)
            return
        command = _compose(release, "up", *options, "--wait-timeout", str(release.wait_seconds))
        try:
            self.run(command, _login(release), release.worst_seconds)
        except CommandError as error:
            raise ConvergeError(f"{self._unhealthy(release)}{error}") from error
        for target in release.targets:
            if not self.answers(target["port"], target["path"]):
                raise ConvergeError(f"{target['service']} does not answer 200 on {target['path']}")

    def states(self, release: Release) -> dict[str, State]:
        """Return how the container of each of the release's services is; a service without one does not run.

        Raises:
            ConvergeError: Compose does not say it.
        """
        if not release.images:
            return {}
        shown = self.run(_compose(release, "ps", "--all", "--format", "json"), {}, COMMAND_SECONDS)
        states = dict.fromkeys(release.images, State(running=False, unhealthy=False))
        try:
            for line in shown.splitlines():
                entry = json.loads(line)
                if entry["Service"] in states:
                    states[entry["Service"]] = State(
                        running=entry["State"] == "running",
                        unhealthy=entry.get("Health") == "unhealthy",
                        starting=entry.get("Health") == "starting",
                    )
        except (ValueError, KeyError, TypeError):
            raise ConvergeError("docker compose ps does not answer in JSON lines") from None
        return states

    def restart(self, release: Release, service: str) -> None:
        """Restart one service."""
        self.run(_compose(release, "restart", service), {}, RESTART_SECONDS)

    def _unhealthy(self, release: Release) -> str:
        """Name the services that are not well, to begin an error with: Compose prints a line for each of the others."""
        try:
            states = self.states(release)
        except ConvergeError:
            return ""
        names = sorted(name for name, state in states.items() if state.unhealthy or not state.running)
        return f"unhealthy: {', '.join(names)}: " if names else ""

    def remove_image(self, image: str) -> None:
        """Remove an image; Docker refuses if a container uses it."""
        self.run(["docker", "image", "rm", image], {}, REMOVE_SECONDS)

    def check_nginx(self, file: Path) -> None:
        """Let nginx check a configuration."""
        self.run(["nginx", "-t", "-q", "-c", str(file)], {}, COMMAND_SECONDS)

    def reload_nginx(self) -> None:
        """Let nginx read the current release's configuration."""
        self.run(["systemctl", "reload-or-restart", "nginx.service"], {}, COMMAND_SECONDS)


def _compose(release: Release, *args: str) -> list[str]:
    folder = str(release.folder)
    files = ("--env-file", f"{folder}/images.env", "--file", f"{folder}/compose.yaml")
    return ["docker", "compose", "--project-directory", folder, *files, *args]


def _login(release: Release) -> Mapping[str, str]:
    return {"DOCKER_CONFIG": str(release.folder / "docker")}
