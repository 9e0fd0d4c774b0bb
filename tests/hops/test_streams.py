"""Answers that come in pieces, large ones, large bodies, and WebSockets through a reload."""

import json
import time
import zlib
from http.client import HTTPConnection
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from cloud_init.nginx import ANSWER_FILE_MIB, MAX_BODY_MIB
from model.droplets import DropletGroupPlan
from tests.hops.site import API, APP, Site, running, service, until

pytestmark = pytest.mark.slow


def _moments(site: Site, host: str, path: str, **headers: str) -> tuple[list[float], bytes, str]:
    """Return when pieces arrived, in seconds, and all of them."""
    connection = site.connect(host)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    began = time.monotonic()
    connection.request("GET", path, headers={"Host": host, **sent})
    response = connection.getresponse()
    moments, content = [], b""
    while piece := response.read1():
        moments.append(time.monotonic() - began)
        content += piece
    connection.close()
    return moments, content, response.headers.get("Content-Encoding", "")


def _as_written(moments: list[float]) -> bool:
    """Tell whether the first piece came long before the last, which is written a second later."""
    return moments[-1] - moments[0] > 0.5


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        # As a browser's EventSource asks (HTML, "Server-sent events").
        ("/stream", {"Accept": "text/event-stream"}),
        # As FastAPI marks them by itself.
        ("/events", {}),
        # As a service marks others.
        ("/stream?kind=application/x-ndjson&mark=no", {}),
        ("/stream?kind=application/json&mark=no", {"Accept_Encoding": "gzip"}),
        # React's payload, which Next.js streams to its own code in the browser.
        ("/stream?kind=text/x-component&mark=no", {"Accept_Encoding": "gzip"}),
    ],
)
def test_an_apis_streams_arrive_as_they_are_written(site: Site, path: str, headers: dict[str, str]) -> None:
    moments, content, encoding = _moments(site, API, path, **headers)
    assert _as_written(moments)
    if encoding == "gzip":
        content = zlib.decompress(content, wbits=31)
    assert content.count(b"data: ") == 3
    assert (encoding == "gzip") == ("Accept_Encoding" in headers)


def test_an_apis_other_answers_are_taken_at_once(site: Site) -> None:
    """So that a request does not hold a database connection until a slow client has read it."""
    moments, _, _ = _moments(site, API, "/stream?kind=application/x-ndjson")
    assert not _as_written(moments)
    # Also where a service asks for it.
    moments, _, _ = _moments(site, API, "/stream?mark=yes", Accept="text/event-stream")
    assert not _as_written(moments)


def test_a_request_that_asks_for_a_stream_keeps_its_method_and_body(site: Site) -> None:
    body = b"x" * 100_000
    response, content = site.ask("/upload", method="POST", body=body, Accept="text/event-stream")
    assert (response.status, json.loads(content)["bytes"]) == (200, len(body))


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_streamed_html_arrives_as_it_is_written(site: Site, encoding: str) -> None:
    moments, content, encoded = _moments(site, APP, "/html", Accept_Encoding=encoding)
    assert (encoded, _as_written(moments)) == (encoding, True)
    assert (zlib.decompress(content, wbits=31) if encoding else content).count(b"<p>") == 3


def test_a_slow_clients_answer_waits_on_nginxs_disk_and_that_has_a_limit(site: Site) -> None:
    connection = site.connect(API)
    connection.request("GET", "/download?mib=200", headers={"Host": API})
    response = connection.getresponse()
    api = site.services["tenant-api"]
    limit = ANSWER_FILE_MIB * 2**20

    def stopped() -> int:
        before = json.loads(api.get("/written"))["bytes"]
        time.sleep(0.5)
        after = json.loads(api.get("/written"))["bytes"]
        return after if after == before > 0 else 0

    # What nginx keeps, and what is in the kernel's buffers on the way.
    assert limit <= until("the service waits", stopped) < limit + 16 * 2**20
    assert len(response.read()) == 200 * 2**20
    connection.close()


def test_a_body_reaches_the_service_when_all_of_it_is_there(site: Site) -> None:
    """A phone that sends slowly keeps no request open in a service."""
    size = MAX_BODY_MIB * 2**20
    response, body = site.ask("/upload", method="POST", body=b"x" * size)
    assert (response.status, f'"bytes":{size}'.encode() in body) == (200, True)
    headers = {"Content-Length": str(size + 1), "Expect": "100-continue"}
    assert site.ask("/upload", method="POST", body=b"", more=headers)[0].status == 413


def test_a_slow_answer_is_cut_with_504_and_logged(plan: DropletGroupPlan, tmp_path: Path) -> None:
    """After 110 s; here after 1, so that nobody waits."""
    services = {"tenant-api": service("tenant-api", tmp_path)}
    changed = Site(
        tmp_path, plan, services, lambda text: text.replace("read_timeout 110s", "read_timeout 1s")
    )
    with running(changed) as site:
        assert site.ask("/slow?seconds=0.5")[0].status == 200
        assert site.ask("/slow?seconds=1.5", User_Agent="slow")[0].status == 504
        (entry,) = site.logged("slow")
        assert (entry["status"], entry["upstream_status"]) == ("504", "504")


def _echoes(socket: ClientConnection) -> bool:
    try:
        socket.send("hello")
        return socket.recv(timeout=5) == "hello"
    except ConnectionClosed:
        return False


def test_web_sockets_and_requests_live_through_a_reload(plan: DropletGroupPlan, tmp_path: Path) -> None:
    """For 120 s; here for 3."""
    services = {"tenant-api": service("tenant-api", tmp_path)}
    shorter = "worker_shutdown_timeout 120s", "worker_shutdown_timeout 3s"
    with running(Site(tmp_path, plan, services, lambda text: text.replace(*shorter))) as site:
        slow: HTTPConnection = site.connect(API)
        slow.request("GET", "/slow?seconds=1", headers={"Host": API})
        with site.web_socket("/ws") as socket:
            assert _echoes(socket)
            old = site.workers()
            site.reload()
            began = time.monotonic()
            while time.monotonic() < began + 2:
                assert _echoes(socket)
                assert site.ask("/healthz")[0].status == 200
                time.sleep(0.2)
            assert slow.getresponse().status == 200
            slow.close()
            until("it ends", lambda: not _echoes(socket))
            assert 2.5 < time.monotonic() - began < 20
        until("the old workers are gone", lambda: not old & site.workers())
