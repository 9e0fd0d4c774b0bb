"""Docker Compose and nginx, as a release asks for them."""

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.errors import ConvergeError
from droplet.converge.processes import Run, run_program
from droplet.converge.release import Release

PULL_SECONDS = 600
COMMAND_SECONDS = 60
"""For what only reads, or tells a daemon something."""
REMOVE_SECONDS = 120


def http_ok(port: int, path: str, *, tries: int = 5, timeout: float = 2) -> bool:
    """Ask a loopback port until it answers 200, with a second between tries."""
    for attempt in range(tries):
        if attempt:
            time.sleep(1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


@dataclass(frozen=True)
class Containers:
    """What runs a release's services and serves them.

    Attributes:
        run: runs a program.
        answers: tells whether a loopback port answers 200 on a path.
    """

    run: Run = run_program
    answers: Callable[[int, str], bool] = http_ok

    def config(self, release: Release) -> str:
        """Return Compose's own reading of the release's file, as JSON."""
        return self.run(_compose(release, "config", "--format", "json"), {}, COMMAND_SECONDS)

    def hashes(self, release: Release) -> str:
        """Return a line for each service with Compose's digest of everything that makes its container."""
        return self.run(_compose(release, "config", "--hash", "*"), {}, COMMAND_SECONDS)

    def pull(self, release: Release) -> None:
        """Fetch the release's images."""
        self.run(_compose(release, "pull", "--quiet"), _login(release), PULL_SECONDS)

    def up(self, release: Release) -> None:
        """Start what changed; return when all services are healthy and answer where nginx will ask them.

        Raises:
            ConvergeError: one of them is not, in time.
        """
        options = ("--detach", "--wait", "--remove-orphans", "--no-build", "--pull", "never")
        command = _compose(release, "up", *options, "--wait-timeout", str(release.wait_seconds))
        self.run(command, _login(release), release.worst_seconds)
        for target in release.targets:
            if not self.answers(target["port"], target["path"]):
                raise ConvergeError(f"{target['service']} does not answer 200 on {target['path']}")

    def stopped(self, release: Release) -> list[str]:
        """Return the services that are not running, sorted."""
        shown = self.run(_compose(release, "ps", "--services", "--status", "running"), {}, COMMAND_SECONDS)
        return sorted(set(release.images) - set(shown.split()))

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
