"""The metrics of containers: Docker answers as its documentation says, and folders look like the kernel's."""

import json
import os
import socketserver
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from droplet.exporter.cgroups import Usage, usage
from droplet.exporter.command import Exporter
from droplet.exporter.docker import Docker, DockerError

SERVICE = "app.presence360.service"


def container(service: str, pid: int = 0, *, restarts: int = 0, memory: int = 2**29) -> dict[str, Any]:
    """What Docker says of a container (Engine API, "Inspect a container")."""
    started = "2026-11-26T09:02:10.123456789Z" if pid else "0001-01-01T00:00:00Z"
    return {
        "Config": {"Labels": {SERVICE: service}},
        "State": {"Running": pid > 0, "Pid": pid, "StartedAt": started},
        "HostConfig": {"Memory": memory},
        "RestartCount": restarts,
    }


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Docker's side."""

    daemon_threads = True
    containers: dict[str, dict[str, Any]]
    events: list[str]
    gone: set[str]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        self.server.asked.append(url.path)
        filters = json.loads(dict(urllib.parse.parse_qsl(url.query)).get("filters", "{}"))
        if url.path == "/v1.41/containers/json":
            assert filters == {"label": [SERVICE]}
            return self._say(200, [{"Id": one} for one in self.server.containers])
        if url.path == "/v1.41/events":
            assert filters == {"type": ["container"], "event": ["oom"], "label": [SERVICE]}
            attributes = [{"Actor": {"Attributes": {SERVICE: service}}} for service in self.server.events]
            return self._say(200, *attributes)
        name = url.path.split("/")[3]
        if name in self.server.gone:
            return self._say(404, {"message": "No such container"})
        return self._say(200, self.server.containers[name])

    def _say(self, status: int, *values: object) -> None:
        body = "".join(f"{json.dumps(value)}\n" for value in values).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "docker"

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    server = Engine(str(tmp_path / "docker.sock"), Handler)
    server.containers, server.events, server.gone, server.asked = {}, [], set(), []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def exporter(engine: Engine, tmp_path: Path) -> Exporter:
    del engine
    used = {11: Usage(100, 1.5, 7), 12: Usage()}
    return Exporter(
        Docker(tmp_path / "docker.sock"),
        tmp_path / "containers.prom",
        tmp_path / "reboot-required",
        used=lambda pid: used[pid],
        clock=lambda: 1_000_000_000.7,
    )


def samples(exporter: Exporter) -> dict[str, float]:
    lines = exporter.output.read_text().splitlines()
    return {
        line.rsplit(" ", 1)[0].removeprefix("presence360_"): float(line.rsplit(" ", 1)[1])
        for line in lines
        if not line.startswith("#")
    }


def test_each_service_has_what_it_uses_and_what_it_may(engine: Engine, exporter: Exporter) -> None:
    engine.containers = {
        "a1": container("tenant-api", 11, restarts=2),
        "b2": container("web-tenant", 12, memory=0),
        "c3": container("worker"),
        "d4": container("gone"),
    }
    # Removed between the list and the question.
    engine.gone = {"d4"}
    exporter.look()
    assert samples(exporter) == {
        'container_running{service="tenant-api"}': 1,
        'container_running{service="web-tenant"}': 1,
        'container_running{service="worker"}': 0,
        'container_memory_bytes{service="tenant-api"}': 100,
        'container_memory_limit_bytes{service="tenant-api"}': 2**29,
        'container_memory_limit_bytes{service="worker"}': 2**29,
        'container_cpu_seconds_total{service="tenant-api"}': 1.5,
        'container_processes{service="tenant-api"}': 7,
        'container_restarts_total{service="tenant-api"}': 2,
        'container_restarts_total{service="web-tenant"}': 0,
        'container_restarts_total{service="worker"}': 0,
        'container_oom_kills_total{service="tenant-api"}': 0,
        'container_oom_kills_total{service="web-tenant"}': 0,
        'container_oom_kills_total{service="worker"}': 0,
        'container_start_time_seconds{service="tenant-api"}': 1795683730,
        'container_start_time_seconds{service="web-tenant"}': 1795683730,
        "reboot_required": 0,
        "exporter_docker_up": 1,
        "exporter_timestamp_seconds": 1_000_000_001,
    }


