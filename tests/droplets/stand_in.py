#!/usr/bin/python3
"""A service for tests: says who it is, what it was told, and whether it was told to be ill.

As ``node -e CODE`` it plays Node for the health check of a web front end: it asks the address in the code.
"""

import json
import os
import pathlib
import re
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """``/healthz``, ``/fails``, and on every path a JSON object about this container."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        ill = os.environ.get("ILL") == "yes"
        status = 500 if (ill and self.path == "/healthz") or self.path == "/fails" else 200
        wanted = ("PRESENCE360_SERVICE", "VERSION", "COLOUR", "SECRET", "HOSTNAME")
        about: dict[str, object] = {name.lower(): os.environ.get(name) for name in wanted}
        about.update({"uid": os.getuid(), "path": self.path, "headers": dict(self.headers.items())})
        body = json.dumps(about).encode()
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(b"hello")
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Read all of it, and answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _beat() -> None:
    while True:
        pathlib.Path("/tmp/heartbeat").touch()  # noqa: S108  in the container
        time.sleep(5)


if __name__ == "__main__":
    if sys.argv[0].endswith("node"):
        found = re.search(r"http://[^'\"]+", sys.argv[-1])
        assert found
        urllib.request.urlopen(found[0], timeout=4)  # noqa: S310  it begins with http://
        sys.exit(0)
    port = os.environ.get("UVICORN_PORT") or os.environ.get("PORT")
    if not port:
        _beat()
    threading.Thread(target=_beat, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", int(str(port))), Handler).serve_forever()  # noqa: S104  in the container
