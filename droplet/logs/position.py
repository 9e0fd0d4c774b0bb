"""How far a droplet's journal has been sent, by the file in which journal-upload remembers it."""

import re
from pathlib import Path

STATE = Path("/var/lib/private/presence360-logs/state")
"""Of presence360-logs.service: a dynamic user's, so below `private` (systemd.exec(5), DynamicUser=)."""

_TIME = re.compile(r"^LAST_CURSOR=(?:.*;)?t=([0-9a-f]{1,16})(?:;|$)", re.MULTILINE)
"""Microseconds since 1970, as every cursor has had them (sd_journal_get_cursor). Its text is said to be private: where
it changes, nothing is known, and the alert LogsStopped says so."""


def sent_until(state: Path) -> float:
    """Return the time of the last line that was sent, in seconds since 1970; 0 if none was, or nothing is known."""
    try:
        found = _TIME.search(state.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return 0.0
    return int(found[1], 16) / 1e6 if found else 0.0
