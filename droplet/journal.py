"""The journal: one line a message, with a priority that systemd reads."""

import sys

ERROR, WARNING, INFO = 3, 4, 6
"""Syslog priorities; systemd reads them from `<3>` at the start of a line (sd-daemon(3))."""


def log(priority: int, message: str) -> None:
    """Write one line to the journal.

    What is no printable character is escaped as Python writes it: behind a line break a message could go on as a line
    of its own, with a priority and a sender that are made up, and what programs and peers say is in messages.
    """
    sys.stdout.write(f"<{priority}>{printable(message)}\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Escape what a journal or a terminal would obey, line breaks included."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
