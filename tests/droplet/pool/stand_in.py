"""Plays PgBouncer's admin console, and the bucket of the credentials."""

import json
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet.pool.command import Folders
from lab.local_digitalocean.tls import Authority

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
PEM, OTHER_PEM = (Authority({}).certificate for _ in range(2))
READY = b"Z\0\0\0\5I"

Rows = Sequence[Mapping[str, object]]


def value(tenant: str, **changes: object) -> dict[str, Any]:
    """A credentials object, as Terraform writes it."""
    return {
        "host": "private-pg.example.org",
        "port": 25060,
        "ca": PEM,
        "database": f"tenant_{tenant}",
        "user": f"tenant_{tenant}_g2",
        "password": "new",
        "previous": [{"user": f"tenant_{tenant}_g1", "password": 'old "quoted"'}],
        **changes,
    }


def served(*tenants: str) -> dict[str, Rows]:
    """What PgBouncer shows of such tenants, on one of two droplets and with 10 connections each."""
    databases = [
        {
            "name": f"tenant_{tenant}",
            "host": "private-pg.example.org",
            "port": 25060,
            "database": f"tenant_{tenant}",
            "pool_size": 5,
            "max_connections": 10,
            "current_client_connections": 0,
            "max_client_connections": 50,
        }
        for tenant in tenants
    ]
    users = [{"name": f"tenant_{tenant}_g{number}"} for tenant in tenants for number in (1, 2)]
    return {"SHOW DATABASES": databases, "SHOW USERS": users, "SHOW POOLS": [], "SHOW STATS": []}


def message(kind: bytes, body: bytes) -> bytes:
    """One message of Postgres's protocol."""
    return kind + struct.pack("!I", len(body) + 4) + body


def table(rows: Rows) -> bytes:
    """An answer with rows."""
    columns = list(rows[0]) if rows else []
    text = b"".join(f"{name}\0".encode() + bytes(18) for name in columns)
    sent = message(b"T", struct.pack("!H", len(columns)) + text)
    for row in rows:
        cells = b"".join(struct.pack("!i", len(str(cell))) + str(cell).encode() for cell in row.values())
        sent += message(b"D", struct.pack("!H", len(row)) + cells)
    return sent + READY


def refusal(text: str) -> bytes:
    """An answer with an error."""
    return message(b"E", f"SERROR\0M{text}\0\0".encode()) + READY


@dataclass
class StandIn:
    """A console.

    Attributes:
        shown: the rows of each command.
        raw: answers as they are, by command, instead.
        after_reload: what is shown once it was told to reload.
        asked: the commands so far.
    """

    shown: dict[str, Rows] = field(default_factory=served)
    raw: dict[str, bytes] = field(default_factory=dict)
    after_reload: dict[str, Rows] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, command: str) -> bytes:
        self.asked.append(command)
        if command == "RELOAD":
            self.shown |= self.after_reload
        return self.raw.get(command) or table(self.shown.get(command, []))

    @contextmanager
    def listen(self, sockets: Path) -> Iterator[None]:
        """Answer at the socket."""
        server = socketserver.ThreadingUnixStreamServer(str(sockets / ".s.PGSQL.6432"), _handler(self.answer))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


def _handler(answer: Callable[[str], bytes]) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.read(struct.unpack("!I", self.rfile.read(4))[0] - 4)
            self.wfile.write(message(b"R", bytes(4)) + READY)
            while head := self.rfile.read(5):
                body = self.rfile.read(struct.unpack("!I", head[1:])[0] - 4)
                sent = answer(body.rstrip(b"\0").decode())
                self.wfile.write(sent)
                if not sent.endswith(READY):
                    return

    return Handler


def publish(folders: Folders, objects: Mapping[str, object]) -> None:
    """Make the bucket hold these objects, by tenant id."""
    bucket = folders.given / "bucket"
    bucket.mkdir(exist_ok=True)
    for path in bucket.iterdir():
        path.unlink()
    for tenant, content in objects.items():
        (bucket / f"{tenant}.json").write_text(json.dumps(content), encoding="utf-8")
    folders.rclone.write_text(
        f'#!/bin/sh\nfor to; do :; done\nrm -f "$to"/*.json\ncp {bucket}/*.json "$to" 2>/dev/null || true\n',
        encoding="utf-8",
    )
    folders.rclone.chmod(0o755)
