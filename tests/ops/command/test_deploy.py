"""Plan, apply, drift, guard and capacity: thin fronts of the functions behind them."""

import argparse
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.ci import steps, workflow
from ops.ci.errors import StepError
from ops.ci.plans import PlannedStack, Record
from ops.command import deploy
from ops.command.app import app
from ops.errors import UsageError
from tests.model.workspace import STAGING
from tests.ops.command.conftest import Command, commit
from tests.support import ROOT

PROGRAM = ROOT / "bin" / "presence360"


@pytest.fixture(autouse=True)
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the commands call, in place of CI's own steps."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def step(name: str) -> Callable[[argparse.Namespace], int]:
        def run(options: argparse.Namespace) -> int:
            calls.append((name, vars(options)))
            sys.stdout.write(f"{name} was called\n")
            return 0

        return run

    for name in ("make_plan", "apply", "drift"):
        monkeypatch.setattr(steps, name, step(name))
    monkeypatch.setattr(deploy, "ENVIRONMENTS", Path("environments"))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return calls


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_what_follows_a_synth_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = "presence360 plan staging, then presence360 apply staging (README.md, First deploy)"
    monkeypatch.setenv("PATH", "/nowhere")
    assert deploy._after_synth(tmp_path) == (
        f'Next: make setup, then export PATH="{tmp_path}/bin:$PATH", then {rest}'
    )
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / ".installed").touch()
    monkeypatch.setenv("PATH", str(PROGRAM.parent))
    assert deploy._after_synth(tmp_path) == f"Next: {rest}"


def test_a_plan_for_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = Record("c0ffee", (PlannedStack("staging", "ab", changes=True, groups=("app", "worker")),))
    monkeypatch.setattr(steps, "plan_folder", lambda *_: tmp_path)
    (tmp_path / "record.json").write_text(record.text())
    out, _ = run("plan", "staging", "--json")
    assert json.loads(out) == {
        "name": "staging",
        "applicable": True,
        "digest": record.digest,
        "changes": True,
        "stacks": [{"stack": "staging", "changes": True, "replaced_groups": ["app", "worker"]}],
        "report": "make_plan was called",
    }


def test_a_refused_plan_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: argparse.Namespace) -> int:
        sys.stdout.write("plan guard: REFUSED (1)\n")
        raise StepError("the plan guard refuses this")

    monkeypatch.setattr(steps, "make_plan", refuse)
    out, err = run("plan", "staging", "--json", code=1)
    said = json.loads(out)
    assert (said["applicable"], said["digest"], said["report"]) == (False, None, "plan guard: REFUSED (1)")
    assert "the plan guard refuses this" in err


def test_a_plan_is_the_step_that_ci_runs(called: list[tuple[str, dict[str, Any]]]) -> None:
    run("plan", "staging", "--keep", "7-1", "--base", "origin/main")
    run("plan", "--stack", "staging-cell-2")
    assert called == [
        ("make_plan", {"environment": "staging", "stack": "", "keep": "7-1", "base": "origin/main"}),
        ("make_plan", {"environment": "", "stack": "staging-cell-2", "keep": "", "base": ""}),
    ]


@pytest.mark.parametrize(
    "arguments", [("plan",), ("drift",), ("apply",), ("plan", "staging", "--stack", "staging")]
)
def test_one_scope_has_to_be_named(
    arguments: tuple[str, ...], called: list[tuple[str, dict[str, Any]]]
) -> None:
    assert "name an environment (presence360 plan staging), or one stack" in run(*arguments, code=2)[1]
    assert called == []


def test_production_needs_an_answer_or_a_digest(called: list[tuple[str, dict[str, Any]]]) -> None:
    assert "no terminal to ask on" in run("apply", "production", code=2)[1]
    assert "no terminal to ask on" in run("apply", "--stack", "production-cell-2", code=2)[1]
    assert called == []
    run("apply", "production", "--yes")
    run("apply", "production", "--digest", "9f")
    run("apply", "staging", "--no-wait")
    assert [options["digest"] for _, options in called] == ["", "9f", ""]
    assert [options["no_wait"] for _, options in called] == [False, False, True]


