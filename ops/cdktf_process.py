"""Run the cdktf CLI, and wait for the apply that it may leave behind.

At an interrupt the CLI tells Terraform to stop and exits at once, while Terraform finishes what it began, writes the
state and releases its lock. Whoever runs the CLI again in that time is told that the state is locked.
"""

import fcntl
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
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
    print(
        "Terraform finishes what it began and releases the lock of the state; this waits for it.",
        file=sys.stderr,
    )
    try:
        fcntl.flock(running, fcntl.LOCK_EX)
    except KeyboardInterrupt:
        print(
            "Terraform goes on in the background. Do not deploy this stack again before it ends.",
            file=sys.stderr,
        )
        return
    print(
        f"Terraform has ended with exit code {running.read() or 'unknown'}. `cdktf diff` shows what is left to do.",
        file=sys.stderr,
    )
