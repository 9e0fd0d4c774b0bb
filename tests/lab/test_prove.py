"""A proof that failed, or proved nothing, says so."""

from pathlib import Path

import pytest

from lab import prove
from lab.prove import Outcome, counted

REPORT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest" errors="{errors}" failures="{failures}" skipped="{skipped}" tests="{tests}"/>
</testsuites>"""


@pytest.mark.parametrize(
    ("tests", "failures", "errors", "skipped", "expected"),
    [
        (48, 0, 0, 0, Outcome(proved=True, figures="48 passed")),
        (48, 0, 0, 3, Outcome(proved=True, figures="45 passed, 3 skipped")),
        (48, 1, 1, 0, Outcome(proved=False, figures="46 passed, 2 failed")),
        (48, 0, 0, 48, Outcome(proved=False, figures="0 passed, 48 skipped")),
    ],
)
def test_what_a_report_tells(
    tests: int, failures: int, errors: int, skipped: int, expected: Outcome, tmp_path: Path
) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(tests=tests, failures=failures, errors=errors, skipped=skipped))
    assert counted(report) == expected


def test_no_report_is_no_proof(tmp_path: Path) -> None:
    assert not counted(tmp_path / "report.xml").proved


def test_tests_run_with_their_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os\ndef test_it(): assert os.environ['WANTED'] == '1'\ndef test_two(): pass\n"
    )
    monkeypatch.setattr(prove, "ROOT", tmp_path)
    assert prove.tests(str(tmp_path), WANTED="1") == Outcome(proved=True, figures="2 passed")
    assert prove.tests(str(tmp_path), WANTED="0") == Outcome(proved=False, figures="1 passed, 1 failed")


@pytest.mark.parametrize(("proved", "code"), [(True, 0), (False, 1)])
def test_the_line_for_the_page(
    proved: bool,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(prove, "PROOFS", {"droplets": lambda: Outcome(proved=proved, figures="48 passed")})
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    assert prove.main(["droplets"]) == code
    line = capsys.readouterr().out.strip()
    assert line.startswith("| droplets | 20")
    assert line.count("|") == 6
    assert line.endswith("48 passed |")
    assert ("not proved" in line) is not proved
    assert (tmp_path / "summary").read_text().endswith(f"{line}\n")
