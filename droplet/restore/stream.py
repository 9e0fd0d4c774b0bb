"""What is restored: what a dump says of itself, and its archive. On the input, a line and what is behind it."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from droplet.move_tenant.inventory import Line
from droplet.names import Place, owner_of, tenant_of
from droplet.outcome import RefusedError

VERSION = 1
MAX_CONTENTS_BYTES = 256 * 1024 * 1024

_FORCED = re.compile(r"\w \w \w t t ")


@dataclass(frozen=True)
class Contents:
    """What a dump says of itself (droplet/backup/contents.py).

    Attributes:
        database: whose it is.
        cluster: where it was.
        time: of the snapshot.
        server: the version of the server then, as a number: 170004.
        encoding: of the database.
        extensions: that it had.
        lines: its inventory.
    """

    database: str
    cluster: str
    time: str
    server: int
    encoding: str
    extensions: Sequence[str]
    lines: Sequence[Line]

    @property
    def forced(self) -> bool:
        """Whether row level security applies to the owner of a table too."""
        return any(kind == "table" and _FORCED.match(value) for kind, _, value in self.lines)

    @property
    def schemas(self) -> list[str]:
        """The church's own schemas beside `public`."""
        return [name for kind, name, _ in self.lines if kind == "owner of schema" and name != "public"]

    def fits(self, place: Place) -> bool:
        """Tell whether a database is that of the same church, of any generation."""
        tenant = tenant_of(place.database)
        return place.database == self.database or (tenant != "" and tenant == tenant_of(self.database))

    def lines_of(self, place: Place) -> list[Line]:
        """Return the inventory that a database has which holds this dump: what is in it belongs to its own role."""
        was = owner_of(self.database)
        # Dumps of before the inventory left them out have the rows of materialized views, which are computed anew.
        computed = {name for kind, name, value in self.lines if kind == "table" and value.startswith("m ")}
        return [
            (kind, name, place.owner if kind.startswith("owner of ") and value == was else value)
            for kind, name, value in self.lines
            if kind != "content" or name not in computed
        ]


@dataclass(frozen=True)
class Source:
    """Where a database's content comes from.

    Attributes:
        contents: what it is.
        archive: as pg_dump writes it.
        wrong: tells, at the archive's end, what is wrong with it, by its length and digest; None: nothing.
        told: what it is, for the person at the terminal.
        killed: tells why the archive ended early, where the program that writes it was killed; None: it was not.
    """

    contents: Contents
    archive: IO[bytes]
    wrong: Callable[[int, str], str | None]
    told: str
    killed: Callable[[], str | None] = lambda: None


def read_source(stream: IO[bytes]) -> Source:
    """Read the line; the archive follows.

    Raises:
        RefusedError: it is something else.
    """
    line = stream.readline(MAX_CONTENTS_BYTES)
    try:
        value: Any = json.loads(line)
        if value["version"] != VERSION:
            raise RefusedError(f"the dump has version {value['version']}; this program reads {VERSION}")
        expected = int(value["archive"]["bytes"]), str(value["archive"]["sha256"])
        contents = Contents(
            database=str(value["database"]),
            cluster=str(value["cluster"]),
            time=str(value["time"]),
            server=int(value["server"]),
            encoding=str(value["encoding"]),
            extensions=sorted(map(str, value["extensions"])),
            lines=[(str(kind), str(name), str(text)) for kind, name, text in value["lines"]],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedError(
            "the input is not what `presence360 backups open` writes: a line that says what the dump is, and the dump"
        ) from None

    def wrong(size: int, digest: str) -> str | None:
        if (size, digest) == expected:
            return None
        return "the dump is damaged: it is not the one that its contents describe"

    told = f"dump: {contents.time}, of {contents.database} in {contents.cluster}"
    return Source(contents, stream, wrong, told)
