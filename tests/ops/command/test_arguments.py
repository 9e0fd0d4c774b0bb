"""What somebody typed is repeated on one line, without what a terminal would obey, and without secrets."""

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from lab.rehearsal import __main__ as rehearsal
from model.errors import Problem
from ops.arguments import told
from ops.ci.__main__ import main as step
from ops.errors import OperationError
from ops.git import files_called, git
from ops.guard.__main__ import main as guard
from ops.paths import ENVIRONMENTS as LIVE
from ops.plan_json import UnusablePlanError, parse_plan
from tests.ops.command.conftest import Command

HOSTILE = "x\x1b[2J\x07\r\nforged: this is fine\u202e"
HARMLESS = "x\\x1b[2J\\x07\\r\\nforged: this is fine\\u202e"
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]")


def is_harmless(said: str) -> bool:
    return not OBEYED.search(said) and "\nforged" not in said


def test_an_argument_is_one_line_without_controls_and_secrets() -> None:
    assert told(HOSTILE) == HARMLESS
    assert told("staging") == "staging"
    assert told(Path("Église de la Grâce")) == "Église de la Grâce"
    token = "dop_v1_" + "0123456789abcdef" * 4
    assert token not in told(f"--token={token}")


def test_the_file_of_a_problem_is_one_line() -> None:
    assert str(Problem(HOSTILE, 3, "", "wrong", "Fix it.")) == f"{HARMLESS}:3: wrong\n    Fix it."


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", HOSTILE],
        ["plan", "--stack", HOSTILE],
        ["apply", HOSTILE, "--yes"],
        ["apply", f"production-{HOSTILE}", "--yes", "--keep", HOSTILE],
        ["adopt", HOSTILE],
        ["unlock", HOSTILE],
        ["drift", HOSTILE],
        [HOSTILE],
        ["plan", "staging", HOSTILE],
        ["plan", "staging", f"--{HOSTILE}"],
    ],
    ids=lambda arguments: " ".join(arguments)[:20].replace("\x1b", ""),
)
def test_a_deploy(command: Command, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("ops.") and getattr(module, "ENVIRONMENTS", None) == LIVE:
            monkeypatch.setattr(module, "ENVIRONMENTS", command.files.root)
    said = command.ended(*arguments)
    assert "forged" in said
    assert is_harmless(said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["tenant", "show", HOSTILE, "grace"],
        ["tenant", "show", "staging", HOSTILE],
        ["tenant", "add", "staging", "--name", HOSTILE, "--slug", "new"],
        ["tenant", "add", "staging", "--name", "New", "--slug", HOSTILE],
        ["env", "show", HOSTILE],
        ["env", "init", HOSTILE],
        ["env", "init", "new", "--from", HOSTILE],
        ["env", "init", "new", "--domain", HOSTILE],
        ["env", "init", "new", "--ip-range", HOSTILE],
        ["env", "init", "new", "--ssh-key", HOSTILE],
        ["release", "set", "staging", HOSTILE, "1.4.3"],
        ["release", "set", "staging", "worker", HOSTILE],
        ["capacity", HOSTILE],
        ["status", HOSTILE],
    ],
    ids=lambda arguments: " ".join(arguments)[:20].replace("\x1b", ""),
)
def test_a_command_over_the_files(command: Command, arguments: list[str]) -> None:
    said = command.refused(*arguments)
    assert is_harmless(said)


@pytest.mark.parametrize("option", ["--lock", "--environments", "--markdown"])
def test_the_guard(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / f"{HOSTILE}.json"
    file.write_text("{}")
    assert guard([str(file), str(tmp_path / f"{HOSTILE}2.json"), option, str(tmp_path / HOSTILE / "x")]) == 2
    printed = capsys.readouterr()
    assert "forged" in printed.out + printed.err
    assert is_harmless(printed.out + printed.err)


def test_a_plans_name() -> None:
    with pytest.raises(UnusablePlanError) as refused:
        parse_plan("[]", HOSTILE)
    assert is_harmless(str(refused.value))


@pytest.mark.parametrize(
    "arguments", [[HOSTILE], ["diff", "--environment", HOSTILE, "--base", "."], ["--environment", HOSTILE]]
)
def test_a_rehearsal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearsal.main(arguments) == 2
    said = capsys.readouterr().err
    assert "forged" in said
    assert is_harmless(said)


def test_a_step_of_ci(capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):
        assert step(["plan", HOSTILE]) != 0
    printed = capsys.readouterr()
    assert is_harmless(printed.out + printed.err)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for command in (
        ["init", "-q"],
        ["config", "user.email", "a@example.org"],
        ["config", "user.name", "a"],
        ["commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return tmp_path


def test_a_revision_of_git(repository: Path) -> None:
    with pytest.raises(OperationError) as failed:
        files_called("x", repository, HOSTILE, ".")
    assert "forged" in str(failed.value)
    assert is_harmless(str(failed.value))


def test_a_revision_is_no_option(repository: Path) -> None:
    """`git log --output=FILE` would write a file, `git show --ext-diff` would run a program."""
    for revision in ("--help", f"--output={repository}/made", "-h"):
        with pytest.raises(OperationError):
            files_called("x", repository, revision, ".")
    assert not (repository / "made").exists()
    assert git(repository, "status", "--porcelain") == ""
