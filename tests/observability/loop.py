"""Victoria Metrics, vmalert and Alertmanager on this machine, with the configuration that droplets get.

What differs: addresses and ports, where DigitalOcean's API is, and how long they wait.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from cloud_init.observability import MESSAGES_PORT, RULES_PORT, STORE_PORT, render_configuration
from cloud_init.observability_files import SECRETS
from lab.metrics_programs import alertmanager
from lab.processes import bound
from model.observability import ObservabilityPlan
from model.services import METRICS_PORT, WATCHDOG_RECEIVER_PORT

T = TypeVar("T")

PATIENCE_SECONDS = 60

_PATIENCE = {
    "scrape_interval": "1s",
    "scrape_timeout": "1s",
    "interval": "1s",
    "group_wait": "0s",
    "group_interval": "2s",
    "repeat_interval": "2s",
    # However long an alert has to be true on droplets.
    "for": "1s",
}


def eventually(what: str, ask: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            if answer := ask():
                return answer
            last = answer
        except OSError as error:
            last = error
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}; last: {last}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def page_of_droplets(addresses: Mapping[str, str]) -> str:
    """What DigitalOcean's API answers: staging's droplets by name, with their private addresses, and another's."""
    tags = ["staging", "staging-plane-tenant", "staging-group-app"]
    found = [(name, address, tags) for name, address in addresses.items()]
    # Another environment's, which is none of ours.
    found.append(("production-app-1", "127.0.0.2", ["production", "production-group-app"]))
    common = {
        "region": {"slug": "fra1"},
        "size_slug": "s",
        "image": {"slug": "debian-13-x64"},
        "status": "active",
    }
    listed = [
        {
            "id": number,
            "name": name,
            "tags": own,
            "networks": {"v4": [{"ip_address": address, "type": "private"}], "v6": []},
            "features": [],
            **common,
        }
        for number, (name, address, own) in enumerate(found, start=1)
    ]
    return json.dumps({"droplets": listed, "links": {}, "meta": {"total": len(listed)}})


def impatient(text: str, **more: str) -> str:
    """Return a configuration that waits for less."""
    for what, wanted in {**_PATIENCE, **more}.items():
        text = re.sub(rf'"{what}": "\w+"', f'"{what}": "{wanted}"', text)
    return text


