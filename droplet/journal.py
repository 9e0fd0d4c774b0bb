"""The journal: one line a message, with a priority that systemd reads."""

import sys

ERROR, WARNING, INFO = 3, 4, 6
"""Syslog priorities; systemd reads them from `<3>` at the start of a line (sd-daemon(3))."""


def log(priority: int, message: str) -> None:
    """Write one line to the journal."""
    sys.stdout.write(f"<{priority}>{message}\n")
    sys.stdout.flush()
