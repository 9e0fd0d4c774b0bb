"""The program around the scripts, with a stand-in for psql: what it makes of what psql says."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from droplet import postgres
from droplet.isolation import cluster, command
from droplet.isolation.folders import BUSY_SECONDS, FULL_SECONDS, Folders
from droplet.isolation.result import Result

CLUSTER = {
    "name": "shared",
    "host": "pg.example.org",
    "port": 25060,
    "user": "doadmin",
    "password": "a:b\\c",
    "database": "defaultdb",
    "sslmode": "verify-full",
    "ca": "-----BEGIN CERTIFICATE-----\n",
}


def configuration(**changes: object) -> str:
    """What Terraform writes; `changes` of its cluster."""
    config = {"clusters": [{**CLUSTER, **changes}], "connections": 5, "overrides": {}, "extensions": []}
    return json.dumps(config | {"statement_timeout_ms": 1, "idle_in_transaction_timeout_ms": 2})


def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    psql: str,
    cells: Mapping[str, str] | None = None,
    now: float = 1_000.0,
) -> tuple[int, str, Path]:
    """Run once with a shell script as psql; the exit code, the metrics, and the folder.

    The script says `done` if it gets to its end.

    ``cells`` has further configurations by the name of their cell.
    """
    program = tmp_path / "bin/psql"
    program.parent.mkdir(exist_ok=True)
    # How many connections there are is asked apart, and has tests of its own.
    counts = 'case "$*" in *connections.sql*) echo "limit|22"; exit 0;; esac'
    program.write_text(f"#!/bin/sh\n{counts}\n{psql}\necho done\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(postgres, "newest_programs", lambda _: program.parent)
    given = tmp_path / "given"
    shutil.rmtree(given, ignore_errors=True)
    given.mkdir()
    for name, text in {"environment": configuration(), **(cells or {})}.items():
        (given / f"isolation_{name}.json").write_text(text, encoding="utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    folders = Folders(configurations=given, scratch=scratch, state=tmp_path)
    code = command.run(folders, now=lambda: now)
    return code, folders.metrics.read_text() if folders.metrics.exists() else "", scratch


def test_the_password_is_in_a_file_of_its_own_and_not_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, scratch = run(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/seen; env >> {tmp_path}/seen')
    assert code == 0
    # A colon and a backslash are escaped (PostgreSQL documentation, "The Password File").
    assert (scratch / "shared/pgpass").read_text() == "pg.example.org:25060:*:doadmin:a\\:b\\\\c\n"
    assert (scratch / "shared/pgpass").stat().st_mode & 0o777 == 0o600
    seen = (tmp_path / "seen").read_text()
    assert "a:b" not in seen
    for line in ("PGHOST=pg.example.org", "PGSSLMODE=verify-full", f"PGSSLROOTCERT={scratch}/shared/ca.pem"):
        assert f"{line}\n" in seen
    assert (scratch / "shared/ca.pem").read_text() == CLUSTER["ca"]


@pytest.mark.parametrize(
    ("psql", "findings", "errors"),
    [
        ("echo 'finding|a|b|may connect'", 1, 0),
        # What comes after the error was not looked at, whatever was found before.
        ("echo 'finding|a|b|may connect'; echo 'ERROR:  no' >&2; exit 3", 1, 1),
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


def samples(metrics: str, name: str) -> dict[str, float]:
    """A metric's samples by the value of their label."""
    found = re.findall(rf'^presence360_isolation_{name}\{{\w+="([^"]+)"\}} (\S+)$', metrics, re.MULTILINE)
    return {label: float(value) for label, value in found}


def test_a_busy_cluster_keeps_its_last_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, metrics, _ = run(tmp_path, monkeypatch, "echo busy")
    assert (code, samples(metrics, "success")) == (0, {})
    run(tmp_path, monkeypatch, "echo 'note|places|7'")
    cells = {"cell-2": configuration(name="cell-2", host="pg-2.example.org")}
    said = "case $PGHOST in pg-2.*) echo 'note|places|3';; *) echo busy;; esac"
    code, metrics, _ = run(tmp_path, monkeypatch, said, cells)
    assert (code, samples(metrics, "databases")) == (0, {"shared": 7, "cell-2": 3})
    # Of another version of the program: forgotten.
    (tmp_path / "samples.json").write_text('{"shared": {"success": 1}}', encoding="utf-8")
    assert samples(run(tmp_path, monkeypatch, "echo busy")[1], "success") == {}