def test_on_a_terminal_the_plan_is_named_before_production(
    called: list[tuple[str, dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "_require_terminal", lambda _: None)
    monkeypatch.setattr(steps, "plan_folder", lambda environment, stack: tmp_path / (stack or environment))
    assert "there is no plan in" in run("apply", "production", code=1)[1]
    (tmp_path / "production").mkdir()
    planned = [PlannedStack("production", "00", True), PlannedStack("production-cell-2", "00", False)]
    record = Record("0123456789abcdef", tuple(planned))
    (tmp_path / "production" / "record.json").write_text(record.text(), encoding="utf-8")
    result = CliRunner().invoke(app, ["apply", "production"], input="production\n")
    assert result.exit_code == 0, result.output
    assert (
        "This applies the plan of production that was made at commit 0123456789ab. It changes production."
        in result.output
    )
    assert [name for name, _ in called] == ["apply"]


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (StepError("the plan guard refuses this"), 1, "error: the plan guard refuses this\n"),
        (UsageError(["DIGITALOCEAN_TOKEN is not set", "AWS_PROFILE is not set"]), 2,
         "presence360: DIGITALOCEAN_TOKEN is not set\npresence360: AWS_PROFILE is not set\n"),
    ],
)  # fmt: skip
def test_how_a_step_ends(error: Exception, code: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(steps, "make_plan", fail)
    assert run("plan", "staging", code=code) == ("", told)


def test_on_github_a_failure_is_shown_beside_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise StepError("refused")

    monkeypatch.setattr(steps, "make_plan", fail)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run("plan", "staging", code=1)[0] == "::error::refused\n"


def test_drift_for_programs(
    command: Command, called: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = json.loads(run("drift", "staging", "--json")[0])
    assert found == {"name": "staging", "differs": False, "report": "drift was called"}

    def differs(_: argparse.Namespace) -> int:
        workflow.summarize("## staging")
        raise StepError("staging differs")

    monkeypatch.setattr(steps, "drift", differs)
    said, error = run("drift", "staging", "--json", code=1)
    assert json.loads(said) == {"name": "staging", "differs": True, "report": "## staging"}
    assert error == "error: staging differs\n"
    assert command.files.root.exists()
    assert called[0][1]["into"] is None
    assert called[0][1]["only_if_set_up"] is False

    def missing(_: argparse.Namespace) -> int:
        raise UsageError(["DIGITALOCEAN_TOKEN is not set"])

    monkeypatch.setattr(steps, "drift", missing)
    # Nobody looked, so nothing is said of a difference.
    assert run("drift", "staging", "--json", code=2) == ("", "presence360: DIGITALOCEAN_TOKEN is not set\n")


def test_drift_warns_of_old_credentials(command: Command, tmp_path: Path) -> None:
    commit(tmp_path, date="2020-01-01T00:00:00Z")
    assert "warning: The database credentials of grace, hope and river are more" in run("drift", "staging")[1]
    command("tenant", "rotate", "staging", "grace")
    assert "credentials of hope and river are more" in run("drift", "staging")[1]


def test_the_guard_judges_and_its_exit_code_is_kept(command: Command) -> None:
    Path("staging.json").write_text("{}", encoding="utf-8")
    answer = command("guard", "staging.json", code=2)
    assert "CANNOT JUDGE" in answer.out
    assert json.loads(command("guard", "staging.json", "--json", code=2).out)["verdict"]


def test_capacity(command: Command) -> None:
    found = json.loads(command("capacity", "--json").out)
    assert [one["environment"] for one in found] == ["production", "staging"]
    assert "room for 13 more tenants" in command("capacity", "staging").out
    command.files.replace(STAGING, "connections: 5\n", "connections: 20\n")
    assert "65 needed, 47 available" in command("capacity", code=2).err


def test_a_laptop_needs_an_environment_that_there_is(command: Command) -> None:
    assert "Did you mean 'staging'?" in command("local", "stagin", "--outdir", "out", code=2).err
    assert not Path("out").exists()
    assert "out: 5 services, 3 tenants." in command("local", "staging", "--outdir", "out").out
    assert Path("out/compose.yaml").exists()


def test_what_the_lab_has_is_run_as_a_program(capfd: pytest.CaptureFixture[str]) -> None:
    run("rehearse", "--list")
    assert capfd.readouterr().out.startswith("add-tenant ")
    run("rehearse", "no-such-scenario", code=2)
    run("local-digitalocean", "--seconds", "droplet=soon", code=2)


def test_a_local_digitalocean_ends_with_the_command_and_has_its_folder_alone(tmp_path: Path) -> None:
    command = [str(PROGRAM), "local-digitalocean", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        while not (line := serving.stdout.readline()).startswith("# a local DigitalOcean on http://"):
            assert line
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr == (
            f"another local DigitalOcean uses {tmp_path}: end it first, or name another --folder\n"
        )
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(timeout=60) == 0
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", int(line.split(";")[0].rpartition(":")[2])))
