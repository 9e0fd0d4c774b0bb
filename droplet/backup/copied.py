"""A row of COPY's text format, in the words of the inventory: as Postgres writes the whole row as text.

A row may have hundreds of megabytes: one that is longer than `LONGEST_ROW` is hashed piece by piece and never held,
because this program's memory is every church's.
"""

import hashlib
import re
from typing import IO

from droplet.backup.errors import BackupError

LONGEST_ROW = 1 << 20
"""Bytes of a row that are held at a time."""

ENDS_EARLY = "the archive ends within a table"

# COPY's text format (PostgreSQL documentation, "COPY", "Text Format"), as the server writes it.
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
# What a row as text quotes ("Composite Types", "Composite Type Input and Output Syntax"; rowtypes.c, record_out).
_QUOTED = re.compile(rb'[\s"\\(),]')
_NULL = b"\\N"


def row_text(line: bytes) -> bytes:
    """Return a row as Postgres writes it as text, from the line that COPY has of it."""
    return b"(" + b",".join(map(_value, line.split(b"\t"))) + b")"


def _value(copied: bytes) -> bytes:
    if copied == _NULL:
        return b""
    value = _unescaped(copied)
    if not value or _QUOTED.search(value):
        return b'"' + _doubled(value) + b'"'
    return value


def _unescaped(copied: bytes) -> bytes:
    if b"\\" not in copied:
        return copied
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), copied)


def _doubled(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b'"', b'""')


def long_row(begin: bytes, output: IO[bytes]) -> bytes:
    """Return the MD5 of a row as text, of which only the beginning was read.

    Args:
        begin: what was read, without a line's end.
        output: the rest of the line comes next.

    Raises:
        BackupError: there is no line's end.
    """
    digest = hashlib.md5(b"(", usedforsecurity=False)
    field, piece = _Field(digest), begin
    while piece:
        ended = piece.endswith(b"\n")
        first, *others = (piece[:-1] if ended else piece).split(b"\t")
        field.add(first)
        for other in others:
            digest = field.end()
            digest.update(b",")
            field = _Field(digest)
            field.add(other)
        if ended:
            digest = field.end()
            digest.update(b")")
            return digest.digest()
        piece = output.readline(LONGEST_ROW)
    raise BackupError(ENDS_EARLY)


class _Field:
    """A value that comes in pieces. Whether it is quoted is known at its end, so both ways are hashed until then."""

    def __init__(self, digest: "hashlib._Hash") -> None:
        self._plain, self._quoted = digest, digest.copy()
        self._quoted.update(b'"')
        self._held, self._quotes, self._any = b"", False, False

    def add(self, copied: bytes) -> None:
        copied = self._held + copied
        # An escape's second half may come with the next piece; of the two bytes of NULL, both are looked at together.
        odd = (len(copied) - len(copied.rstrip(b"\\"))) % 2
        most = len(copied) - odd if len(copied) > len(_NULL) else 0
        self._held = copied[most:]
        self._take(copied[:most])

    def _take(self, copied: bytes) -> None:
        value = _unescaped(copied)
        self._any = self._any or bool(value)
        self._quotes = self._quotes or _QUOTED.search(value) is not None
        if not self._quotes:
            self._plain.update(value)
        self._quoted.update(_doubled(value))

    def end(self) -> "hashlib._Hash":
        if self._held == _NULL and not self._any:
            return self._plain
        self._take(self._held)
        if self._any and not self._quotes:
            return self._plain
        self._quoted.update(b'"')
        return self._quoted
