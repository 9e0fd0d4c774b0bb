"""Before journal-upload ends: wait until it has sent what was written up to now."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from droplet.converge.errors import CommandError
from droplet.converge.processes import Run
from droplet.journal import INFO, WARNING, log
from droplet.logs.position import sent_until

SECONDS = 20.0
"""Below TimeoutStopSec= of presence360-logs.service; a receiver that is away must not keep a droplet from ending."""
PAUSE = 0.2


def flush(
    run: Run,
    state: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait; whether all of it was sent."""
    try:
        written = _last(run)
    except (CommandError, ValueError, KeyError):
        return False
    end = clock() + SECONDS
    while sent_until(state) < written:
        if clock() > end:
            log(WARNING, f"the last lines were not sent within {SECONDS:.0f} s")
            return False
        sleep(PAUSE)
    log(INFO, "every line up to now was sent")
    return True


def _last(run: Run) -> float:
    """Return the time of the journal's last line."""
    text = run(["journalctl", "--quiet", "--lines=1", "--output=json"], {}, 10)
    return int(json.loads(text)["__REALTIME_TIMESTAMP"]) / 1e6