def test_each_cluster_has_its_own_authority_password_and_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = {
        name: configuration(
            name=name, host=f"{name}.example.org", password=f"of {name}", ca=f"authority of {name}"
        ).replace('"connections": 5', f'"connections": {limit}')
        for name, limit in (("cell-2", 6), ("cell-3", 7))
    }
    said = f'echo "$PGSSLROOTCERT $*" > {tmp_path}/seen-$PGHOST; cat "$PGPASSFILE" >> {tmp_path}/seen-$PGHOST'
    code, metrics, scratch = run(tmp_path, monkeypatch, said, cells)
    assert code == 0
    assert set(samples(metrics, "success")) == {"shared", "cell-2", "cell-3"}
    assert samples(metrics, "configuration_valid") == {"environment": 1, "cell-2": 1, "cell-3": 1}
    for name, limit in (("cell-2", 6), ("cell-3", 7)):
        seen = (tmp_path / f"seen-{name}.example.org").read_text()
        assert f"{scratch}/{name}/ca.pem" in seen
        assert (scratch / name / "ca.pem").read_text() == f"authority of {name}"
        assert f"connections={limit}" in seen
        assert seen.endswith(f"{name}.example.org:25060:*:doadmin:of {name}\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (configuration()[:-30], "is not valid JSON, line 1"),
        ("", "is not valid JSON, line 1"),
        ("[]", "does not have the form that Terraform writes"),
        ("{}", "does not have the form that Terraform writes"),
        (
            configuration().replace('"extensions": []', '"extensions": ["a,b"]'),
            "does not have the form that Terraform writes",
        ),
        (configuration(ca=None), "does not have the form that Terraform writes"),
        (configuration(name="../etc"), "does not have the form that Terraform writes"),
        (configuration(port="port"), "does not have the form that Terraform writes"),
        (configuration(), "names a cluster shared, as cell-1 does"),
    ],
)
def test_a_broken_configuration_is_an_error_and_the_others_are_isolated(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    told: str,
) -> None:
    cells = {"cell-1": configuration(), "environment": configuration(name="other"), "cell-2": text}
    code, metrics, _ = run(tmp_path, monkeypatch, "echo 'note|places|7'", cells)
    assert code == 1
    assert samples(metrics, "success") == {"shared": 1, "other": 1}
    assert samples(metrics, "configuration_valid") == {"environment": 1, "cell-1": 1, "cell-2": 0}
    said = capsys.readouterr().out
    assert f"<3>configuration cell-2 {told}" in said
    assert "a:b" not in said
    # The cell's clusters may be any that are not known: no stamp is forgotten meanwhile.
    (tmp_path / "visited-cell-2").touch()
    run(tmp_path, monkeypatch, "", cells)
    assert (tmp_path / "visited-cell-2").exists()


def test_a_cell_that_leaves_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {"cell-2": configuration(name="cell-2")}
    _, metrics, _ = run(tmp_path, monkeypatch, "", cells)
    assert set(samples(metrics, "success")) == {"shared", "cell-2"}
    assert (tmp_path / "visited-cell-2").exists()
    code, metrics, _ = run(tmp_path, monkeypatch, "")
    assert (code, "cell-2" in metrics) == (0, False)
    assert not (tmp_path / "visited-cell-2").exists()
    assert (tmp_path / "visited-shared").exists()


def test_one_cluster_that_hangs_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CLUSTER_TIMEOUT_SECONDS", 1.0)
    cells = {"cell-2": configuration(name="cell-2", host="pg-2.example.org")}
    said = f"case $PGHOST in pg-2.*) touch {tmp_path}/done;; *) exec sleep 60;; esac"
    code, metrics, _ = run(tmp_path, monkeypatch, said, cells)
    assert (code, samples(metrics, "success")) == (1, {"shared": 0, "cell-2": 1})
    assert (tmp_path / "done").exists()


def test_without_a_configuration_the_run_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(Folders(tmp_path, tmp_path, tmp_path)) == 1
    assert "no isolation_*.json in" in capsys.readouterr().out


