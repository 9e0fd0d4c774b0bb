"""`presence360 drill`: the drill's key stays in the program, and in no other that it starts."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model.drill_status import DrillStatus
from ops.ci import settings, steps
from ops.command.drill import KEY_VARIABLE
from ops.drill import before, run
from ops.drill.place import Place
from ops.drill.run import Result
from ops.errors import OperationError, UsageError
from tests.ops.command.conftest import Command

KEYS = ("DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY")
KEY = "AGE-SECRET-KEY-1" + "Q" * 58


@pytest.mark.parametrize("given", ["variable", "file"])
def test_no_program_that_is_started_has_the_key(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    seen = tmp_path / "seen"
    fake = tmp_path / "terraform"
    fake.write_text(f'#!/bin/sh\necho "$0 $*" >>{seen}\nenv >>{seen}\necho "Terraform v1.11.4"\n')
    fake.chmod(0o755)
    keys: list[str] = []

    def identity(text: str, _: object) -> str:
        keys.append(text)
        return text

    def tried(place: Place, key: str, *_: object, **__: object) -> None:
        keys.append(key)
        place.open_stack()
        raise OperationError("it ends here")

    monkeypatch.setattr(before, "identity", identity)
    monkeypatch.setattr(run, "drill", tried)
    # The program of synth is Python, so that this stands for it too.
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", str(fake))
    for name in ("DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, f"of-{name.lower()}")
    # It reads the operators' own files.
    monkeypatch.setattr(settings, "check_plan", lambda *_: None)
    if given == "variable":
        monkeypatch.setenv(KEY_VARIABLE, KEY)
    else:
        load = settings.load
        monkeypatch.setattr(settings, "load", lambda root: {KEY_VARIABLE: KEY, **load(root)})
    assert "it ends here" in command("drill", "production", code=1).err
    assert keys == [KEY, KEY]
    text = seen.read_text()
    assert "main.py --environments" in text
    assert "-chdir=" in text
    assert text.count("of-digitalocean_token") > 1
    assert (text.count("AGE-SECRET"), text.count(KEY_VARIABLE)) == (0, 0)
    assert KEY_VARIABLE not in os.environ


def test_all_that_a_drill_needs_is_named_at_once(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setattr(settings, "load", lambda _: {})

    def missing(*_: object) -> None:
        raise UsageError(["DIGITALOCEAN_TOKEN is not set", "AWS_ACCESS_KEY_ID is not set"])

    # It reads the operators' own files.
    monkeypatch.setattr(settings, "check_plan", missing)
    said = command.refused("drill", "production")
    wanted = (f"{KEY_VARIABLE} is not set", "DIGITALOCEAN_TOKEN is not set", "AWS_ACCESS_KEY_ID is not set")
    assert [one for one in wanted if one not in said] == []


def test_what_the_call_names_is_looked_at_before_synth_runs(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "load", lambda _: dict.fromkeys(KEYS, "given"))
    monkeypatch.setattr(settings, "check_plan", lambda *_: None)
    monkeypatch.setattr(steps, "run_synth", lambda *_: pytest.fail("synth has run"))
    said = command.refused("drill", "production", "--cluster", "sharred", "--identity", "nope")
    assert "--cluster 'sharred': there is no such cluster to fork. Did you mean 'shared'? There are: " in said
    assert "--identity nope: No such file or directory. Name the file with the drill's private key" in said


REPORT = "# Restore drill of production: **failed**\n"


def _status(*, passed: bool) -> DrillStatus:
    problems = () if passed else ("tenant_1: readable: damaged pages",)
    at = datetime(2026, 11, 27, tzinfo=UTC)
    return DrillStatus("control-1", "ended", None, 2, 2, 0, "", passed, problems, None, at)


@pytest.mark.parametrize(
    ("outcome", "code", "written"),
    [
        (Result(_status(passed=True), "# It passed\n"), 0, ""),
        (Result(_status(passed=False), REPORT), 1, REPORT),
        # The report was not stored.
        (Result(_status(passed=False), ""), 1, "**The drill failed.** `tenant_1: readable: damaged pages`"),
        (
            OperationError("there is no room\npassword = of-terraform"),
            1,
            "**The drill could not be done.** there is no room\n",
        ),
        (
            KeyboardInterrupt(),
            130,
            "**The drill did not come to its end.** The log of the run says where it was.\n",
        ),
    ],
)
def test_what_the_issue_is_made_of(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outcome: object,
    code: int,
    written: str,
) -> None:
    def tried(*_: object, **__: object) -> Result:
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, Result)
        return outcome

    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setattr(before, "identity", lambda text, _: text)
    monkeypatch.setattr(run, "drill", tried)
    monkeypatch.setattr(settings, "check_plan", lambda *_: None)
    monkeypatch.setattr(steps, "run_synth", lambda *_: None)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    for name in ("DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "given")
    file = tmp_path / "drill/production.md"
    command("drill", "production", "--into", str(file), code=code)
    assert file.read_text() == written
    summary = tmp_path / "summary"
    assert (summary.read_text().strip() if summary.exists() else "") == getattr(
        outcome, "markdown", ""
    ).strip()
