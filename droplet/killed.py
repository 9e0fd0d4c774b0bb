"""A program that the kernel has killed, most often because one row needs more memory than the program may have.

pg_dump holds a whole row, as text and twice: of a bytea of 200 MB it was seen to take 773 MB. The units that copy
databases have `OOMPolicy=continue`: the kernel kills the largest program, and the job goes on with the next database.
"""

import signal
import subprocess
from contextlib import suppress

from droplet.outcome import FailedError

_SECONDS = 1.0


class KilledError(FailedError):
    """A program was killed. The message names the program, and quotes nothing."""


def is_killed(process: "subprocess.Popen[bytes]") -> bool:
    """Tell whether a program has ended because somebody else killed it.

    What it wrote to is closed a moment before it counts as ended, so it is waited for a little.
    """
    with suppress(subprocess.TimeoutExpired):
        return process.wait(_SECONDS) == -signal.SIGKILL
    return False


def words(name: str) -> str:
    """Say it of a program."""
    return f"{name} was killed: a row of the church's needs more memory than the droplet gives it (docs/backups.md)"
