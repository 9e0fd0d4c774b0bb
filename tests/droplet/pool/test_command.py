"""What the program says where something is missing, without a PgBouncer."""

import json
from pathlib import Path

import pytest

from droplet.pool.command import Folders, run


def write(folders: Folders, value: object) -> None:
    (folders.given / "pool.json").write_text(json.dumps(value), encoding="utf-8")


def test_without_tenants_pgbouncer_has_a_configuration_to_start_with(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folders) == 0
    assert "max_client_conn = 10\n" in (folders.state / "pgbouncer.ini").read_text()
    assert not folders.loaded.exists()
    assert "<6>PgBouncer does not answer: no answer: " in capsys.readouterr().out
    metrics = (folders.scratch / "pool.prom").read_text().splitlines()
    # It knows nothing while it does not run.
    assert {"presence360_pool_up 0", "presence360_pool_configured 0"} <= set(metrics)


@pytest.mark.parametrize(
    "value",
    [
        {"credentials": "bucket/tenants", "droplets": 0, "connections": 5},
        {"credentials": "bucket/tenants", "droplets": "two", "connections": 5},
        {"credentials": "--config=/tmp/x", "droplets": 2, "connections": 5},
        {"droplets": 2, "connections": 5},
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
