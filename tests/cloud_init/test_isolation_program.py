"""The program around isolation.sql, with a stand-in for psql: what it makes of what psql says."""

import json
import os
from pathlib import Path

import pytest

from cloud_init.files import isolation

CLUSTER = {
    "name": "shared",
    "host": "pg.example.org",
    "port": 25060,
    "user": "doadmin",
    "password": "a:b\\c",
    "database": "defaultdb",
    "sslmode": "verify-full",
}


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, psql: str) -> tuple[int, str, Path]:
    """Run once with a shell script as psql; the exit code, the metrics, and the folder."""
    program = tmp_path / "psql"
    program.write_text(f"#!/bin/sh\n{psql}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(isolation, "psql_program", lambda: str(program))
    config = {"clusters": [CLUSTER], "connections": 5, "overrides": {}}
    config |= {"statement_timeout_ms": 1, "idle_in_transaction_timeout_ms": 2}
    (tmp_path / "isolation.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "isolation.sql").write_text("-- nothing\n", encoding="utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    places = isolation.Places(
        config=tmp_path / "isolation.json",
        script=tmp_path / "isolation.sql",
        authorities=tmp_path / "ca.pem",
        scratch=scratch,
        state=tmp_path,
    )
    code = isolation.run(places, now=lambda: 1_000.0)
    return code, places.metrics.read_text() if places.metrics.exists() else "", scratch


def test_the_password_is_in_a_file_of_its_own_and_not_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, scratch = run(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/seen; env >> {tmp_path}/seen')
    assert code == 0
    # A colon and a backslash are escaped (PostgreSQL documentation, "The Password File").
    assert (scratch / "pgpass").read_text() == "pg.example.org:25060:*:doadmin:a\\:b\\\\c\n"
    assert (scratch / "pgpass").stat().st_mode & 0o777 == 0o600
    seen = (tmp_path / "seen").read_text()
    assert "a:b" not in seen
    for line in ("PGHOST=pg.example.org", "PGSSLMODE=verify-full", f"PGSSLROOTCERT={tmp_path}/ca.pem"):
        assert f"{line}\n" in seen


@pytest.mark.parametrize(
    ("psql", "findings", "errors"),
    [
        ("echo 'finding|a|b|may connect'; exit 3", 1, 0),
        ("echo 'psql: error: connection refused' >&2; exit 2", 0, 1),
        ("exit 1", 0, 1),
        # A script that says something else is not the one that this program knows.
        ("echo 'all is well'", 0, 1),
    ],
)
def test_what_is_not_known_to_be_right_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, psql: str, findings: int, errors: int
) -> None:
    code, metrics, _ = run(tmp_path, monkeypatch, psql)
    assert code == 1
    assert 'presence360_isolation_success{cluster="shared"} 0\n' in metrics
    assert f'presence360_isolation_findings{{cluster="shared"}} {findings}\n' in metrics
    assert f'presence360_isolation_errors{{cluster="shared"}} {errors}\n' in metrics


def test_one_statements_error_is_no_failure_if_the_result_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, metrics, _ = run(tmp_path, monkeypatch, "echo 'ERROR:  role does not exist' >&2")
    assert (code, 'success{cluster="shared"} 1' in metrics) == (0, True)
    assert "<4>shared: ERROR:  role does not exist" in capsys.readouterr().out


def test_a_busy_cluster_leaves_the_last_metrics_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, monkeypatch, "echo busy")[:2] == (0, "")


def test_every_database_is_visited_at_first_and_then_once_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f'case "$*" in *full=1*) echo full;; *) echo partial;; esac >> {tmp_path}/runs'
    stamp = tmp_path / "visited-shared"
    run(tmp_path, monkeypatch, said)
    for age in (0, isolation.FULL_SECONDS - 1, isolation.FULL_SECONDS):
        os.utime(stamp, (1_000 - age, 1_000 - age))
        run(tmp_path, monkeypatch, said)
    assert (tmp_path / "runs").read_text().split() == ["full", "partial", "partial", "full"]


def test_a_full_run_that_failed_is_due_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, monkeypatch, "exit 1")
    assert not (tmp_path / "visited-shared").exists()
