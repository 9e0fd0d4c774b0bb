"""nginx with a droplet's configuration writes its log, and Debian 13's mtail counts it with a droplet's program."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloud_init.nginx import render_nginx
from cloud_init.requests_log import STATUS_CLASSES, render_requests
from lab.debian_programs import MissingError, unpacked
from lab.processes import bound
from model.droplets import DropletGroupPlan
from model.loader import load_environments
from model.plan import plan_environment
from model.services import CATALOGUE
from model.telemetry import DURATION_BUCKETS, MAX_TENANTS
from tests.support import ENVIRONMENTS, ROOT

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH')}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    NGINX is None or not Path("/etc/nginx/mime.types").exists(), reason="nginx is not installed"
)


@pytest.fixture(scope="module")
def plan() -> DropletGroupPlan:
    """Staging's public group."""
    environments = {found.file.environment: found for found in load_environments(ENVIRONMENTS)}
    return next(group for group in plan_environment(environments["staging"]).groups if group.placement.public)


@pytest.fixture(scope="module")
def mtail() -> Path:
    try:
        return unpacked("mtail", programs=["mtail"]) / "mtail"
    except MissingError as why:
        pytest.skip(str(why))


class Service(BaseHTTPRequestHandler):
    """Answers with the status that the path names, and with metrics."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        named = re.search(r"/status/(\d+)", self.path)
        status = int(named[1]) if named else 200
        if self.path == "/metrics" and self.server.server_port != self.server.metrics_port:  # type: ignore[attr-defined]
            status = 404
        body = b"" if status == 101 else b"own_metric 1\n"
        self.send_response(status)
        if status == 101:
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = status == 101

    def log_message(self, *args: object) -> None:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Droplet:
    """A droplet's nginx on loopback, in plain HTTP, with services behind it."""

    def __init__(self, plan: DropletGroupPlan, folder: Path) -> None:
        self.folder, self.port, self.metrics_port = folder, free_port(), free_port()
        self.services: dict[str, ThreadingHTTPServer] = {}
        text = render_nginx(plan)
        for service in plan.placement.services:
            if service.host_port is None:
                continue
            server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
            self.services[service.name] = server
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            text = text.replace(f"127.0.0.1:{service.host_port}", f"127.0.0.1:{server.server_port}")
        for server in self.services.values():
            server.metrics_port = self.services["tenant-api"].server_port  # type: ignore[attr-defined]
        self.addresses = {name: f"127.0.0.1:{server.server_port}" for name, server in self.services.items()}
        (folder / "tenants").mkdir()
        (folder / "tenants/grace").touch()
        for before, after in (
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port}"),
            ("include /run/presence360/metrics-listen.conf;", f"listen 127.0.0.1:{self.metrics_port};"),
            ("listen 127.0.0.1:9362;", f"listen 127.0.0.1:{free_port()};"),
            ("/var/log/nginx", str(folder)),
            ("/run/nginx.pid", str(folder / "nginx.pid")),
            ("/var/lib/presence360/tenants", str(folder / "tenants")),
            ("user www-data;", ""),
        ):
            assert before in text
            text = text.replace(before, after)
        text = re.sub(r"\n *ssl_[^;]*;", "", text)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        # The folder is this user's: workers of another could not write there.
        command = [str(NGINX), "-c", str(folder / "nginx.conf"), "-g", "daemon off; user root;"]
        with (folder / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(bound(command), stderr=stderr)

    def ask(self, host: str, path: str, headers: Mapping[str, str] | None = None) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path, headers={"Host": host, **(headers or {})})
            response = connection.getresponse()
            if response.status != 101:
                response.read()
            return response.status

    def metrics(self, path: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=5)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def take_away(self, service: str) -> None:
        server = self.services.pop(service)
        server.shutdown()
        server.server_close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        for service in list(self.services):
            self.take_away(service)


