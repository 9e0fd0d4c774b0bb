"""A way to the object storage on which time can pass: what was written before is told to be older.

Whether a drill is still at work is judged by the storage's own times (ops/drill/holding.py), and the gateway's clock is
this machine's.
"""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

# Of one hop, and not of the message (RFC 9110, section 7.6.1).
_OF_A_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Aging:
    """What passes requests on.

    Attributes:
        port: on loopback.
        leaps: when time passed, and how much of it.
    """

    port: int = 0
    leaps: list[tuple[datetime, timedelta]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """What a client takes for the endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def pass_by(self, time: timedelta) -> None:
        """Let time pass for all that was written until now."""
        self.leaps.append((datetime.now(UTC), time))

    def told(self, written: datetime) -> datetime:
        """Return when something was written, as clients are told."""
        return written - sum((time for when, time in self.leaps if written <= when), timedelta())


@contextmanager
def aging(port: int) -> Iterator[Aging]:
    """Pass requests on to a port of loopback."""
    made = Aging()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            try:
                # Host is signed: it stays.
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in {"connection", "expect"}:
                        connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() == "last-modified":
                    self.send_header(
                        name, format_datetime(made.told(parsedate_to_datetime(value)), usegmt=True)
                    )
                elif name.lower() not in _OF_A_HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            if answer.status != http.HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815  (names of http.server)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
