"""Debian 13's headless Chromium on this machine, for pages that report what they did.

All in one process, and without the sandbox, which root may not use: nothing but a test's own page is ever opened.
"""

import http.server
import json
import queue
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import debian

_SWITCHES = (
    "--headless", "--no-sandbox", "--no-zygote", "--single-process", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--no-first-run", "--ignore-certificate-errors",
)  # fmt: skip


def unpacked() -> Path:
    """Return the folder with `chromium`; made in about a minute where it is not there yet.

    Raises:
        debian.MissingError: this machine cannot have one.
    """
    home = "usr/lib/chromium"
    return debian.unpacked(
        "chromium-headless-shell",
        {"chromium": f"{home}/chromium-headless-shell"},
        beside=(
            f"{home}/*.pak",
            f"{home}/*.bin",
            f"{home}/icudtl.dat",
            "usr/lib/*/libsoftokn3.so",
            "usr/lib/*/libfreebl*.so",
        ),
    )


class Pages:
    """A server of pages, at any name, that takes what they report.

    Attributes:
        port: on loopback, with TLS.
        content: what it answers by path.
    """

    def __init__(self) -> None:
        self.content: dict[str, str] = {}
        self.port = 0
        self._reports: queue.Queue[Any] = queue.Queue()

    def report(self, seconds: float) -> Any:
        """Return the next report.

        Raises:
            queue.Empty: there was none in time.
        """
        return self._reports.get(timeout=seconds)

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        """Return what answers a request."""
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.content.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write((body or "").encode())

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                pages._reports.put(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
                pass

        return Handler


@contextmanager
def pages(certificate: Path, key: Path) -> Iterator[Pages]:
    """Serve pages over TLS on loopback."""
    served = Pages()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served.handler()) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        served.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()


@contextmanager
def opened(address: str, folder: Path, hosts: Mapping[str, int]) -> Iterator[None]:
    """Open a page, and close the browser at the end.

    Args:
        address: the page's.
        folder: the browser's own, for what it keeps.
        hosts: by pattern of names: the port of loopback where they are. No other name is found.

    Raises:
        debian.MissingError: this machine cannot have one.
    """
    rules = [f"MAP {pattern} 127.0.0.1:{port}" for pattern, port in hosts.items()] + ["MAP * ~NOTFOUND"]
    command = [str(unpacked() / "chromium"), *_SWITCHES, f"--user-data-dir={folder}"]
    command += [f"--host-resolver-rules={','.join(rules)}", address]
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()
