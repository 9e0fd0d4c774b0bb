"""Plays Grafana on booted droplets, which have no image of it: it reads the same settings, and says what it can do.

``/`` is a JSON object about this container; ``/reach/<host>/<port>`` says whether it reaches a port.
"""

import configparser
import json
import os
import pathlib
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SETTINGS = configparser.ConfigParser(interpolation=None)
SETTINGS.read(os.environ.get("GF_PATHS_CONFIG", ""))


def about() -> dict[str, object]:
    """What the container is."""
    home = pathlib.Path(os.environ["GF_PATHS_CONFIG"]).parent
    data = pathlib.Path(os.environ["GF_PATHS_DATA"])
    writable = [str(path) for path in (home, data, pathlib.Path("/")) if os.access(path, os.W_OK)]
    return {
        "uid": os.getuid(),
        "key": len(os.environ.get("GF_SECURITY_SECRET_KEY", "")),
        "writable": writable,
        "files": sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()),
        # Of the droplet: nothing else was handed over.
        "beside": sorted(path.name for path in home.parent.iterdir()),
    }


def reaches(host: str, port: int) -> str:
    """Try to connect."""
    try:
        with socket.create_connection((host, port), timeout=3):
            return "yes"
    except OSError as error:
        return type(error).__name__


class Handler(BaseHTTPRequestHandler):
    """Answers."""

    def do_GET(self) -> None:
        """Answer."""
        match self.path.split("/"):
            case ["", "reach", host, port]:
                body = reaches(host, int(port))
            case _:
                body = json.dumps(about())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = SETTINGS["server"]
    ThreadingHTTPServer((server["http_addr"], int(server["http_port"])), Handler).serve_forever()