def until(ask: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if ask():
                return
        except OSError:
            pass
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def droplet(plan: DropletGroupPlan, tmp_path: Path) -> Iterator[Droplet]:
    folder = tmp_path / "droplet"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("nginx's workers of another user cannot write where a test may")
    found = Droplet(plan, folder)
    until(lambda: found.metrics("/none")[0] == 404)
    yield found
    found.stop()


def counted(mtail: Path, program: Path, log: Path) -> dict[str, float]:
    """What mtail says of a whole log."""
    options = "--one_shot --one_shot_format=prometheus --logtostderr --emit_prog_label=false --port=0"
    command = [str(mtail), *options.split(), "--address=127.0.0.1", f"--progs={program}", f"--logs={log}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def requests(found: Mapping[str, float]) -> dict[tuple[str, str, str], float]:
    pattern = re.compile(r'presence360_http_requests_total\{host="(.*)",service="(.*)",status_class="(.*)"\}')
    matches = [(pattern.fullmatch(name), value) for name, value in found.items()]
    return {(match[1], match[2], match[3]): value for match, value in matches if match}


def test_requests_are_counted_by_service_name_and_class(
    plan: DropletGroupPlan, droplet: Droplet, mtail: Path, tmp_path: Path
) -> None:
    domain = plan.base_domain
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    forged = '","status":"500","host":"api.' + domain + '","upstream":"","tenant":"forged","x":"'
    for host, path, headers in (
        (f"api.{domain}", "/people", {}),
        (f"api.{domain}", "/status/500", {}),
        (f"api.{domain}", "/status/404", {"User-Agent": forged, "Referer": forged}),
        (domain, "/", {}),
        (f"admin.{domain}", "/%22,%22status%22:%22500%22,", {}),
        (f"grace.{domain}", "/a", {}),
        (f"grace.{domain}", "/status/101", upgrade),
        (f"invented.{domain}", "/", {}),
        # Nobody lets a stranger read a service's metrics.
        (f"cp.{domain}", "/metrics", {}),
    ):
        droplet.ask(host, path, headers)
    until(lambda: (droplet.folder / "access.log").read_text().count("\n") == 9)
    program = tmp_path / "requests.mtail"
    program.write_text(render_requests(plan), encoding="utf-8")
    found = counted(mtail, program, droplet.folder / "access.log")
    assert requests(found) == {
        ("api", "tenant-api", "2xx"): 1,
        ("api", "tenant-api", "5xx"): 1,
        ("api", "tenant-api", "4xx"): 1,
        ("@", "web-tenant", "2xx"): 1,
        ("admin", "web-control-plane", "2xx"): 1,
        ("*", "web-tenant", "2xx"): 1,
        ("*", "web-tenant", "1xx"): 1,
        # What nginx answers itself is no fault of a service.
        ("*", "nginx", "4xx"): 1,
        ("cp", "nginx", "4xx"): 1,
    }
    tenants = {name: value for name, value in found.items() if "tenant_requests" in name}
    assert tenants == {
        'presence360_tenant_requests_total{status_class="1xx",tenant="grace"}': 1,
        'presence360_tenant_requests_total{status_class="2xx",tenant="grace"}': 1,
    }
    histogram = "presence360_http_request_duration_seconds"
    counts = {name: value for name, value in found.items() if name.startswith(f"{histogram}_count")}
    assert counts == {
        f'{histogram}_count{{service="tenant-api"}}': 3,
        f'{histogram}_count{{service="web-control-plane"}}': 1,
        # Not the WebSocket.
        f'{histogram}_count{{service="web-tenant"}}': 2,
    }
    buckets = re.findall(r'_bucket\{service="tenant-api",le="([^"]*)"\}', "\n".join(found))
    assert [float(bound) for bound in buckets] == [*DURATION_BUCKETS, float("inf")]


def test_a_service_that_is_not_there_is_its_own_fault(
    plan: DropletGroupPlan, droplet: Droplet, mtail: Path, tmp_path: Path
) -> None:
    droplet.take_away("control-plane-api")
    assert droplet.ask(f"cp.{plan.base_domain}", "/") == 502
    log = droplet.folder / "access.log"
    until(lambda: log.read_text().endswith("\n"))
    program = tmp_path / "requests.mtail"
    program.write_text(render_requests(plan), encoding="utf-8")
    assert requests(counted(mtail, program, log)) == {("cp", "control-plane-api", "5xx"): 1}


def test_a_services_metrics_are_on_no_public_name(plan: DropletGroupPlan, droplet: Droplet) -> None:
    for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics", "/a/../metrics", "/metrics/x"):
        for name in ("api", "app", "admin", "grace"):
            assert droplet.ask(f"{name}.{plan.base_domain}", path) == 404
    # A longer word is the service's.
    assert droplet.ask(f"app.{plan.base_domain}", "/metricsystem") == 200


def test_a_services_own_metrics_are_on_the_private_port(droplet: Droplet) -> None:
    assert droplet.metrics("/metrics/services/tenant-api") == (200, "own_metric 1\n")
    # One that answers 404 there has none; one that does not answer is missed.
    assert droplet.metrics("/metrics/services/control-plane-api") == (200, "")
    droplet.take_away("control-plane-api")
    assert droplet.metrics("/metrics/services/control-plane-api")[0] == 502
    # Not in the catalogue, so not asked: a page of Next.js is no metrics.
    assert CATALOGUE["web-tenant"].metrics_path is None
    assert droplet.metrics("/metrics/services/web-tenant")[0] == 404


LINE = (
    '{{"time":"2026-11-26T10:00:00+00:00","request_id":"{number:032x}","remote":"203.0.113.77","host":"{tenant}.x",'
    '"tenant":"{tenant}","method":"GET","path":"/","protocol":"HTTP/1.1","status":"{status}","bytes":1,'
    '"seconds":0.2,"upstream":"127.0.0.1:18002","upstream_status":"{status}","upstream_seconds":"0.100"}}\n'
)


def ask_for(churches: int, log: Path) -> None:
    """Requests to churches' names, of four classes each."""
    with log.open("a") as file:
        for number in range(churches):
            for status in (200, 302, 404, 500):
                file.write(LINE.format(number=number, tenant=f"church-{number}", status=status))


def test_series_are_as_many_as_docs_telemetry_says(
    plan: DropletGroupPlan, mtail: Path, tmp_path: Path
) -> None:
    log, program = tmp_path / "access.log", tmp_path / "requests.mtail"
    program.write_text(render_requests(plan), encoding="utf-8")
    ask_for(1000, log)
    found = counted(mtail, program, log)
    by_church = [name for name in found if name.startswith("presence360_tenant_requests_total")]
    assert len(by_church) == 4000
    # The others do not grow.
    assert len(found) - len(by_church) < 200
    page = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
    assert "4,000 for each public droplet: 1,000 by four classes" in page
    assert f"mtail keeps at most {MAX_TENANTS:,} churches" in " ".join(page.split())


def test_more_churches_than_that_are_forgotten_again(
    plan: DropletGroupPlan, mtail: Path, tmp_path: Path
) -> None:
    """Where nginx does not know the churches yet, anybody's invention counts as one."""
    log, program, port = tmp_path / "access.log", tmp_path / "requests.mtail", free_port()
    # A smaller limit: mtail looks for the oldest one by one.
    text, limit = render_requests(plan), f"limit {MAX_TENANTS * STATUS_CLASSES}\n"
    assert text.count(limit) == 1
    program.write_text(text.replace(limit, "limit 500\n"), encoding="utf-8")
    log.touch()
    options = [
        "--logtostderr",
        "--address=127.0.0.1",
        "--expired_metrics_gc_interval=1s",
        "--poll_interval=50ms",
    ]
    command = [str(mtail), *options, f"--port={port}", f"--progs={program}", f"--logs={log}"]

    def shown() -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/metrics")
            return "\n" + connection.getresponse().read().decode()

    def series() -> int:
        return shown().count("\npresence360_tenant_requests_total{")

    def seen() -> int:
        return sum(map(int, re.findall(r"\npresence360_http_requests_total\{.*\} (\d+)", shown())))

    with (tmp_path / "log").open("wb") as stderr:
        process = subprocess.Popen(bound(command), stderr=stderr)
    try:
        until(lambda: seen() == 0)
        time.sleep(0.5)
        ask_for(200, log)
        until(lambda: seen() == 800)
        until(lambda: series() == 500)
    finally:
        process.terminate()
        process.wait(10)
