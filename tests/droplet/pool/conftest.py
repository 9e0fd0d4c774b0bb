"""The folders of a run of `droplet/pool`."""

import json
from pathlib import Path

import pytest

from droplet.pool.command import Folders
from tests.droplet.pool.stand_in import publish


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Where a run reads and writes; the bucket is empty."""
    given, state, scratch, sockets = (tmp_path / name for name in ("given", "state", "scratch", "sockets"))
    found = Folders(given, state, scratch, sockets, given / "rclone")
    for folder in (given, state, scratch, sockets):
        folder.mkdir()
    pool = {"credentials": "bucket/tenants", "droplets": 2, "connections": 10}
    (given / "pool.json").write_text(json.dumps(pool), encoding="utf-8")
    publish(found, {})
    return found
