"""The way of telemetry on one machine: a droplet's listener, the receiver's nginx, and Victoria Metrics."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloud_init.observability import render_configuration
from droplet.converge.errors import CommandError
from droplet.host import make_certificate
from droplet.telemetry import nginx
from droplet.telemetry.command import Folders, Telemetry, token
from lab.debian_programs import MissingError, unpacked
from lab.processes import bound
from model.loader import load_environments
from model.plan import plan_environment
from tests.support import ENVIRONMENTS

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH')}:/usr/sbin")
VPC = "127.0.0.0/8"
SECRETS = {"app": "secret of app", "worker": "secret of worker"}
"""By group, the secret of its key."""


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def until(what: str, ask: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while True:
        last: object = None
        with contextlib.suppress(OSError):
            last = ask()
            if last:
                return last
        assert time.monotonic() < end, f"{what}: {last}"
        time.sleep(0.1)


@dataclass
class Node:
    """A droplet, as far as telemetry goes: its files, and its nginx where systemd would start it."""

    name: str
    address: str
    folder: Path
    status_bucket: Path
    receiver_port: int
    group: str
    senders: Mapping[str, str]
    port: int = field(default_factory=free_port)
    upload_port: int = field(default_factory=free_port)
    journals: Mapping[str, int] = field(default_factory=dict)
    traces: bool = False
    filter_port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    restarts: int = 0
    rclone_fails: bool = False

    def __post_init__(self) -> None:
        folders = self.folders
        for path in (folders.etc, folders.state, folders.run, folders.scratch, folders.credentials):
            path.mkdir(parents=True)
        (folders.etc / "group.json").write_text(json.dumps({"vpc_range": VPC}))
        secret = f"[store]\ntype = s3\nsecret_access_key = {SECRETS[self.group]}\n[group]\ntype = alias\n"
        (folders.etc / "rclone.conf").write_text(secret)
        (folders.run / "metrics-listen.conf").write_text(f"listen {self.address}:9360;\n")
        make_certificate(folders.etc / "tls", self.name)
        self.configure()

    def configure(self, **changes: object) -> None:
        """What Terraform writes (constructs_lib/telemetry.py)."""
        value: dict[str, object] = {
            "receivers": "presence360-staging-status-observability",
            "port": self.receiver_port,
            "bridge": {"address": "127.0.0.1", "port": self.port},
            "senders": self.senders,
            "journals": self.journals,
            "traces": self.traces,
        }
        self.folders.given.write_text(json.dumps(value | changes))

    @property
    def folders(self) -> Folders:
        at = self.folder
        return Folders(
            given=at / "telemetry.json",
            etc=at / "etc",
            state=at / "state",
            run=at / "run",
            scratch=at / "scratch",
            bodies=at / "bodies",
            sent=at / "sent",
            credentials=at / "credentials",
        )

    def once(self, **more: Any) -> bool:
        """A run of the program."""
        more = {"upload_port": self.upload_port, "filter_port": self.filter_port, **more}
        return Telemetry(self.folders, run=self._run, **more).once()

    def say(self, *, phase: str = "serving", age: float = 0, droplet: str = "412345678") -> None:
        """What converge makes of the droplet's receiver.json (droplet/converge/status.py)."""
        when = datetime.fromtimestamp(time.time() - age, UTC)
        status = {
            "name": self.name,
            "phase": phase,
            "time": f"{when:%Y-%m-%dT%H:%M:%SZ}",
            "receiver": json.loads(self.folders.said.read_text()),
        }
        self.status_bucket.mkdir(exist_ok=True)
        (self.status_bucket / f"{droplet}.json").write_text(json.dumps(status))

    @property
    def metrics(self) -> dict[str, float]:
        text = (self.folders.run / "telemetry.prom").read_text()
        lines = [line for line in text.splitlines() if line.startswith("presence360_telemetry_")]
        return {
            line.split()[0].removeprefix("presence360_telemetry_"): float(line.split()[1]) for line in lines
        }

    def _run(self, args: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        """In place of rclone and systemctl."""
        del env, timeout
        if args[0] == "/usr/bin/rclone":
            if self.rclone_fails:
                raise CommandError("rclone: no answer")
            assert args[-2] == "store:presence360-staging-status-observability/droplets"
            for old in Path(args[-1]).glob("*"):
                old.unlink()
            for path in self.status_bucket.glob("*.json"):
                shutil.copy(path, args[-1])
            return ""
        assert args == ["systemctl", "restart", "presence360-otlp.service"]
        self.restarts += 1
        self.stop()
        self.start()
        return ""

    def start(self) -> None:
        """As presence360-otlp.service does; it has come back once nginx listens."""
        folders = self.folders
        # What LoadCredential= does in presence360-otlp.service.
        given = {"nginx.conf": folders.state, "receiver.crt": folders.state}
        given |= {"droplet.crt": folders.etc / "tls", "droplet.key": folders.etc / "tls"}
        for name, source in given.items():
            shutil.copy(source / name, folders.credentials)
        command = [str(NGINX), "-e", "stderr", "-c", str(folders.credentials / "nginx.conf")]
        with (self.folder / "log").open("ab") as log:
            command += ["-g", "daemon off; user root;"]
            self.process = subprocess.Popen(bound(command), stderr=log)
        until("nginx runs", (folders.scratch / "nginx.pid").exists)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


@dataclass
class Store:
    """Victoria Metrics."""

    port: int
    process: "subprocess.Popen[bytes]"

    def get(self, path: str, **query: str) -> Any:
        # What was just received is in memory, and not yet searched.
        for name in ("/internal/force_flush", f"{path}?{urllib.parse.urlencode(query)}"):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{name}", timeout=5) as answer:
                body = answer.read()
        return json.loads(body)

    def series(self, match: str = '{__name__!=""}') -> list[dict[str, str]]:
        found = self.get("/api/v1/series", **{"match[]": match})["data"]
        return sorted(found, key=lambda labels: sorted(labels.items()))

    def value(self, query: str) -> float | None:
        found = self.get("/api/v1/query", query=query)["data"]["result"]
        return float(found[0]["value"][1]) if found else None


@pytest.fixture(scope="session")
def victoria_metrics() -> Path:
    try:
        return unpacked("victoria-metrics", programs=["victoria-metrics"]) / "victoria-metrics"
    except MissingError as why:
        pytest.skip(str(why))


def configured(name: str) -> str:
    """A file of the observability group's droplet."""
    environments = {one.file.environment: one for one in load_environments(ENVIRONMENTS)}
    plan = plan_environment(environments["staging"]).observability
    assert plan
    text: str = json.loads(render_configuration(plan))["files"][name]
    return text


@pytest.fixture
def store(victoria_metrics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "relabel.yml").write_text(configured("relabel.yaml"))
    port = free_port()
    options = {
        "httpListenAddr": f"127.0.0.1:{port}",
        "storageDataPath": str(folder / "data"),
        "opentelemetry.usePrometheusNaming": "true",
        "relabelConfig": str(folder / "relabel.yml"),
        "search.latencyOffset": "0s",
        "memory.allowedBytes": "64MB",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            bound([victoria_metrics, *(f"-{name}={value}" for name, value in options.items())]), stderr=log
        )
    found = Store(port, process)
    monkeypatch.setattr(nginx, "STORE", f"http://127.0.0.1:{port}/opentelemetry/v1/metrics")
    try:
        until("the store answers", lambda: found.series() == [])
        yield found
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Way:
    """From a droplet's listener to the receiver."""

    sender: Node
    receiver: Node

    def send(self, body: bytes = b"", path: str = "/v1/metrics") -> int:
        """Send as a service does; the status of the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.sender.port}{path}",
            data=body,
            headers={"Content-Type": "application/x-protobuf"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  it begins with http://
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    """A droplet of the group worker, and one of the observability group."""
    if NGINX is None or os.geteuid() != 0:
        pytest.skip("no nginx, or not root, whose nginx it is")
    bucket, port = tmp_path / "droplets", free_port("127.0.0.2")
    tokens = {group: token(secret) for group, secret in SECRETS.items()}
    receiver = Node("staging-app-1-3fa9c2", "127.0.0.2", tmp_path / "receiver", bucket, port, "app", tokens)
    receiver.journals = {group: free_port() for group in SECRETS}
    receiver.configure()
    sender = Node("staging-worker-1-3fa9c2", "127.0.0.3", tmp_path / "sender", bucket, port, "worker", {})
    try:
        yield Way(sender, receiver)
    finally:
        sender.stop()
        receiver.stop()


@pytest.fixture
def open_way(way: Way, store: Store) -> Way:
    """The same, as it is after two runs on each."""
    del store
    assert way.receiver.once()
    way.receiver.say()
    assert way.sender.once()
    return way
