"""Run the cdktf CLI, and wait for the apply that it may leave behind.

At an interrupt the CLI tells Terraform to stop and exits at once, while Terraform finishes what it began, writes the
state and releases its lock. A second deploy in that time would find the state locked.
"""

import fcntl
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import IO

from ops.guarded_terraform import INTERRUPTED, RUNNING_VARIABLE

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run_and_wait(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command that applies, and pass signals on to it; return its exit code when no apply of it is left."""
    with tempfile.NamedTemporaryFile("r", prefix="presence360-apply-", encoding="utf-8") as running:
        with subprocess.Popen(command, env={**environ, RUNNING_VARIABLE: running.name}) as process:

            def pass_on(number: int, _frame: FrameType | None) -> None:
                process.send_signal(number)

            before = {number: signal.signal(number, pass_on) for number in SIGNALS}
            code = process.wait()
            for number, handler in before.items():
                signal.signal(number, handler)
        _wait_for_apply(running)
        # Ctrl-C at its question makes the CLI exit with 0.
        if code == 0 and running.read() == str(INTERRUPTED):
            code = INTERRUPTED
    return code if code >= 0 else 128 - code


def _wait_for_apply(running: IO[str]) -> None:
    """Wait until nobody holds the lock that ops/guarded_terraform.py takes."""
    try:
        fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        return
    _tell("Waiting for Terraform: it finishes what it began and releases the lock of the state.")
    try:
        fcntl.flock(running, fcntl.LOCK_EX)
    except KeyboardInterrupt:
        _tell("Terraform goes on in the background. Do not deploy this stack again before it ends.")
        return
    _tell(
        f"Terraform has ended with exit code {running.read() or 'unknown'}. `cdktf diff` shows what is left to do."
    )
    running.seek(0)


def _tell(line: str) -> None:
    # Once the terminal is closed nobody reads this, and the wait goes on all the same.
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
