"""A scenario with real Terraform and the real provider on a local DigitalOcean (all: `make prove-rehearsal`)."""

import json
import re
from pathlib import Path

import pytest

from lab.rehearsal.__main__ import EXIT_USAGE, main
from tests.support import ENVIRONMENTS

pytestmark = [pytest.mark.rehearsal, pytest.mark.usefixtures("provider")]


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main([*arguments, "--environments", str(ENVIRONMENTS)])
    captured = capsys.readouterr()
    if code == EXIT_USAGE:
        pytest.skip(captured.err.strip().splitlines()[0])
    assert code == 0, captured.out + captured.err
    return captured.out


def test_staging_is_deployed_and_changes_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(["remove-active"], capsys)
    assert re.search(r"\b(\d) of \1 as expected", said)
    assert "the lock: " in said
    assert "Terraform: Instance cannot be destroyed" in said


@pytest.mark.nightly("rehearsal")
def test_a_checkout_changes_nothing_in_what_it_deployed_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, synthesized: Path
) -> None:
    said = run(["diff", "--base", str(synthesized), "--out", str(tmp_path)], capsys)
    assert said.splitlines()[1:] == ["  nothing", "  applied, and the next plan is empty"]
    plan = json.loads((tmp_path / "staging.json").read_text())
    assert {tuple(one["change"]["actions"]) for one in plan["resource_changes"]} == {("no-op",)}
    assert (tmp_path / "staging.json").stat().st_mode & 0o077 == 0
