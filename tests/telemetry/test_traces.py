"""Traces: from a request through a job to the providers, and nothing about people on the way."""

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from droplet.telemetry import nginx
from lab.processes import bound, end
from tests.support import ROOT
from tests.telemetry.conftest import Node, Way, free_port, until
from tests.telemetry.test_services import (
    NAME,
    REQUEST_ID,
    Program,
    Services,
    node_modules,
    python,
    web_front_end,
)

__all__ = ["node_modules", "python"]

PARENT = "0123456789abcdef"
SAMPLED = {"traceparent": f"00-{REQUEST_ID}-{PARENT}-01"}
"""As nginx sends it where it keeps the trace (nginx.conf.j2)."""

OTHER, UNSAMPLED = 32 * "d", 32 * "e"
"""Ids of further traces."""

PERSON, TOKEN, PHONE = "ada.lovelace@example.org", 20 * "ab1", "+233241234567"


@dataclass
class Kept:
    """What reaches the store."""

    file: Path

    @property
    def text(self) -> str:
        return self.file.read_text() if self.file.exists() else ""

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def keeps(node: Node) -> Program:
    """A droplet of an environment that keeps traces, and its filter, as presence360-traces.service starts it."""
    node.traces = True
    node.configure()
    log = node.folder / "filter.log"
    command = [sys.executable, "-m", "droplet", "traces", str(node.filter_port), str(node.upload_port)]
    with log.open("ab") as output:
        process = subprocess.Popen(bound(command), cwd=ROOT, stdout=output, stderr=output)
    program = Program(process, log, node.filter_port)
    until("it answers", lambda: program.ask("/metrics")[0] == 200)
    return program


@pytest.fixture
def traced(way: Way, kept: Kept) -> Iterator[Way]:
    """A way that takes traces."""
    del kept
    running = [keeps(node) for node in (way.sender, way.receiver)]
    assert way.receiver.once()
    way.receiver.say()
    assert way.sender.once()
    yield way
    for program in running:
        end(program.process)


