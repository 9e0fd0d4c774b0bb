"""Docker's Engine API over its socket: the services' containers, and the events that say more than their state."""

import http.client
import json
import socket
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

SERVICE_LABEL = "app.presence360.service"
"""On every container of ours (cloud_init/templates/compose.yaml.j2)."""

VERSION = "v1.41"
"""Of the API; Docker 20.10 speaks it, and every later one."""

ANSWER_SECONDS = 10
QUIET_SECONDS = 300
"""Without an event for this long, the stream is opened again."""


class DockerError(Exception):
    """Docker does not answer, or not in the form that its documentation promises."""


@dataclass(frozen=True)
class Container:
    """A service's container.

    Attributes:
        service: its name in the catalogue.
        pid: of its first process, as the droplet sees it; 0 while it does not run.
        memory_limit: in bytes; 0 for none.
        restarts: how often Docker started it again because it ended by itself.
        started: when it started last, in seconds since 1970; 0 for never.
    """

    service: str
    pid: int
    memory_limit: int
    restarts: int
    started: float


class _Connection(http.client.HTTPConnection):
    """HTTP over Docker's socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Docker:
    """Docker on this droplet."""

    path: Path = Path("/run/docker.sock")

    def containers(self) -> list[Container]:
        """Return the services' containers, those that do not run too.

        Raises:
            DockerError: Docker does not say.
        """
        filters = json.dumps({"label": [SERVICE_LABEL]})
        listed = self._get("/containers/json", {"all": "true", "filters": filters})
        found = []
        for entry in listed:
            # One that was removed in between is not there any more.
            inspected = self._get(f"/containers/{entry['Id']}/json", {}, missing={})
            if inspected:
                found.append(_container(inspected))
        return found

    def oom_kills(self) -> Iterator[str]:
        """Yield the service of each container in which the kernel kills a process for want of memory, as it happens.

        Ends when Docker ends the stream, or has been quiet for long.

        Raises:
            DockerError: Docker does not answer.
        """
        filters = json.dumps({"type": ["container"], "event": ["oom"], "label": [SERVICE_LABEL]})
        target = f"/{VERSION}/events?{urllib.parse.urlencode({'filters': filters})}"
        with closing(_Connection(self.path, QUIET_SECONDS)) as connection:
            try:
                connection.request("GET", target)
                response = connection.getresponse()
                if response.status != http.HTTPStatus.OK:
                    raise DockerError(f"Docker answers {response.status} on its events")
                while line := response.readline():
                    yield str(json.loads(line)["Actor"]["Attributes"][SERVICE_LABEL])
            except TimeoutError:
                return
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                raise DockerError(f"Docker's events: {type(error).__name__}: {error}") from None

    def _get(self, path: str, query: dict[str, str], missing: Any = None) -> Any:
        target = f"/{VERSION}{path}?{urllib.parse.urlencode(query)}"
        with closing(_Connection(self.path, ANSWER_SECONDS)) as connection:
            try:
                connection.request("GET", target)
                response = connection.getresponse()
                body = response.read()
                if response.status == http.HTTPStatus.NOT_FOUND and missing is not None:
                    return missing
                if response.status != http.HTTPStatus.OK:
                    raise DockerError(f"Docker answers {response.status} on {path}")
                return json.loads(body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise DockerError(f"Docker: {type(error).__name__}: {error}") from None


def _container(inspected: dict[str, Any]) -> Container:
    try:
        state = inspected["State"]
        return Container(
            service=str(inspected["Config"]["Labels"][SERVICE_LABEL]),
            pid=int(state["Pid"]) if state["Running"] else 0,
            memory_limit=int(inspected["HostConfig"]["Memory"]),
            restarts=int(inspected["RestartCount"]),
            started=_seconds(state["StartedAt"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DockerError(f"Docker says of a container: {type(error).__name__} in {error}") from None


def _seconds(text: str) -> float:
    """Return a time of Docker's in seconds since 1970; one that never was is of the year 1."""
    # Nanoseconds: "2026-11-26T10:00:00.123456789Z".
    value = datetime.fromisoformat(f"{text[:19]}+00:00")
    return max(0.0, value.timestamp()) if value.year > 1 else 0.0
