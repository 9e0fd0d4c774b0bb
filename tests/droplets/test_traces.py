"""Traces on booted droplets: begun in nginx, carried by real services into a job and out to the providers, and kept."""

import base64
import dataclasses
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.droplets.conftest import DOMAIN, Laboratory, release_digest
from tests.droplets.laboratory import eventually
from tests.droplets.span_stores import SpanStore, span_store
from tests.droplets.test_telemetry import listens, pinned, send
from tests.telemetry.test_services import python

if TYPE_CHECKING:
    from tests.droplets.real_services import RealServices

__all__ = ["python"]

PERSON, NAME, PHONE, TOKEN = "ada.lovelace@example.org", "Ada Lovelace", "+233241234567", 20 * "ab1"
API, CONTROL, WEB = f"api.{DOMAIN}", f"cp.{DOMAIN}", f"grace.{DOMAIN}"
FORGED = {"traceparent": f"00-{32 * 'f'}-{16 * 'f'}-01", "tracestate": "client=1", "baggage": f"who={PERSON}"}
"""What a client may send, and nginx drops."""


@pytest.fixture(scope="module")
def store(
    laboratory: Laboratory, python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SpanStore]:
    droplet, receiver = laboratory.droplets
    pinned(droplet, receiver)
    eventually("it listens", 60, partial(listens, droplet))
    with span_store(laboratory, python, tmp_path_factory.mktemp("spans")) as running:
        yield running


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 16384
    return bytes([number << 3 | 2, len(content) & 127 | 128, len(content) >> 7]) + content


def attribute(key: str, value: bytes) -> bytes:
    return field(1, key.encode()) + field(2, field(1, value))


def test_a_trace_begins_in_nginx_and_is_kept_without_what_may_be_about_people(
    laboratory: Laboratory, store: SpanStore
) -> None:
    """The short one: a span that is written by hand, from the stand-in of a service."""
    droplet = laboratory.droplet
    answer = droplet.ask(API, "/people", headers=FORGED)
    version, trace, parent, flags = answer.json["headers"]["traceparent"].split("-")
    assert (version, trace, flags) == ("00", answer.json["headers"]["X-Request-ID"], "01")
    span = b"".join(
        (
            field(1, bytes.fromhex(trace)),
            field(2, bytes.fromhex("00" * 7 + "01")),
            field(4, bytes.fromhex(parent)),
            field(5, b"GET /people"),
            b"\x30\x02\x39" + time.time_ns().to_bytes(8, "little"),
            b"\x41" + (time.time_ns() + 10**6).to_bytes(8, "little"),
            field(9, attribute("http.route", b"/people")),
            field(9, attribute("url.query", b"email=" + PERSON.encode())),
        )
    )
    resource = field(1, attribute("service.name", b"tenant-api"))
    resource += field(1, attribute("process.owner", PERSON.encode()))
    message = field(1, field(1, resource) + field(2, field(2, span)))

    def sent() -> bool:
        assert send(droplet, "traces", message)[0] == 200
        return any('outcome="forwarded"' in name and value for name, value in droplet.metrics.items())

    eventually("it is handed on", 60, sent, pause=3)
    (found,) = store.named(trace, "GET /people")
    assert (found.parent, found.attributes, found.group) == (parent, {"http.route": "/people"}, "app")
    assert PERSON not in found.text


