"""A trace on booted droplets: begun in nginx, sent from a container, cleaned, and kept by the observability group."""

import json
import time
from functools import partial
from typing import Any

from droplet.traces.wire import Budget, fields
from tests.droplets.conftest import DOMAIN, VICTORIA_TRACES, Laboratory
from tests.droplets.laboratory import Droplet, eventually
from tests.droplets.test_telemetry import listens, pinned, send

PERSON = b"ada.lovelace@example.org"

STORE = """
import gzip, http.server, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        pathlib.Path("/srv/spans").write_text(self.path + "\\n" + body.hex() + "\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 10428), Handler).serve_forever()
"""
"""In place of VictoriaTraces, where this machine has none."""


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 16384
    return bytes([number << 3 | 2, len(content) & 127 | 128, len(content) >> 7]) + content


def attribute(key: str, value: bytes) -> bytes:
    return field(1, key.encode()) + field(2, field(1, value))


def test_a_trace_begins_in_nginx_and_is_kept_without_what_may_be_about_people(laboratory: Laboratory) -> None:
    droplet, receiver = laboratory.droplets
    pinned(droplet, receiver)
    eventually("it listens", 60, partial(listens, droplet))
    if not VICTORIA_TRACES:
        (receiver.root / "srv/store.py").write_text(STORE)
        receiver.sh("systemd-run --unit span-store --collect python3 /srv/store.py")
    try:
        answer = droplet.ask(
            f"api.{DOMAIN}", "/people", headers={"traceparent": f"00-{32 * 'f'}-{16 * 'f'}-01"}
        )
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
                field(9, attribute("url.query", b"email=" + PERSON)),
            )
        )
        resource = field(1, attribute("service.name", b"tenant-api")) + field(
            1, attribute("process.owner", PERSON)
        )
        message = field(1, field(1, resource) + field(2, field(2, span)))

        def sent() -> bool:
            assert send(droplet, "traces", message)[0] == 200
            return any('outcome="forwarded"' in name and value for name, value in droplet.metrics.items())

        eventually("it is handed on", 60, sent, pause=3)
        found = eventually("it is kept", 60, partial(_kept, receiver, trace))
        assert found["name"] == "GET /people"
        assert found["attributes"] == {"http.route": "/people"}
        assert found["group"] == "app"
        assert PERSON.decode() not in found["text"]
    finally:
        receiver.sh("systemctl stop span-store", check=False)


def _kept(receiver: Droplet, trace: str) -> dict[str, Any]:
    if VICTORIA_TRACES:
        return _of_jaeger(receiver, trace)
    path, body = receiver.sh("cat /srv/spans").split()
    span = _inner(_inner(_inner(bytes.fromhex(body), 1), 2), 2)
    assert _inner(span, 1).hex() == trace
    attributes = [one.content for one in fields(span, Budget(1_000)) if one.number == 9]
    return {
        "name": _inner(span, 5).decode(),
        "attributes": {_inner(one, 1).decode(): _inner(_inner(one, 2), 1).decode() for one in attributes},
        "group": path.rpartition("presence360.group=")[2],
        "text": bytes.fromhex(body).decode(errors="replace"),
    }


def _inner(message: bytes, number: int) -> bytes:
    return next(one.content for one in fields(message, Budget(1_000)) if one.number == number)


def _of_jaeger(receiver: Droplet, trace: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:10428/select/jaeger/api/traces/{trace}"
    text = receiver.sh(
        f"python3 -c 'import urllib.request as r; print(r.urlopen(\"{url}\").read().decode())'"
    )
    (found,) = json.loads(text)["data"]
    span = found["spans"][0]
    (process,) = found["processes"].values()
    process_tags = {tag["key"]: tag["value"] for tag in process["tags"]}
    return {
        "name": span["operationName"],
        "attributes": {
            tag["key"]: tag["value"] for tag in span["tags"] if tag["key"] in {"http.route", "url.query"}
        },
        "group": process_tags.get("presence360.group"),
        "text": text,
    }
