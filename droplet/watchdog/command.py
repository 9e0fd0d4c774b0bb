"""Both ends: a small server on loopback each."""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from droplet.converge.errors import CommandError
from droplet.converge.processes import Run, run_program
from droplet.converge.store import FIRST
from droplet.journal import ERROR, INFO, log

ALERT = "Watchdog"
OBJECT = "watchdog.json"
"""In the status bucket of the observability group."""

FRESH_SECONDS = 300
"""Alertmanager repeats the alert each minute, and the bucket is read each half minute."""
LOOK_SECONDS = 30.0
SECONDS = 20
LARGEST_BODY = 1024 * 1024
USAGE = 64
"""Exit status: EX_USAGE of sysexits.h."""

Handling = Callable[[bytes], tuple[HTTPStatus, str]]


def main(arguments: Sequence[str]) -> int:
    """Serve until stopped."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", ".")
    rclone = (
        "/usr/bin/rclone",
        "--config",
        f"{folder}/rclone.conf",
        "--quiet",
        "--retries",
        "1",
        "--timeout",
        "10s",
    )
    match arguments:
        case ["receive", port]:
            receiver = Receiver(run_program, rclone, Path(os.environ["HOME"], OBJECT))
            server(int(port), {"POST": receiver.take}).serve_forever()
        case ["answer", port, bucket]:
            answer = Answer(run_program, (*rclone, *FIRST, f"{bucket}/{OBJECT}"))
            threading.Thread(target=answer.look_on, daemon=True).start()
            server(int(port), {"GET": answer.give}).serve_forever()
    return USAGE


@dataclass
class Receiver:
    """What Alertmanager tells.

    Attributes:
        run: runs a program.
        rclone: with the options that reach the bucket.
        file: where it writes what goes there.
        clock: seconds since 1970.
    """

    run: Run
    rclone: Sequence[str]
    file: Path
    clock: Callable[[], float] = time.time

    def take(self, body: bytes) -> tuple[HTTPStatus, str]:
        """Take a message; with an error Alertmanager sends it again."""
        if not fires(body):
            return HTTPStatus.OK, "no watchdog"
        self.file.write_text(json.dumps({"time": round(self.clock())}), encoding="utf-8")
        command = (*self.rclone, "copyto", "--no-check-dest", str(self.file), f"status:{OBJECT}")
        try:
            self.run(command, {}, SECONDS)
        except CommandError as error:
            log(ERROR, f"the bucket does not take it: {error}")
            return HTTPStatus.BAD_GATEWAY, "not written"
        return HTTPStatus.OK, "written"


def fires(body: bytes) -> bool:
    """Tell whether a message of Alertmanager's says that the watchdog fires (its documentation, "webhook_config")."""
    try:
        alerts = json.loads(body)["alerts"]
        return any(one["status"] == "firing" and one["labels"]["alertname"] == ALERT for one in alerts)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


@dataclass
class Answer:
    """What the world is told.

    Attributes:
        run: runs a program.
        command: prints the object.
        clock: seconds since 1970.
        told: the time that the object had when it was read last.
    """

    run: Run
    command: Sequence[str]
    clock: Callable[[], float] = time.time
    told: float = field(default=0.0)

    def look(self) -> None:
        """Read the object. Where that fails, what is known grows old, and that is the answer."""
        try:
            self.told = float(json.loads(self.run(self.command, {}, SECONDS))["time"])
        except Exception as error:
            # Whatever the object holds: the thread that ends reads it never again.
            log(INFO, f"the watchdog's object cannot be read: {type(error).__name__}")

    def look_on(self) -> None:
        """Read it again and again. If this thread ends, the answer becomes 503."""
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)

    def give(self, _: bytes = b"") -> tuple[HTTPStatus, str]:
        """Answer a request, by what was read last."""
        if abs(self.clock() - self.told) <= FRESH_SECONDS:
            return HTTPStatus.OK, "alerts arrive"
        return HTTPStatus.SERVICE_UNAVAILABLE, "alerts do not arrive"


def server(port: int, handlings: Mapping[str, Handling]) -> ThreadingHTTPServer:
    """Make a server on loopback that answers every path."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "presence360"
        sys_version = ""

        def _handle(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), LARGEST_BODY)
            status, text = handlings[self.command](self.rfile.read(length))
            body = f"{text}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
            """Say nothing: a request each minute would fill the journal."""

    for method in handlings:
        setattr(Handler, f"do_{method}", Handler._handle)
    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