@pytest.mark.nightly("droplets")
class TestServices:
    """lab/services, with the SDKs and as docs/telemetry.md tells teams to use them."""

    def test_a_request_its_job_and_what_that_asks_are_one_trace(
        self, services: "RealServices", store: SpanStore
    ) -> None:
        trace = arrive(services)
        request, sent, job, rekognition, mnotify = store.named(
            trace,
            "POST /tenants/{tenant}/arrivals",
            "apply_async/church.tasks.greet",
            "run/church.tasks.greet",
            "rekognition SearchFacesByImage",
            "mnotify",
        )
        # By nginx, then each by the one before it; the worker asks both.
        assert request.parent == trace[:16]
        assert [sent.parent, job.parent] == [request.id, sent.id]
        assert [rekognition.parent, mnotify.parent] == [job.id, job.id]
        spans = (request, sent, job, rekognition, mnotify)
        assert [span.kind for span in spans] == ["server", "producer", "consumer", "client", "client"]
        assert [span.service for span in spans] == ["tenant-api", "tenant-api", "worker", "worker", "worker"]
        tenant = {"presence360.tenant": services.tenant.id}
        assert request.attributes == {
            "http.request.method": "POST",
            "http.response.status_code": "202",
            "http.route": "/tenants/{tenant}/arrivals",
            "url.scheme": "https",
            "network.protocol.version": "1.1",
            **tenant,
        }
        task = {"celery.task_name": "church.tasks.greet"}
        assert sent.attributes == {"celery.action": "apply_async", **task}
        assert job.attributes == {"celery.action": "run", "celery.state": "SUCCESS", **task, **tenant}
        success = {"presence360.outcome": "success"}
        assert rekognition.attributes == {"presence360.operation": "SearchFacesByImage", **success}
        assert mnotify.attributes == success
        for span in spans:
            assert (span.group, span.failed) == ("app", False)
            assert span.resource["host.name"] == services.droplet.name
            assert span.resource["deployment.environment.name"] == "staging"
        # Both were asked, with what they need, and the trace ends where our services end.
        (face, message) = services.providers.asked[-2:]
        assert face.headers["x-amz-target"] == "RekognitionService.SearchFacesByImage"
        assert message.body["recipient"] == [PHONE]
        for asked in (face, message):
            assert asked.headers.keys() & {"traceparent", "tracestate", "baggage"} == set()
        # The same id finds the lines.
        found = {"request_id": trace, "tenant": services.tenant.id}
        assert services.said("tenant-api", "request", **found)
        assert services.said("worker", "faces were looked for", **found)

    def test_a_page_and_the_control_plane_have_traces(
        self, services: "RealServices", store: SpanStore
    ) -> None:
        _, trace = services.ask(WEB, "/", headers=FORGED)
        # Node's server, whose durations are measured, and below it what Next.js itself says.
        outer, inner, drawn = store.named(trace, "GET", "GET /", "render route (app) /")
        assert (outer.parent, inner.parent, outer.kind) == (trace[:16], outer.id, "server")
        assert drawn.parent == inner.id
        assert outer.attributes["http.response.status_code"] == "200"
        assert {outer.service, inner.service} == {"web-tenant"}
        (line,) = services.said("web-tenant", "page", request_id=trace)
        assert line["tenant"] == "grace"
        _, trace = services.ask(CONTROL, "/database", headers=FORGED)
        (span,) = store.named(trace, "GET /database")
        assert (span.parent, span.service) == (trace[:16], "control-plane-api")

    def test_what_went_wrong_shows_and_its_words_do_not(
        self, services: "RealServices", store: SpanStore
    ) -> None:
        services.providers.throttled = True
        try:
            trace = arrive(services)
            job, asked = store.named(trace, "run/church.tasks.greet", "rekognition SearchFacesByImage")
        finally:
            services.providers.throttled = False
        assert (asked.failed, asked.attributes["presence360.outcome"]) == (True, "throttled")
        assert (job.failed, job.attributes["celery.state"]) == (True, "FAILURE")
        services.providers.refuses = True
        try:
            trace = arrive(services)
            (asked,) = store.named(trace, "mnotify")
        finally:
            services.providers.refuses = False
        assert (asked.failed, asked.attributes["presence360.outcome"]) == (True, "rejected")

    def test_spans_have_nothing_of_people_and_no_secret(
        self, services: "RealServices", store: SpanStore
    ) -> None:
        headers = {
            **FORGED,
            "Authorization": f"Bearer {TOKEN}",
            "Cookie": f"session={TOKEN}",
            "Referer": f"https://example.org/?email={PERSON}",
        }
        query = f"?email={PERSON}&token={TOKEN}&name={NAME.replace(' ', '+')}&phone={PHONE[1:]}"
        traces = {arrive(services, query, **headers)}
        people = f"/tenants/{services.tenant.id}/people"
        body = json.dumps({"nome": NAME, "email": PERSON}).encode()
        for host, path, sent in (
            (API, f"{people}{query}", None),
            # Which is refused: the next file counts the church's people.
            (API, f"{people}{query}", body),
            (API, f"/invitations/{PERSON}/{PHONE}{query}", None),
            (WEB, f"/invitations/{PERSON}{query}", None),
            (WEB, f"/sermons{query}", None),
            (CONTROL, f"/database{query}", None),
        ):
            more = {"Content-Type": "application/json"} if sent else {}
            traces.add(services.ask(host, path, headers=headers | more, body=sent)[1])

        def all_kept() -> bool:
            return {span.trace for span in store.spans(*traces)} == traces

        eventually("each is kept", 60, all_kept, pause=2)
        # Those that end last: what is sent is sent within 5 s.
        time.sleep(6)
        text = "".join(span.text for span in store.spans(*traces))
        assert text.count("tenant-api") >= 3
        words = (PERSON, "ada.lovelace", "Lovelace", PHONE[1:], TOKEN, "email", "Bearer")
        for word in (*words, *services.secrets):
            assert text.count(word) == 0, word
        assert store.spans(32 * "f") == []

    def test_as_many_are_kept_as_the_file_says(self, services: "RealServices", store: SpanStore) -> None:
        """Half of them; 100 fair coins show fewer than 20 or more than 80 heads once in a thousand million times."""
        configuration, droplet = services.laboratory.configuration, services.droplet
        plan, before = configuration.plan, configuration.objects()
        assert plan.telemetry
        telemetry = dataclasses.replace(plan.telemetry, sample_percent=50)
        configuration.plan = dataclasses.replace(plan, telemetry=telemetry)
        half = {**before, "nginx.conf": configuration.objects()["nginx.conf"]}
        configuration.plan = plan
        assert half != before
        mark = secrets.token_hex(4)

        def publish(objects: Mapping[str, str]) -> None:
            """Nginx's configuration alone, which restarts no service."""
            configuration.change(put={"nginx.conf": objects["nginx.conf"]})
            release = f'presence360_release_info{{digest="{release_digest(objects)}"}}'
            eventually("nginx has it", 90, lambda: release in droplet.metrics)

        try:
            publish(half)
            for _ in range(100):
                assert droplet.ask(API, "/nowhere", headers={"User-Agent": mark}).status == 404

            def logged() -> list[str]:
                lines = droplet.sh(f"grep {mark} /var/log/nginx/access.log", check=False).splitlines()
                return [json.loads(line)["request_id"] for line in lines]

            eventually("nginx logs all", 10, lambda: len(logged()) == 100)
            requests = logged()

            def kept() -> int:
                return len({span.trace for span in store.spans(*requests)})

            eventually("some are kept", 60, lambda: kept() >= 20, pause=2)
            time.sleep(6)
            assert kept() <= 80
            # What is not kept has its id all the same.
            lines = {line["request_id"] for line in services.said("tenant-api", "request")}
            assert set(requests) <= lines
        finally:
            publish(before)


def arrive(services: "RealServices", query: str = "", **headers: str) -> str:
    """Somebody stands before a church's camera; return the request's id, once the worker asked Rekognition."""
    body = {"picture": base64.b64encode(PERSON.encode()).decode(), "phone": PHONE}
    before = len(services.providers.asked)
    answer, request = services.ask(
        API,
        f"/tenants/{services.tenant.id}/arrivals{query}",
        headers={**FORGED, "Content-Type": "application/json", **headers},
        body=json.dumps(body).encode(),
    )
    assert answer.status == 202, answer
    eventually("Rekognition is asked", 40, lambda: len(services.providers.asked) > before)
    return request
