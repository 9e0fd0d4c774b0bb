"""The journal: whatever a message holds, it is one line with one priority."""

from collections.abc import Callable

import pytest

from droplet import fetch, journal


@pytest.mark.parametrize("log", [journal.log, fetch.log], ids=["journal", "fetch"])
def test_a_message_is_one_line(log: Callable[[int, str], None], capsys: pytest.CaptureFixture[str]) -> None:
    log(3, "refused: x\n<6>release 1.4.2: healthy\r\x1b[2J\u2028<6>forged")
    (line,) = capsys.readouterr().out.splitlines()
    assert line == r"<3>refused: x\n<6>release 1.4.2: healthy\r\x1b[2J\u2028<6>forged"


def test_a_message_stays_as_it_is_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    journal.log(6, "église: release 1.4.2, 'healthy' \\ (7 s)")
    assert capsys.readouterr().out == "<6>église: release 1.4.2, 'healthy' \\ (7 s)\n"
