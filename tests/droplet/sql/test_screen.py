"""What of psql's output reaches an operator's terminal as it is."""

import pytest

from droplet.sql.screen import Screen


@pytest.mark.parametrize(
    ("terminal", "written", "sent"),
    [
        (False, "a\tb\nä", "a\tb\nä"),
        (False, "\x1b[31mred\r\x08", "\\x1b[31mred\\x0d\\x08"),
        (True, "\x1b[?2004h=> \x1b[K\x1b[1;31mred\x1b[m\r\n", "\x1b[?2004h=> \x1b[K\x1b[1;31mred\x1b[m\r\n"),
        # The clipboard, a title, a device that answers, the mouse, C1 controls.
        (True, "\x1b]52;c;ZQ==\x07", "\\x1b]52;c;ZQ==\x07"),
        (True, "\x1bP$q\x1b\\ \x1b[6n \x1b[c \x1b[21t", "\\x1bP$q\\x1b\\ \\x1b[6n \\x1b[c \\x1b[21t"),
        (True, "\x1b[?1000h \x9b6n \x9d52;", "\\x1b[?1000h \\x9b6n \\x9d52;"),
    ],
)
def test_a_terminal_gets_what_it_may_obey(terminal: bool, written: str, sent: str) -> None:
    for size in (1, 3, 100):
        screen = Screen(terminal=terminal)
        content = written.encode()
        parts = [screen.shown(content[at : at + size]) for at in range(0, len(content), size)]
        assert b"".join([*parts, screen.shown(b"", end=True)]).decode() == sent, size


def test_what_is_no_text_is_shown() -> None:
    assert Screen(terminal=False).shown(b"a\xffb", end=True) == b"a\\xffb"