def test_every_database_is_visited_at_first_and_then_once_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f'case "$*" in *full=1*) echo full;; *) echo partial;; esac >> {tmp_path}/runs'
    stamp = tmp_path / "visited-shared"
    run(tmp_path, monkeypatch, said)
    for age in (0, FULL_SECONDS - 1, FULL_SECONDS):
        os.utime(stamp, (1_000 - age, 1_000 - age))
        run(tmp_path, monkeypatch, said)
    assert (tmp_path / "runs").read_text().split() == ["full", "partial", "partial", "full"]


def test_a_full_run_that_failed_is_due_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, monkeypatch, "exit 1")
    assert not (tmp_path / "visited-shared").exists()


def test_a_database_is_visited_with_what_the_cluster_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"""
case "$*" in
    *cluster.sql*) echo 'visit|one|one_owner|mark of one'; echo 'visit|two|two_owner|mark of two';;
    *--dbname' 'two*) echo 'finding|PUBLIC|two|may use schema public';;
    *) echo "$*" >> {tmp_path}/visits;;
esac"""
    code, metrics, _ = run(tmp_path, monkeypatch, said)
    assert (code, samples(metrics, "visited"), samples(metrics, "findings")) == (
        1,
        {"shared": 2},
        {"shared": 1},
    )
    (visit,) = (tmp_path / "visits").read_text().splitlines()
    assert "--dbname one --file " in visit
    assert "isolation/database.sql " in visit
    assert visit.endswith("--set database=one --set owner=one_owner --set mark=mark of one")


@pytest.mark.parametrize("said", ["exec true", "exit 1"])
def test_a_script_that_does_not_say_that_it_is_done_was_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    code, metrics, _ = run(tmp_path, monkeypatch, said)
    assert (code, samples(metrics, "success"), samples(metrics, "errors")) == (
        1,
        {"shared": 0},
        {"shared": 1},
    )


def test_an_error_of_a_visit_is_not_lost_behind_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = """
case "$*" in
    *cluster.sql*) echo 'finding|a|b|may connect'; echo 'visit|one|one_owner|mark'; echo 'visit|two|two_owner|mark';;
    *--dbname' 'two*) echo 'ERROR:  canceling statement due to lock timeout' >&2; exit 3;;
esac"""
    code, metrics, _ = run(tmp_path, monkeypatch, said)
    assert (code, samples(metrics, "findings"), samples(metrics, "errors")) == (
        1,
        {"shared": 1},
        {"shared": 1},
    )
    assert "<3>shared: two: ERROR:  canceling statement due to lock timeout" in capsys.readouterr().out


def test_busy_for_minutes_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(now: float) -> tuple[int, dict[str, float]]:
        code, metrics, _ = run(tmp_path, monkeypatch, "echo busy", now=now)
        return code, samples(metrics, "success")

    run(tmp_path, monkeypatch, "echo 'note|places|7'")
    assert busy(2_000) == (0, {"shared": 1})
    assert busy(2_000 + BUSY_SECONDS - 1) == (0, {"shared": 1})
    assert busy(2_000 + BUSY_SECONDS) == (1, {"shared": 0})
    assert "<3>shared: another run has been in progress for 180 s" in capsys.readouterr().out
    # And it counts from the beginning after a run that was done.
    run(tmp_path, monkeypatch, "", now=3_000)
    assert busy(4_000) == (0, {"shared": 1})


def test_configurations_that_are_gone_leave_no_metrics_that_say_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, metrics, _ = run(tmp_path, monkeypatch, "")
    assert (code, samples(metrics, "success")) == (0, {"shared": 1})
    folders = Folders(tmp_path / "nothing", tmp_path / "scratch", tmp_path)
    assert command.run(folders) == 1
    assert samples(folders.metrics.read_text(), "success") == {}


def test_what_is_to_be_cleared_is_cleared_and_then_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared = []

    def clear(_client: postgres.Client, result: Result, _private: Path) -> None:
        cleared.extend(result.clears)

    monkeypatch.setattr(cluster, "clear", clear)
    said = f"""
test -e {tmp_path}/again && exec echo done
touch {tmp_path}/again
echo 'clear|tenant|other'
echo 'finding|a|b|holds a privilege itself'"""
    code, metrics, _ = run(tmp_path, monkeypatch, said)
    assert cleared == [("tenant", "other")]
    assert (code, samples(metrics, "findings")) == (0, {"shared": 0})