def test_what_the_kernel_killed_is_counted_although_the_container_runs_again(
    engine: Engine, exporter: Exporter
) -> None:
    engine.containers = {"a1": container("worker", 11)}
    engine.events = ["worker", "worker", "tenant-api"]
    exporter.listen()
    exporter.look()
    found = samples(exporter)
    assert found['container_oom_kills_total{service="worker"}'] == 2
    # One that has no container any more keeps its count.
    assert found['container_oom_kills_total{service="tenant-api"}'] == 1


def test_a_docker_that_is_silent_leaves_no_old_numbers(
    engine: Engine, exporter: Exporter, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.containers = {"a1": container("worker", 11)}
    exporter.look()
    exporter.docker.path.unlink()
    exporter.look()
    exporter.look()
    found = samples(exporter)
    assert set(found) == {"reboot_required", "exporter_docker_up", "exporter_timestamp_seconds"}
    assert found["exporter_docker_up"] == 0
    # Said once, not every quarter of a minute.
    assert capsys.readouterr().out.count("<4>Docker: FileNotFoundError") == 1
    with pytest.raises(DockerError, match="Docker's events: FileNotFoundError"):
        exporter.listen()


@pytest.mark.parametrize("spoilt", [{"State": {}}, {"Config": {"Labels": None}}, {"RestartCount": "many"}])
def test_an_answer_in_another_form_is_an_error_and_no_traceback(
    engine: Engine, exporter: Exporter, spoilt: dict[str, Any]
) -> None:
    engine.containers = {"a1": {**container("worker", 11), **spoilt}}
    exporter.look()
    assert samples(exporter)["exporter_docker_up"] == 0


def test_a_reboot_that_an_upgrade_waits_for_shows(exporter: Exporter) -> None:
    exporter.reboot_required.touch()
    exporter.look()
    assert samples(exporter)["reboot_required"] == 1


def test_the_file_is_whole_at_every_moment(engine: Engine, exporter: Exporter) -> None:
    engine.containers = {"a1": container("worker", 11)}
    exporter.look()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            exporter.look()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert exporter.output.read_text().endswith("\n")
            assert "exporter_timestamp_seconds" in exporter.output.read_text()
    finally:
        stop.set()
        writer.join()
    assert [path.name for path in exporter.output.parent.glob("*.prom")] == ["containers.prom"]


class TestUsage:
    def group(self, tmp_path: Path, **files: str) -> None:
        (tmp_path / "proc/11").mkdir(parents=True)
        (tmp_path / "proc/11/cgroup").write_text("4:memory:/old\n0::/system.slice/docker-abc.scope\n")
        folder = tmp_path / "cgroup/system.slice/docker-abc.scope"
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name.replace("_", ".", 1)).write_text(text)

    def used(self, tmp_path: Path) -> Usage:
        return usage(11, proc=tmp_path / "proc", root=tmp_path / "cgroup")

    def test_is_read_from_the_group_of_the_process(self, tmp_path: Path) -> None:
        self.group(
            tmp_path,
            memory_current="300\n",
            memory_stat="anon 100\nfile 200\ninactive_file 120\n",
            cpu_stat="usage_usec 2500000\nuser_usec 1\n",
            pids_current="9\n",
        )
        assert self.used(tmp_path) == Usage(memory=180, cpu_seconds=2.5, processes=9)

    def test_is_unknown_where_the_kernel_does_not_count(self, tmp_path: Path) -> None:
        self.group(tmp_path, cpu_stat="usage_usec 1000000\n")
        assert self.used(tmp_path) == Usage(memory=None, cpu_seconds=1.0, processes=None)

    def test_is_unknown_of_a_process_that_ended(self, tmp_path: Path) -> None:
        assert self.used(tmp_path) == Usage()

    def test_of_this_process_is_what_this_kernel_says(self) -> None:
        """On a machine with version 2 alone; elsewhere the group of version 2 has few files."""
        found = usage(os.getpid())
        if found.cpu_seconds is None:
            pytest.skip("this kernel counts nothing in control groups of version 2")
        assert found.cpu_seconds > 0
