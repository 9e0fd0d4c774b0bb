#!/usr/bin/python3
"""presence360-health: answer the load balancer's health check and serve metrics, on loopback behind nginx.

``/healthz`` answers 200 when every public service of the current release answers 200 and the droplet is not
draining. ``/metrics`` is Prometheus's text format. Services are asked once a second, however many requests come.

Travels in user data. Needs Debian 13's python3 and nothing else; its user can read no secret.
"""

import http.client
import json
import re
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Below the load balancer's response_timeout_seconds of 3 (constructs_lib/edge.py).
TIMEOUT_SECONDS = 2.0
LOOK_SECONDS = 1.0
# A look may take several time limits: one for each piece of an answer.
STALE_SECONDS = 10.0

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
    """The services' state at a moment.

    Attributes:
        services: by name, whether it answers 200; None while there is no release.
        public: the names of the services that the load balancer reaches.
    """

    services: Mapping[str, bool] | None
    public: frozenset[str] = frozenset()

    @property
    def reasons(self) -> list[str]:
        """Why the services cannot serve; empty if they can."""
        if self.services is None:
            return ["no release"]
        return [name for name, up in sorted(self.services.items()) if name in self.public and not up]


def look(sources: Sources) -> Health:
    """Ask every service at once."""
    try:
        found = json.loads(sources.derived.read_text())["targets"]
        targets = [(one["service"], int(one["port"]), one["path"], one["public"]) for one in found]
    except (OSError, ValueError, KeyError, TypeError):
        return Health(services=None)
    with ThreadPoolExecutor(max_workers=max(1, len(targets))) as pool:
        answers = pool.map(lambda target: get(target[1], target[2])[0], targets)
        services = {
            target[0]: status == HTTPStatus.OK for target, status in zip(targets, answers, strict=True)
        }
    return Health(services, frozenset(name for name, _, _, public in targets if public))


class Verdict:
    """What was seen last. Answers come from here, so that a flood of requests asks no service anything."""

    def __init__(self, sources: Sources) -> None:
        """Nothing was seen yet."""
        self.sources = sources
        self.health = Health(services=None)
        self.seen = time.monotonic()

    def refresh(self) -> None:
        """Look at the services."""
        self.health, self.seen = look(self.sources), time.monotonic()

    @property
    def draining(self) -> bool:
        """Whether the droplet answers 503 on purpose; known at once."""
        return any(flag.exists() for flag in self.sources.draining)

    @property
    def reasons(self) -> list[str]:
        """Why the droplet cannot serve; empty if it can."""
        stale = ["not looked at"] if time.monotonic() - self.seen > STALE_SECONDS else []
        return (["draining"] if self.draining else []) + stale + self.health.reasons


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


def metrics(verdict: Verdict) -> str:
    """Return this daemon's, nginx's and the other programs' metrics, in Prometheus's text format."""
    sources = verdict.sources
    lines = [
        "# HELP presence360_healthy Whether this droplet's health check answers 200.",
        "# TYPE presence360_healthy gauge",
        f"presence360_healthy {int(not verdict.reasons)}",
        "# HELP presence360_draining Whether this droplet answers 503 to the load balancer on purpose.",
        "# TYPE presence360_draining gauge",
        f"presence360_draining {int(verdict.draining)}",
        "# HELP presence360_service_up Whether a service answers 200 on its health path.",
        "# TYPE presence360_service_up gauge",
    ]
    for name, up in sorted((verdict.health.services or {}).items()):
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

    verdict: Verdict
    timeout = 5
    server_version = "presence360"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/healthz":
            reasons = self.verdict.reasons
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            self._answer(status, ", ".join(reasons) or "ok")
        elif self.path == "/metrics":
            self._answer(HTTPStatus.OK, metrics(self.verdict), "text/plain; version=0.0.4; charset=utf-8")
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


class Server(ThreadingHTTPServer):
    """Takes bursts: http.server's own queue holds five connections."""

    request_queue_size = 128


def main(port: int) -> None:
    """Look and serve until stopped; an error ends the program, and systemd starts it again."""
    Handler.verdict = verdict = Verdict(Sources())
    verdict.refresh()
    threading.Thread(target=Server(("127.0.0.1", port), Handler).serve_forever, daemon=True).start()
    while True:
        time.sleep(LOOK_SECONDS)
        verdict.refresh()


if __name__ == "__main__":
    main(int(sys.argv[1]))
