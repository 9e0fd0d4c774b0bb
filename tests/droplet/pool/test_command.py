"""What the program says where something is missing, without a PgBouncer."""

import json
from pathlib import Path

import pytest

from droplet.pool.command import Folders, run

SILENT = "/bin/true"
"""Stands in for rclone: the bucket is empty."""


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    given, state, scratch, sockets = (tmp_path / name for name in ("given", "state", "scratch", "sockets"))
    found = Folders(given, state, scratch, sockets, Path(SILENT))
    for folder in (found.given, found.state, found.scratch, found.sockets):
        folder.mkdir()
    write(found, {"credentials": "bucket/tenants", "size": 1, "overrides": {}})
    return found


def write(folders: Folders, value: object) -> None:
    (folders.given / "pool.json").write_text(json.dumps(value), encoding="utf-8")


def test_without_tenants_pgbouncer_has_a_configuration_to_start_with(folders: Folders) -> None:
    assert run(folders) == 0
    assert "max_client_conn = 10\n" in (folders.state / "pgbouncer.ini").read_text()
    assert not folders.loaded.exists()
    metrics = (folders.scratch / "pool.prom").read_text().splitlines()
    assert {"presence360_pool_up 0", "presence360_pool_configured 1"} <= set(metrics)


@pytest.mark.parametrize(
    "value",
    [
        {"credentials": "bucket/tenants", "size": 0, "overrides": {}},
        {"credentials": "bucket/tenants", "size": 1, "overrides": {"tenant_x": 0}},
        {"credentials": "--config=/tmp/x", "size": 1, "overrides": {}},
        {"size": 1, "overrides": {}},
        {"credentials": "bucket/tenants", "size": 1, "overrides": []},
        [],
    ],
)
def test_a_configuration_that_is_not_terraforms_changes_nothing(
    folders: Folders, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folders, value)
    assert run(folders) == 1
    assert "<3>pool.json does not have the form that Terraform writes (" in capsys.readouterr().out
    assert list(folders.state.iterdir()) == []
    assert "presence360_pool_configured 0" in (folders.scratch / "pool.prom").read_text()


def test_a_first_fetch_that_fails_writes_no_files_without_tenants(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    """PgBouncer would start, and refuse everybody."""
    assert run(Folders(**{**vars(folders), "rclone": Path("/bin/false")})) == 1
    assert "<3>the credentials were not fetched: CalledProcessError" in capsys.readouterr().out
    assert not (folders.state / "pgbouncer.ini").exists()
