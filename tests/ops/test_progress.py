"""What is said of something that takes its time."""

import os
import re
import sys

import pytest

from ops import progress
from ops.ci import steps
from ops.progress import elapsed, working


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.4, "0 s"), (34.2, "34 s"), (59.6, "1 min 0 s"), (312, "5 min 12 s")]
)
def test_a_duration_is_written_as_people_read_it(seconds: float, written: str) -> None:
    assert elapsed(seconds) == written


def test_only_what_is_slow_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # However busy this machine is.
    monkeypatch.setattr(progress, "SLOW_SECONDS", 1000.0)
    with working("staging: plan"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "SLOW_SECONDS", -1.0)
    with working("staging: plan"):
        pass
    assert capsys.readouterr() == ("", "staging: plan done, 0 s\n")


def test_and_what_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "SLOW_SECONDS", -1.0)
    with pytest.raises(ValueError, match="no"), working("staging: plan"):
        raise ValueError("no")
    assert capsys.readouterr().err == "staging: plan failed, 0 s\n"


def test_a_synth_that_fails_is_not_called_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SLOW_SECONDS", -1.0)
    program = "import sys; print('line 3: wrong', file=sys.stderr); sys.exit(2)"
    with pytest.raises(SystemExit) as ended:
        steps.run_synth([sys.executable, "-c", program], os.environ)
    assert ended.value.code == 2
    assert re.fullmatch(r"synth failed, \d+ s\nline 3: wrong\n", capsys.readouterr().err)
    steps.run_synth([sys.executable, "-c", ""], os.environ)
    assert re.fullmatch(r"synth done, \d+ s\n", capsys.readouterr().err)
