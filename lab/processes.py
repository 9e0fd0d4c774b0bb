"""Programs that tests start beside themselves, and that end with them: also where a test is killed."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path


def bound(command: Sequence[str | Path]) -> list[str | Path]:
    """Return a command whose process is told to end when the one that starts it does (prctl(2), PR_SET_PDEATHSIG).

    A program that takes rights of its own, as `unshare --user` does, forgets it: there it stands behind that program.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else [*command]


def end(process: "subprocess.Popen[bytes]", seconds: float = 10) -> None:
    """End a process that was started in a session of its own, and all that it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    # What it left behind, or itself.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(seconds)
