"""What a dump says of itself: the contents, encrypted beside it, and the index, for anybody with the bucket's key.

The contents have the inventory of the database at the moment of the snapshot. The index has no name and no row of the
church's: it says which objects there are, how long they are and what their digests are, and it is written last.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from droplet.backup.archive import Archive
from droplet.backup.databases import Database, Look
from droplet.converge.peers import write_time
from droplet.move_tenant.inventory import Line

VERSION = 1
DUMP, CONTENTS, INDEX = "dump.age", "contents.age", "index.json"

_ROWS = re.compile(r"(\d+) rows")


def folder(database: Database, at: float) -> str:
    """Return the folder of a dump in the bucket: ``dumps/tenant_.../20261126T013000Z.shared``."""
    stamp = write_time(at).replace("-", "").replace(":", "")
    return f"dumps/{database.name}/{stamp}.{database.cluster.name}"


def contents(
    database: Database, at: float, seen: Look, archive: Archive, lines: Sequence[Line]
) -> dict[str, Any]:
    """Return the contents of a dump."""
    return {
        "version": VERSION,
        "database": database.name,
        "cluster": database.cluster.name,
        "time": write_time(at),
        "server": seen.version,
        "encoding": seen.encoding,
        "collation": seen.collation,
        "extensions": dict(seen.extensions),
        "images": list(database.images[-1:]),
        "revision": database.revision,
        "served": database.served,
        "schema": schema_digest(lines),
        "archive": {"bytes": archive.bytes, "sha256": archive.sha256},
        "lines": [list(line) for line in lines],
    }


def index(said: Mapping[str, Any], seen: Look, objects: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """Return the index of a dump.

    Args:
        said: its contents.
        seen: the database.
        objects: by name, the length and the digest of each.
    """
    rows = [match for kind, _, value in said["lines"] if kind == "content" and (match := _ROWS.match(value))]
    return {
        **{
            key: said[key]
            for key in ("version", "database", "cluster", "time", "server", "images", "revision", "served")
        },
        "schema": said["schema"],
        "tables": len(rows),
        "rows": sum(int(match[1]) for match in rows),
        "database_bytes": seen.bytes,
        "objects": dict(objects),
    }


def schema_digest(lines: Sequence[Line]) -> str:
    """Return a digest of all that an inventory has beside rows and sequences' positions."""
    text = json.dumps([line for line in lines if line[0] not in {"content", "position"}])
    return hashlib.sha256(text.encode()).hexdigest()


def as_text(value: Mapping[str, Any]) -> bytes:
    """Write it."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
