"""`presence360 run` and the workflow's step: the same request, by a person's terminal and by GitHub."""

import argparse
import json
import shlex
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from model.config import config_bucket, status_bucket
from model.plan import EnvironmentPlan
from model.runs import run_key
from ops import remote_run
from ops.ci import run_command, settings
from ops.command import run as shown
from ops.command.app import app
from ops.errors import UsageError
from tests.ops.cloud import NAMES, Cloud, Time
from tests.ops.command.conftest import Command

WORKER = config_bucket(NAMES, "worker")


@pytest.fixture(autouse=True)
def deployed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "load", lambda _: cloud.environ)
    monkeypatch.setattr(shown, "SYSTEM_CLOCK", cloud.time.clock)


def answer(
    cloud: Cloud, time: Time, result: str, exit_status: int, output: str = "", reason: str = ""
) -> list[dict[str, Any]]:
    """Let a droplet answer the request that comes; return where it is put."""
    asked: list[dict[str, Any]] = []

    def end() -> None:
        (key,) = (key for key in cloud.server.spaces.keys(WORKER) if key.startswith("requests/"))
        asked.append(json.loads(cloud.server.spaces.content(WORKER, key) or b""))
        said = {
            "name": "staging-worker-1-3fa9c2", "state": "ended", "result": result, "exit_status": exit_status,
            "reason": reason, "output": output, "cut": False, "time": "2026-11-26T09:00:00Z",
        }  # fmt: skip
        run_id = key.removeprefix("requests/").removesuffix(".json")
        cloud.server.spaces.put(status_bucket(NAMES, "worker"), run_key(run_id), json.dumps(said).encode())

    time.then = {time.sleeps + 1: end}
    return asked


def call(command: Command, *arguments: str) -> Any:
    root = ("--environments", str(command.files.root))
    return CliRunner().invoke(app, ["run", *root, *arguments], prog_name="presence360")


def test_what_stands_behind_the_dashes_is_the_command(command: Command, cloud: Cloud, time: Time) -> None:
    asked = answer(cloud, time, "ok", 0, "done\n")
    result = call(
        command, "staging", "worker", "--timeout-minutes", "5", "--", "report", "--help", "-x", "a b"
    )
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert asked[0]["command"] == ["report", "--help", "-x", "a b"]
    assert (asked[0]["service"], asked[0]["timeout_seconds"]) == ("worker", 300)
    assert "ended well" in result.stderr


def test_the_exit_status_is_the_commands(command: Command, cloud: Cloud, time: Time) -> None:
    answer(cloud, time, "failed", 42, "no\n")
    result = call(command, "staging", "worker", "--", "report")
    assert (result.exit_code, result.stdout) == (42, "no\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("production", "worker", "--", "x"), "by the workflow `Run a command` alone"),
        (("staging", "workers", "--", "x"), "staging runs no service 'workers'. Did you mean 'worker'?"),
        (("stagin", "worker", "--", "x"), "there is no environment 'stagin'"),
        (
            ("staging", "worker", "--timeout-minutes", "0", "--", "x"),
            "--timeout-minutes is from 1 to 720, not 0",
        ),
        # What is wrong with the call itself comes first.
        (
            ("production", "worker", "--timeout-minutes", "721", "--", "x"),
            "--timeout-minutes is from 1 to 720, not 721",
        ),
        (("staging", "worker", "--", ""), "word 1 of the command is empty"),
        (
            ("staging", "worker", "--", "x", "a\nb"),
            "word 2 of the command ('a\\nb') is longer than 4,096, or has control",
        ),
        (
            ("production", "worker", "--", "report", "it's", "2026"),
            "gh workflow run run.yml -f environment=production -f service=worker -f "
            + shlex.quote("command=report " + shlex.quote("it's") + " 2026")
            + " -f minutes=30\n",
        ),
    ],
)
def test_what_cannot_be_run_is_told(
    command: Command, cloud: Cloud, arguments: tuple[str, ...], told: str
) -> None:
    result = call(command, *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert [key for key in cloud.server.spaces.keys(WORKER) if key.startswith("requests/")] == []


def test_without_keys_it_says_which(command: Command, cloud: Cloud) -> None:
    del cloud.environ["SPACES_ACCESS_KEY_ID"]
    cloud.environ["SPACES_SECRET_ACCESS_KEY"] = ""
    result = call(command, "staging", "worker", "--", "x")
    assert result.exit_code == 2
    assert "SPACES_ACCESS_KEY_ID is not set: " in result.stderr
    assert "SPACES_SECRET_ACCESS_KEY is not set: " in result.stderr


def test_the_workflows_inputs_are_words_and_no_shells() -> None:
    environ = {
        "RUN_ENVIRONMENT": "staging",
        "RUN_SERVICE": "worker",
        "RUN_COMMAND": "python -c 'print($HOME; `x`)'",
    }
    assert run_command.inputs(environ) == ("staging", "worker", ["python", "-c", "print($HOME; `x`)"], 30)
    assert run_command.inputs({**environ, "RUN_MINUTES": "5"})[3] == 5


@pytest.mark.parametrize("by_workflow", [False, True])
def test_github_takes_no_output_for_a_command_of_its_own(
    command: Command,
    cloud: Cloud,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    by_workflow: bool,
) -> None:
    printed = "::add-mask::a\n::stop-commands::mine\n##[error]x\n::error::"
    answer(cloud, time, "failed", 3, printed, reason="::error:: ##[add-mask]a")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    if by_workflow:
        for name, text in {"ENVIRONMENT": "staging", "SERVICE": "worker", "COMMAND": "report"}.items():
            monkeypatch.setenv(f"RUN_{name}", text)
        monkeypatch.setattr(run_command, "ENVIRONMENTS", command.files.root)
        of = remote_run.Remote.of

        def with_clock(plan: EnvironmentPlan, service: str, environ: Mapping[str, str]) -> remote_run.Remote:
            return of(plan, service, environ, cloud.time.clock)

        monkeypatch.setattr(remote_run.Remote, "of", with_clock)
        assert run_command.run_command(argparse.Namespace()) == 3
        found = capfd.readouterr()
        out, err = found.out, found.err
    else:
        result = call(command, "staging", "worker", "--", "report")
        out, err = result.stdout, result.stderr
    first, *between, last, after = out.split("\n")
    token = first.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert (last, after) == (f"::{token}::", "")
    assert "\n".join(between) == printed
    assert "::error::" in err
    assert "##[" not in err, "GitHub takes it for a command anywhere in a line"


def test_half_of_a_character_ends_no_run(command: Command, cloud: Cloud, time: Time) -> None:
    answer(cloud, time, "ok", 0, "\ud800 done\n")
    result = call(command, "staging", "worker", "--", "report")
    assert (result.exit_code, result.stdout) == (0, "? done\n")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"RUN_COMMAND": ""}, "RUN_COMMAND is not set"),
        ({"RUN_COMMAND": "sh -c 'x"}, "RUN_COMMAND cannot be split into words"),
        ({"RUN_MINUTES": "5m"}, "RUN_MINUTES is not a number of minutes"),
    ],
)
def test_a_workflows_input_that_is_wrong_is_told(changed: dict[str, str], told: str) -> None:
    environ = {"RUN_ENVIRONMENT": "staging", "RUN_SERVICE": "worker", "RUN_COMMAND": "x", **changed}
    with pytest.raises(UsageError) as raised:
        run_command.inputs(environ)
    assert told in raised.value.problems[0]