@dataclass
class Served:
    """A small server: what it answers by path, and what was posted to it."""

    port: int = field(default_factory=free_port)
    address: str = "127.0.0.1"
    pages: dict[str, str] = field(default_factory=dict)
    posted: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.tokens.append(self.headers.get("Authorization"))
                page = outer.pages.get(self.path.partition("?")[0])
                self.send_response(404 if page is None else 200)
                self.end_headers()
                self.wfile.write((page or "").encode())

            def do_POST(self) -> None:
                outer.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
                pass

        self.server = ThreadingHTTPServer((self.address, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def told(messages: Served, alert: str, status: str) -> dict[str, Any] | None:
    """Return the last message about an alert with this status."""
    for message in reversed(messages.posted):
        for one in message["alerts"]:
            if one["labels"]["alertname"] == alert and one["status"] == status:
                found: dict[str, Any] = one
                return found
    return None


@dataclass
class Loop:
    """From metrics to messages.

    Attributes:
        folder: with all files.
        programs: Debian 13's.
        plan: of the observability group.
        droplet: a droplet's metrics.
        messages: where people would be told.
    """

    folder: Path
    programs: Path
    plan: ObservabilityPlan
    droplet: Served = field(default_factory=Served)
    messages: Served = field(default_factory=Served)
    watchdog: Served = field(default_factory=Served)
    cloud: Served = field(default_factory=Served)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the programs, beside this process's."""
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store, self.rules, self.alertmanager = free_port(), free_port(), free_port()
        self.secrets = self.folder / "secrets"
        self.secrets.mkdir(parents=True)
        (self.secrets / "observability_token").write_text("reads-droplets")
        (self.secrets / "alert_webhook_url").write_text(f"http://127.0.0.1:{self.messages.port}/")
        self.droplets("staging-app-1-3fa9c2")
        self.write(render_configuration(self.plan))

    def droplets(self, *names: str) -> None:
        """What DigitalOcean's API says there is; all droplets are the one that is served here."""
        self.cloud.pages["/v2/droplets"] = page_of_droplets(dict.fromkeys(names, "127.0.0.1"))

    def write(self, configuration: str) -> None:
        """Write the files of a configuration, with this machine's addresses, and with less patience."""
        for name, text in json.loads(configuration)["files"].items():
            (self.folder / name).write_text(self._here(text), encoding="utf-8")

    def _here(self, text: str) -> str:
        for old, new in (
            (SECRETS, str(self.secrets)),
            (f"$1:{METRICS_PORT}", f"$1:{self.droplet.port}"),
            (f"127.0.0.1:{WATCHDOG_RECEIVER_PORT}", f"127.0.0.1:{self.watchdog.port}"),
            (f"127.0.0.1:{STORE_PORT}", f"127.0.0.1:{self.store}"),
            (f"127.0.0.1:{RULES_PORT}", f"127.0.0.1:{self.rules}"),
            (f"127.0.0.1:{MESSAGES_PORT}", f"127.0.0.1:{self.alertmanager}"),
            ('"authorization"', f'"server": "http://127.0.0.1:{self.cloud.port}", "authorization"'),
        ):
            text = text.replace(old, new)
        return impatient(text)

    def start(self) -> None:
        """Start all three, in the order in which they need each other."""
        self.start_store()
        self.start_alertmanager()
        store = f"http://127.0.0.1:{self.store}"
        self._start(
            "vmalert",
            f"-httpListenAddr=127.0.0.1:{self.rules}",
            f"-datasource.url={store}",
            f"-remoteWrite.url={store}",
            f"-remoteRead.url={store}",
            f"-notifier.url=http://127.0.0.1:{self.alertmanager}",
            f"-rule={self.folder}/rules.yaml",
            "-external.label=environment=staging",
            "-disableAlertgroupLabel",
            # On droplets, half a minute of grace for late samples.
            "-rule.evalDelay=0s",
        )

    def start_alertmanager(self) -> None:
        self._run(
            "prometheus-alertmanager",
            *alertmanager(self.programs),
            f"--config.file={self.folder}/alertmanager.yaml",
            f"--storage.path={self.folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{self.alertmanager}",
            "--cluster.listen-address=",
            "--enable-feature=receiver-name-in-metrics",
        )
        eventually("Alertmanager answers", lambda: self.ask_alertmanager("/metrics"))

    def start_store(self) -> None:
        self._start(
            "victoria-metrics",
            f"-httpListenAddr=127.0.0.1:{self.store}",
            f"-storageDataPath={self.folder}/data",
            f"-promscrape.config={self.folder}/scrape.yaml",
            f"-relabelConfig={self.folder}/relabel.yaml",
            "-opentelemetry.usePrometheusNaming",
            "-search.latencyOffset=0s",
            "-promscrape.digitaloceanSDCheckInterval=1s",
        )
        eventually("the store answers", lambda: self.query("vector(1)"))

    def _start(self, program: str, *options: str) -> None:
        self._run(program, *bound([self.programs / program, *options]))

    def _run(self, program: str, *command: str | Path) -> None:
        with (self.folder / f"{program}.log").open("ab") as log:
            self.running[program] = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env={**os.environ, **self.environment}
            )

    def stop(self, program: str) -> None:
        process = self.running.pop(program)
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    def end(self) -> None:
        for program in reversed(list(self.running)):
            self.stop(program)
        for served in (self.droplet, self.messages, self.watchdog, self.cloud):
            served.stop()

    def query(self, expression: str) -> list[dict[str, Any]]:
        self.flush()
        found: list[dict[str, Any]] = self._ask(self.store, f"/api/v1/query?query={quote(expression)}")[
            "data"
        ]["result"]
        return found

    def state(self, alert: str) -> str | None:
        """What Alertmanager does with an alert: active, suppressed; None if it has none."""
        for one in self._ask(self.alertmanager, "/api/v2/alerts"):
            if one["labels"]["alertname"] == alert:
                return str(one["status"]["state"])
        return None

    def ask_alertmanager(self, path: str) -> str:
        return self._read(self.alertmanager, path)

    def flush(self) -> None:
        """Let queries see what was collected: new series take 10 s otherwise."""
        self._read(self.store, "/internal/force_flush")

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Hand alerts to Alertmanager, as vmalert does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.alertmanager, timeout=5)
        body, headers = json.dumps(alerts), {"Content-Type": "application/json"}
        connection.request("POST", "/api/v2/alerts", body, headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

    def _ask(self, port: int, path: str) -> Any:
        return json.loads(self._read(port, path))

    @staticmethod
    def _read(port: int, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def told(self, alert: str, status: str) -> dict[str, Any] | None:
        """The last message about an alert with this status."""
        return told(self.messages, alert, status)

    def memory_mib(self) -> Mapping[str, int]:
        """What each program has in memory now."""
        found = {}
        for program, process in self.running.items():
            text = Path(f"/proc/{process.pid}/status").read_text()
            match = re.search(r"VmRSS:\s+(\d+)", text)
            found[program] = int(match[1]) // 1024 if match else 0
        return found
