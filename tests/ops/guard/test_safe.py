"""The corpus of safe plans: none is refused, no warning comes that nobody needs, and the words are right."""

from pathlib import Path

import pytest

from ops.guard.markdown import render
from ops.guard.report import Verdict
from tests.ops.guard.cases import write_lock
from tests.ops.guard.guard import judge, write_environments
from tests.ops.guard.safe_edits import CASES


def test_there_are_as_many_as_promised() -> None:
    assert len(CASES) >= 50


@pytest.mark.parametrize("name", CASES)
def test_it_passes_and_is_told_in_plain_words(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    environment = next(iter(case.plans)).partition("-cell")[0]
    listed = case.listed
    report = judge(
        tmp_path / "plans",
        case.plans,
        locks=write_lock(tmp_path / "base", environment, case.lock),
        environments=None if listed is None else write_environments(tmp_path / "files", environment, listed),
        first_deploys=case.first_deploys,
    )
    assert report.verdict is Verdict.SAFE, report.refused
    assert {one.rule for one in report.warnings} == case.warnings
    markdown = render(report)
    for part in case.says:
        assert part in markdown
