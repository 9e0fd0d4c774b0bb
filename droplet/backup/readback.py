"""What an archive holds, by what pg_restore reads out of it, in the same words as the inventory of a database.

The inventory (move_tenant/inventory.sql) sums a hash of every row as Postgres writes the row as text. The same is
computed here from the rows in COPY's text format, so that an archive is compared with its database row by row, and
nothing is restored for it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from droplet.backup.copied import ENDS_EARLY, LONGEST_ROW, long_row, row_text
from droplet.backup.errors import BackupError
from droplet.move_tenant.inventory import Line

LARGE_OBJECTS = "large objects"
"""The inventory's name for all of them together."""

_IDENTIFIER = r'"(?:[^"]|"")*"|[^\s".(),]+'
_COPY = re.compile(rf"COPY ({_IDENTIFIER})\.({_IDENTIFIER}) (?:\((.*)\))? FROM stdin;\n", re.DOTALL)
_NAME = re.compile(rf"({_IDENTIFIER})\.({_IDENTIFIER})")
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\('((?:[^']|'')*)', (-?\d+), (true|false)\);\n")
_WRITE = re.compile(rb"SELECT pg_catalog\.lowrite\(0, '\\x([0-9a-f]*)'\);\n")
_OPEN, _CLOSE = b"SELECT pg_catalog.lo_open(", b"SELECT pg_catalog.lo_close("
_LONGEST_STATEMENT = 1 << 20


@dataclass(frozen=True)
class Table:
    """The rows of one table in an archive.

    Attributes:
        columns: how many columns there are of each row; generated ones are in no archive.
        rows: how many.
        total: the sum of their hashes.
    """

    columns: int
    rows: int
    total: int


@dataclass
class Found:
    """What an archive holds.

    Attributes:
        tables: by schema and name.
        positions: of the sequences, by schema and name, as the inventory writes them.
        objects: how many large objects.
        total: the sum of their hashes.
    """

    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    positions: dict[tuple[str, str], str] = field(default_factory=dict)
    objects: int = 0
    total: int = 0


def read(output: IO[bytes]) -> Found:
    """Read what `pg_restore --section=data` writes.

    Raises:
        BackupError: it is something else.
    """
    found = Found()
    digest = hashlib.md5(usedforsecurity=False)
    for line in output:
        if line.startswith(b"COPY "):
            _table(line, output, found)
        elif match := _SETVAL.fullmatch(line):
            name = match[1].replace(b"''", b"'").decode(errors="replace")
            found.positions[named(name)] = f"{match[2].decode()} {match[3][:1].decode()}"
        elif line.startswith(_OPEN):
            digest = hashlib.md5(usedforsecurity=False)
        elif match := _WRITE.fullmatch(line):
            digest.update(bytes.fromhex(match[1].decode()))
        elif line.startswith(_CLOSE):
            found.objects += 1
            found.total += _signed(digest.digest())
    return found


def named(text: str) -> tuple[str, str]:
    """Return schema and name of what SQL names, without quotes: versions differ in what they quote."""
    match = _NAME.fullmatch(text)
    return (_unquoted(match[1]), _unquoted(match[2])) if match else ("", text)


def differences(lines: Sequence[Line], found: Found) -> list[str]:
    """Compare a database's inventory with what an archive of it holds; name what is not the same."""
    plain = {named(name) for kind, name, value in lines if kind == "table" and value.startswith("r ")}
    columns: dict[tuple[str, str], int] = {}
    for kind, name, _ in lines:
        if kind == "column":
            # The column's own name comes last.
            match = re.match(rf"({_IDENTIFIER})\.({_IDENTIFIER})\.", name)
            if match:
                owner = (_unquoted(match[1]), _unquoted(match[2]))
                columns[owner] = columns.get(owner, 0) + 1
    wrong: list[str] = []
    seen: set[tuple[str, str]] = set()
    for kind, name, value in lines:
        if kind == "content" and name == LARGE_OBJECTS:
            _compare(wrong, name, value, f"{found.objects}, {found.total}")
        elif kind == "content" and named(name) in plain:
            seen.add(named(name))
            table = found.tables.get(named(name), Table(0, 0, 0))
            shown = f"{table.rows} rows, {table.total}"
            if table.columns < columns.get(named(name), 0):
                # A column that is computed is not in the archive, so that only the rows can be counted.
                _compare(wrong, name, value.partition(",")[0], shown.partition(",")[0])
            else:
                _compare(wrong, name, value, shown)
        elif kind == "position":
            _compare(wrong, name, value, found.positions.get(named(name), "missing"))
    wrong += [f"{'.'.join(table)}: missing in the database" for table in sorted(found.tables.keys() - seen)]
    return wrong


def _compare(wrong: list[str], name: str, ours: str, theirs: str) -> None:
    if ours != theirs:
        wrong.append(f"{name}: {ours} in the database, {theirs} in the archive")


def _table(line: bytes, output: IO[bytes], found: Found) -> None:
    # A name may hold a line break.
    while not line.endswith(b" FROM stdin;\n") and len(line) < _LONGEST_STATEMENT:
        more = output.readline()
        if not more:
            break
        line += more
    match = _COPY.fullmatch(line.decode(errors="replace"))
    if not match:
        raise BackupError("the archive has a statement of COPY that cannot be read")
    columns = len(re.findall(_IDENTIFIER, match[3])) if match[3] else 0
    total = 0
    for rows, row in enumerate(iter(partial(output.readline, LONGEST_ROW), b"")):
        if row == b"\\.\n":
            table = _unquoted(match[1]), _unquoted(match[2])
            found.tables[table] = Table(columns, rows, total)
            return
        if not row.endswith(b"\n"):
            total += _signed(long_row(row, output))
            continue
        text = row_text(row[:-1]) if columns else b"()"
        total += _signed(hashlib.md5(text, usedforsecurity=False).digest())
    raise BackupError(ENDS_EARLY)


def _signed(digest: bytes) -> int:
    """Return the first 64 bits as Postgres's bigint."""
    return int.from_bytes(digest[:8], "big", signed=True)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
