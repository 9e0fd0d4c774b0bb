#!/usr/bin/python3
"""presence360-health: answer the load balancer's health check and serve metrics, on loopback behind nginx.

``/healthz`` answers 200 when every public service of the current release answers 200 and the droplet is not
draining. ``/metrics`` is Prometheus's text format.

Travels in user data. Needs Debian 13's python3 and nothing else; its user can read no secret.
"""

import http.client
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Below the load balancer's response_timeout_seconds of 3 (constructs_lib/edge.py).
TIMEOUT_SECONDS = 2.0

_STUB_STATUS = re.compile(
    r"Active connections: (?P<active>\d+)\s+server accepts handled requests\s+"
    r"(?P<accepted>\d+) (?P<handled>\d+) (?P<requests>\d+)"
)


@dataclass(frozen=True)
class Sources:
    """Where the daemon reads.

    Attributes:
        derived: of the current release: the services that it asks, with their ports and paths.
        draining: while one of them exists, the health check answers 503.
        textfiles: the folder in which other programs leave their metrics, ``*.prom``.
        nginx_port: where nginx shows its counters (cloud_init/nginx.py).
    """

    derived: Path = Path("/var/lib/presence360/current/derived.json")
    draining: tuple[Path, ...] = tuple(
        Path("/run/presence360") / flag for flag in ("draining", "leaving", "restarting")
    )
    textfiles: Path = Path("/run/presence360")
    nginx_port: int = 9362


@dataclass(frozen=True)
class Health:
    """The droplet's state at a moment.

    Attributes:
        services: by name, whether it answers 200; None while there is no release.
        public: the names of the services that the load balancer reaches.
        draining: whether the droplet answers 503 on purpose.
    """

    services: Mapping[str, bool] | None
    public: frozenset[str]
    draining: bool

    @property
    def reasons(self) -> list[str]:
        """Why the droplet cannot serve; empty if it can."""
        reasons = ["draining"] if self.draining else []
        if self.services is None:
            return [*reasons, "no release"]
        return reasons + [
            name for name, up in sorted(self.services.items()) if name in self.public and not up
        ]


def look(sources: Sources) -> Health:
    """Ask every service at once."""
    draining = any(flag.exists() for flag in sources.draining)
    try:
        targets: Sequence[Mapping[str, Any]] = json.loads(sources.derived.read_text())["targets"]
    except (OSError, ValueError, KeyError):
        return Health(services=None, public=frozenset(), draining=draining)
    with ThreadPoolExecutor(max_workers=max(1, len(targets))) as pool:
        answers = pool.map(lambda target: get(target["port"], target["path"])[0], targets)
        services = {
            target["service"]: status == HTTPStatus.OK
            for target, status in zip(targets, answers, strict=True)
        }
    public = frozenset(target["service"] for target in targets if target["public"])
    return Health(services=services, public=public, draining=draining)


def get(port: int, path: str) -> tuple[int, str]:
    """Ask a loopback port; the status is 0 if it does not answer in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(64 * 1024).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def metrics(sources: Sources) -> str:
    """Return this daemon's, nginx's and the other programs' metrics, in Prometheus's text format."""
    health = look(sources)
    lines = [
        "# HELP presence360_healthy Whether this droplet's health check answers 200.",
        "# TYPE presence360_healthy gauge",
        f"presence360_healthy {int(not health.reasons)}",
        "# HELP presence360_draining Whether this droplet answers 503 to the load balancer on purpose.",
        "# TYPE presence360_draining gauge",
        f"presence360_draining {int(health.draining)}",
        "# HELP presence360_service_up Whether a service answers 200 on its health path.",
        "# TYPE presence360_service_up gauge",
    ]
    for name, up in sorted((health.services or {}).items()):
        lines.append(f'presence360_service_up{{service="{name}"}} {int(up)}')
    match = _STUB_STATUS.search(get(sources.nginx_port, "/nginx_status")[1])
    for name, kind in (
        ("active", "gauge"),
        ("accepted", "counter"),
        ("handled", "counter"),
        ("requests", "counter"),
    ):
        if match:
            full = "nginx_connections_active" if name == "active" else f"nginx_{name}_total"
            lines += [f"# TYPE {full} {kind}", f"{full} {match[name]}"]
    return "\n".join(lines) + "\n" + "".join(map(_text, sorted(sources.textfiles.glob("*.prom"))))


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


class Handler(BaseHTTPRequestHandler):
    """Two paths, GET only."""

    sources = Sources()
    timeout = 5
    server_version = "presence360"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/healthz":
            reasons = look(self.sources).reasons
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            self._answer(status, ", ".join(reasons) or "ok")
        elif self.path == "/metrics":
            self._answer(HTTPStatus.OK, metrics(self.sources), "text/plain; version=0.0.4; charset=utf-8")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "not found")

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Say nothing: a health check every few seconds would fill the journal."""


def main(port: int) -> None:
    """Serve until stopped."""
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1] if len(sys.argv) > 1 else os.environ["PORT"]))
