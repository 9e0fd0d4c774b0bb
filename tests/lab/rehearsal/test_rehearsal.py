"""A small rehearsal: real Terraform, the real provider, a local DigitalOcean. About two minutes on two cores."""

import json
from pathlib import Path

import pytest

from lab.rehearsal.__main__ import EXIT_USAGE, main
from tests.support import ENVIRONMENTS

pytestmark = pytest.mark.rehearsal


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main([*arguments, "--environments", str(ENVIRONMENTS)])
    captured = capsys.readouterr()
    if code == EXIT_USAGE:
        pytest.skip(captured.err.strip().splitlines()[0])
    assert code == 0, captured.out + captured.err
    return captured.out


def test_staging_is_deployed_and_changes_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(["remove-active", "scale-group", "user-data", "bad-droplet"], capsys)
    assert "6 of 6 as expected" in said
    assert "the lock: " in said
    assert "Terraform: Instance cannot be destroyed" in said


def test_a_checkout_changes_nothing_in_what_it_deployed_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, synthesized: Path
) -> None:
    said = run(["diff", "--base", str(synthesized), "--out", str(tmp_path)], capsys)
    assert said.splitlines()[1:] == ["  nothing", "  applied, and the next plan is empty"]
    plan = json.loads((tmp_path / "staging.json").read_text())
    assert {tuple(one["change"]["actions"]) for one in plan["resource_changes"]} == {("no-op",)}
    assert (tmp_path / "staging.json").stat().st_mode & 0o077 == 0
