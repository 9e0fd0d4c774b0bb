"""Rekognition and mNotify on the laboratory's network, as far as lab/services asks them: they remember what came."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.droplets.laboratory import GATEWAY, Network

PORT = 9003
ADDRESS = f"http://{GATEWAY}:{PORT}"


@dataclass(frozen=True)
class Asked:
    """A request that came: its path with the query, its headers in lower case, its body."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Providers:
    """Both.

    Attributes:
        asked: all that came, in its order.
        throttled: whether Rekognition says that it is asked too often.
        refuses: whether mNotify sends nothing.
    """

    asked: list[Asked] = field(default_factory=list)
    throttled: bool = False
    refuses: bool = False

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Return what one of them answers: a status, and an object."""
        self.asked.append(asked)
        if asked.path.startswith("/api/sms/quick"):
            return (200, {"status": "error" if self.refuses else "success"})
        if self.throttled:
            # Its words quote what was asked, as a careless provider's would.
            return 400, {"__type": "ThrottlingException", "message": json.dumps(asked.body)}
        return 200, {"FaceMatches": [{"Similarity": 99.5, "Face": {"ExternalImageId": "7"}}]}


@contextmanager
def providers(network: Network) -> Iterator[Providers]:
    """Run both in the network, at `ADDRESS`."""
    found = Providers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = found.answer(Asked(self.path, headers, body))
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = network.inside(lambda: ThreadingHTTPServer((GATEWAY, PORT), Handler))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
