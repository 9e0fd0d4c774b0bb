"""PgBouncer's admin console, over its Unix socket.

PgBouncer lets its own user in as `pgbouncer` without a password, and nobody else (pgbouncer(5), "admin_users"). This
speaks the little of Postgres's protocol that it takes, because droplets have no psql (PostgreSQL documentation,
"Message Formats").
"""

import socket
import struct
from pathlib import Path
from types import TracebackType

_PROTOCOL = 196_608
"""Version 3.0."""

TIMEOUT_SECONDS = 5.0


class ConsoleError(Exception):
    """The console refuses a command, or answers something else than PgBouncer does."""


class SilentError(ConsoleError):
    """Nobody answers: PgBouncer does not run, or is too busy."""


class Console:
    """A session in the admin console."""

    def __init__(self, sockets: Path, port: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_SECONDS)
        try:
            self._socket.connect(str(sockets / f".s.PGSQL.{port}"))
            self._input = self._socket.makefile("rb")
            start = struct.pack("!i", _PROTOCOL) + b"user\0pgbouncer\0database\0pgbouncer\0\0"
            self._socket.sendall(struct.pack("!i", len(start) + 4) + start)
            self._until_ready()
        except OSError as error:
            self._socket.close()
            raise SilentError(f"no answer: {error}") from None
        except ConsoleError:
            self._socket.close()
            raise

    def __enter__(self) -> "Console":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, command: str) -> list[dict[str, str]]:
        """Run a command, and return its rows by column; NULL is empty.

        Raises:
            ConsoleError: it was refused, or there is no answer.
        """
        body = command.encode() + b"\0"
        try:
            self._socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
            return self._until_ready()
        except OSError as error:
            raise SilentError(f"{command}: no answer: {error}") from None

    def _until_ready(self) -> list[dict[str, str]]:
        try:
            return self._answer()
        except (struct.error, ValueError) as error:
            raise ConsoleError(f"an answer that is not PgBouncer's: {error}") from None

    def _answer(self) -> list[dict[str, str]]:
        columns: list[str] = []
        rows: list[dict[str, str]] = []
        problem = ""
        while True:
            kind, body = self._message()
            match kind:
                case b"T":
                    columns = _columns(body)
                case b"D":
                    rows.append(dict(zip(columns, _values(body), strict=True)))
                case b"R" if body != b"\0\0\0\0":
                    raise ConsoleError("it asks for a password: this is not PgBouncer's own user")
                case b"E":
                    problem = _text_of(body)
                case b"Z" if problem:
                    raise ConsoleError(problem)
                case b"Z":
                    return rows

    def _message(self) -> tuple[bytes, bytes]:
        head = self._input.read(5)
        if len(head) < 5:  # noqa: PLR2004
            raise SilentError("it closed the connection")
        (length,) = struct.unpack("!I", head[1:])
        body = self._input.read(max(0, length - 4))
        if len(body) != length - 4:
            raise ConsoleError("it closed the connection within an answer")
        return head[:1], body


def _columns(body: bytes) -> list[str]:
    names, rest = [], body[2:]
    while rest:
        name, _, rest = rest.partition(b"\0")
        # Table, column, type, length, modifier and format.
        names.append(name.decode())
        rest = rest[18:]
    return names


def _values(body: bytes) -> list[str]:
    values, position = [], 2
    while position < len(body):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        value = body[position : position + max(0, length)]
        if len(value) < length:
            raise ValueError("a value that is cut short")
        values.append(value.decode())
        position += len(value)
    return values


def _text_of(body: bytes) -> str:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return fields.get(b"M", "an error without a message")