@pytest.fixture
def kept(way: Way, python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    del way
    port, found = free_port(), Kept(tmp_path / "spans")
    monkeypatch.setattr(nginx, "TRACES_STORE", f"http://127.0.0.1:{port}/insert/opentelemetry/v1/traces")
    command = [str(python), str(ROOT / "tests/telemetry/span_store.py"), str(port), str(found.file)]
    with (tmp_path / "store.log").open("ab") as log:
        process = subprocess.Popen(bound(command), stderr=log)
    until("it listens", lambda: Program(process, found.file, port).ask("/")[0] == 501)
    yield found
    end(process)


@pytest.fixture
def services(python: Path, traced: Way, tmp_path: Path) -> Iterator[Services]:
    folder = tmp_path / "services"
    folder.mkdir()
    found = Services(python, traced, folder, sample_percent=1)
    yield found
    for program in found.running:
        end(program.process)


def identity(span: Mapping[str, Any], name: str) -> str:
    return base64.b64decode(span.get(name, "")).hex()


@dataclass
class Said:
    """What the services did, once for all that is asked of it: they take seconds to start and to end."""

    kept: Kept
    unsampled: str


@pytest.fixture
def said(services: Services, kept: Kept) -> Said:
    """A request that begins a job; requests and jobs with people's data; and one that is not sampled."""
    api, worker = services.api(), services.worker()
    assert api.ask("/messages?text=hello", method="POST", headers=SAMPLED)[0] == 200
    until("the job ran", lambda: f"job hello trace {REQUEST_ID}" in worker.log.read_text())
    headers = {"Authorization": f"Bearer {TOKEN}", "User-Agent": PERSON, "Cookie": f"session={TOKEN}"}
    headers["traceparent"] = SAMPLED["traceparent"].replace(REQUEST_ID, OTHER)
    for path in (f"/people/{PERSON}?phone={PHONE}", f"/{PERSON}/{TOKEN}?token={TOKEN}", "/people/broken"):
        api.ask(path, headers=headers)
    for text in (f"{PERSON}%20{PHONE}", "broken"):
        assert api.ask(f"/messages?text={text}", method="POST", headers=headers)[0] == 200
    until("both jobs ran", lambda: worker.log.read_text().count(f"trace {OTHER}") == 2)
    unsampled = SAMPLED["traceparent"].replace(REQUEST_ID, UNSAMPLED).removesuffix("01") + "00"
    trace = json.loads(api.ask("/people/a", headers={"traceparent": unsampled})[1])["trace"]
    # What is sampled is sent within seconds, and at the end of a process.
    assert services.running[0].stop() < 15
    assert worker.stop() < 15
    return Said(kept, trace)


def test_a_trace_goes_from_a_request_through_a_job_to_the_providers_and_has_nothing_of_people(
    said: Said,
) -> None:
    spans = [span for span in said.kept.spans if identity(span, "traceId") == REQUEST_ID]
    named = {span["name"]: span for span in spans}
    names = ["POST /messages", "apply_async/example.worker.send", "run/example.worker.send", "mnotify"]
    request, sent, job, mnotify = (named[name] for name in names)
    rekognition = named["rekognition SearchFacesByImage"]
    assert identity(request, "parentSpanId") == PARENT
    assert identity(sent, "parentSpanId") == identity(request, "spanId")
    assert identity(job, "parentSpanId") == identity(sent, "spanId")
    for outbound in (mnotify, rekognition):
        assert identity(outbound, "parentSpanId") == identity(job, "spanId")
    kinds = [span["kind"].removeprefix("SPAN_KIND_") for span in (request, sent, job, mnotify)]
    assert kinds == ["SERVER", "PRODUCER", "CONSUMER", "CLIENT"]

    assert request["attributes"] == {
        "http.request.method": "POST",
        "http.response.status_code": "200",
        "http.route": "/messages",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }
    assert job["attributes"]["celery.task_name"] == "example.worker.send"
    outcome = {"presence360.operation": "SearchFacesByImage", "presence360.outcome": "success"}
    assert rekognition["attributes"] == outcome
    assert {span["resource"]["service.name"] for span in (request, sent)} == {"tenant-api"}
    assert {span["resource"]["service.name"] for span in (job, mnotify)} == {"worker"}
    assert {span["resource"]["host.name"] for span in spans} == {NAME}
    # Which group it comes from, the token says.
    path = "/insert/opentelemetry/v1/traces?extra_fields=resource_attr:presence360.group=worker"
    assert {span["asked"] for span in spans} == {path}

    others = [span for span in said.kept.spans if identity(span, "traceId") == OTHER]
    assert len(others) > 8
    for word in (PERSON, TOKEN, PHONE, PHONE[1:], "ada.lovelace", "Traceback", "127.0.0.1"):
        assert said.kept.text.count(word) == 0, word
    broken = [span["status"] for span in others if span.get("status", {}).get("code") == "STATUS_CODE_ERROR"]
    assert broken
    assert [status for status in broken if set(status) != {"code"}] == []

    # A trace that is not kept has its id all the same, for log lines.
    assert said.unsampled == UNSAMPLED
    assert {identity(span, "traceId") for span in said.kept.spans} == {REQUEST_ID, OTHER}


def test_a_web_front_end_sends_its_spans(
    services: Services,
    kept: Kept,
    node_modules: Path,
    tmp_path: Path,
) -> None:
    web = web_front_end(services, node_modules, tmp_path / "web")
    headers = {**SAMPLED, "Authorization": f"Bearer {TOKEN}", "User-Agent": PERSON}
    assert web.ask(f"/{PERSON}?token={TOKEN}", headers=headers) == (200, REQUEST_ID)
    assert web.stop() < 15
    (span,) = kept.spans
    assert (span["name"], identity(span, "parentSpanId")) == ("GET", PARENT)
    assert (span["resource"]["service.name"], span["attributes"]["http.response.status_code"]) == (
        "web-tenant",
        "200",
    )
    for word in (PERSON, TOKEN):
        assert kept.text.count(word) == 0, word


def message(**changes: bytes) -> bytes:
    """A request of one span, with a name that says who."""
    span = _field(1, bytes(16)) + _field(2, bytes(8)) + _field(5, changes.get("name", b"GET"))
    span += changes.get("more", b"")
    return _field(1, _field(2, _field(2, span)))


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def counted(way: Way) -> dict[str, int]:
    text = Program(None, Path(), way.sender.filter_port).ask("/metrics")[1]  # type: ignore[arg-type]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.split('"')[1]: int(line.split()[1]) for line in lines}


def test_what_became_of_spans_is_counted(traced: Way, kept: Kept) -> None:
    assert traced.send(message(), "/v1/traces") == 200
    assert traced.send(message()[:-1], "/v1/traces") == 400
    assert counted(traced) == {"forwarded": 1, "malformed": 1, "store": 0}
    assert traced.sender.once()
    text = (traced.sender.folders.run / "telemetry.prom").read_text()
    assert text.count('presence360_traces_spans_total{outcome="forwarded"} 1\n') == 1
    assert len(kept.spans) == 1


@pytest.mark.parametrize("text", [PERSON, TOKEN, PHONE])
def test_a_name_that_a_service_makes_of_a_person_is_masked(traced: Way, kept: Kept, text: str) -> None:
    assert traced.send(message(name=f"GET {text} x".encode()), "/v1/traces") == 200
    assert [span["name"] for span in kept.spans] == ["GET * x"]


def test_a_store_that_is_away_harms_no_service(traced: Way) -> None:
    assert traced.send(message(), "/v1/traces") == 200
    traced.receiver.stop()
    assert traced.send(message(), "/v1/traces") == 200
    assert counted(traced) == {"forwarded": 1, "malformed": 0, "store": 1}


def test_packed_messages_are_read_and_bombs_are_not(traced: Way, kept: Kept) -> None:
    def send(body: bytes, encoding: str = "gzip") -> int:
        url = f"http://127.0.0.1:{traced.sender.port}/v1/traces"
        request = urllib.request.Request(url, data=body, headers={"Content-Encoding": encoding})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  it begins with http://
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert send(gzip.compress(message())) == 200
    assert send(gzip.compress(bytes(64 * 2**20))) == 400
    assert send(b"not gzip") == 400
    assert send(message(), "br") == 400
    assert send(bytes(5 * 2**20), "identity") == 413
    assert len(kept.spans) == 1


def test_without_a_token_nothing_is_kept(traced: Way, kept: Kept) -> None:
    url = f"https://127.0.0.2:{traced.receiver.receiver_port}/v1/traces"
    command = ["curl", "--silent", "--insecure", "--data-binary", "x", url, "--output", "/dev/null"]
    command += ["--write-out", "%{http_code}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "401"
    assert kept.spans == []


STORE = os.environ.get("VICTORIA_TRACES") or shutil.which("victoria-traces")


@pytest.mark.skipif(not STORE, reason="no victoria-traces in PATH, and VICTORIA_TRACES names none")
def test_victoria_traces_finds_a_trace_by_its_id(
    way: Way,
    python: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setattr(nginx, "TRACES_STORE", f"http://127.0.0.1:{port}/insert/opentelemetry/v1/traces")
    options = [
        f"-storageDataPath={tmp_path / 'traces'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=7d",
    ]
    options += ["-retention.maxDiskSpaceUsageBytes=2GiB", "-storage.minFreeDiskSpaceBytes=512MiB"]
    with (tmp_path / "victoria.log").open("ab") as log:
        process = subprocess.Popen(bound([str(STORE), *options, "-memory.allowedBytes=128MiB"]), stderr=log)
    running = [keeps(node) for node in (way.sender, way.receiver)]
    services = Services(python, way, tmp_path / "services", sample_percent=1)
    services.folder.mkdir()
    try:
        until("it answers", lambda: Program(process, tmp_path, port).ask("/health")[0] == 200)
        assert way.receiver.once()
        way.receiver.say()
        assert way.sender.once()
        api = services.api()
        assert api.ask("/people/a", headers=SAMPLED)[0] == 200
        assert api.stop() < 15

        def found() -> list[dict[str, Any]]:
            status, body = Program(process, tmp_path, port).ask(f"/select/jaeger/api/traces/{REQUEST_ID}")
            assert status == 200, body
            return [span for trace in json.loads(body)["data"] or [] for span in trace["spans"]]

        spans = until("it is found", found)
        assert "GET /people/{person}" in {span["operationName"] for span in spans}
    finally:
        for program in (*services.running, *running):
            end(program.process)
        end(process)
