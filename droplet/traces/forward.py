"""Take spans on loopback, hand on what may leave the droplet, and count."""

import gzip
import http.client
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from droplet.journal import WARNING, log
from droplet.traces.spans import without_people
from droplet.traces.wire import MalformedError

PATH = "/v1/traces"
LARGEST = 4 * 2**20
"""Of one message, unpacked; the listener takes as much (droplet/telemetry/nginx.py)."""
AT_ONCE = 2
"""Messages, of 30 MiB each at most, within the unit's MemoryMax; the others wait. A service's exporter does, and no
request of a person."""
SECONDS = 8
"""For the way to the store: longer than nginx's own limit, which answers."""

OK, BAD_REQUEST, NOT_FOUND, TOO_LARGE = 200, 400, 404, 413


@dataclass
class Counts:
    """Spans since the start, by what became of them."""

    _spans: "Counter[str]" = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: str, spans: int) -> None:
        """Count: ``forwarded``, ``store`` (it was not reached, or refused), ``malformed``."""
        with self._lock:
            self._spans[outcome] += spans

    @property
    def text(self) -> str:
        """As Prometheus reads them."""
        name = "presence360_traces_spans_total"
        with self._lock:
            lines = [
                f'{name}{{outcome="{one}"}} {self._spans[one]}' for one in ("forwarded", "malformed", "store")
            ]
        head = [f"# HELP {name} Spans of services, by what became of them.", f"# TYPE {name} counter"]
        return "\n".join([*head, *lines]) + "\n"


def server(port: int, onwards: int) -> ThreadingHTTPServer:
    """Return the server; ``onwards`` is the loopback port from where nginx takes spans to the observability group."""
    counts, room = Counts(), threading.BoundedSemaphore(AT_ONCE)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 15

        def do_GET(self) -> None:
            """Say how many."""
            self._answer(OK if self.path == "/metrics" else NOT_FOUND, counts.text.encode())

        def do_POST(self) -> None:
            """Take spans. Once they are read, all is well for the service, whatever becomes of them."""
            length = self.headers.get("Content-Length", "")
            if self.path != PATH or not length.isdecimal() or int(length) > LARGEST:
                self.close_connection = True
                self._answer(NOT_FOUND if self.path != PATH else TOO_LARGE)
                return
            with room:
                try:
                    body = _unpacked(self.rfile.read(int(length)), self.headers.get("Content-Encoding", ""))
                    request, spans = without_people(body)
                except MalformedError:
                    counts.add("malformed", 1)
                    self._answer(BAD_REQUEST)
                    return
                counts.add("forwarded" if _handed_on(request, onwards) else "store", spans)
            self._answer(OK)

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing of requests."""

    made = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    made.daemon_threads = True
    return made


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise MalformedError("packed in another way than by gzip")
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = unpack.decompress(body, LARGEST)
    except zlib.error:
        raise MalformedError("not gzip's") from None
    if unpack.unconsumed_tail or not unpack.eof:
        raise MalformedError("too large, or it breaks off")
    return text


def _handed_on(request: bytes, port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    try:
        connection.request("POST", PATH, gzip.compress(request, 1, mtime=0), headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        log(WARNING, f"spans were not handed on: {type(error).__name__}")
        return False
    finally:
        connection.close()
    return status == OK
