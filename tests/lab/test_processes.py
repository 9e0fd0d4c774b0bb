"""What tests start ends with them: also with a test that is killed, and with all that was started in turn."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.processes import end

# Says its number, and that of a process which it started.
PROGRAM = (
    "import os, subprocess, time\n"
    "below = subprocess.Popen(['sleep', '60'])\n"
    "print(os.getpid(), below.pid, flush=True)\n"
    "time.sleep(60)\n"
)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def soon(what: Callable[[], bool]) -> bool:
    end_at = time.monotonic() + 10
    while not what() and time.monotonic() < end_at:
        time.sleep(0.05)
    return what()


def test_what_a_program_started_ends_with_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    own, below = map(int, process.stdout.readline().split())
    assert alive(below)
    end(process)
    process.stdout.close()
    assert soon(lambda: not alive(own) and not alive(below))


@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv (Debian: util-linux)")
def test_what_a_killed_test_started_ends() -> None:
    code = (
        "import subprocess, sys, time\n"
        "from lab.processes import bound\n"
        "print(subprocess.Popen(bound(['sleep', '60'])).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    test = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert test.stdout
    started = int(test.stdout.readline())
    # Before that it is setpriv, which has still to ask for it.
    assert soon(lambda: Path(f"/proc/{started}/cmdline").read_bytes().startswith(b"sleep"))
    test.kill()
    test.wait()
    test.stdout.close()
    try:
        assert soon(lambda: not alive(started))
    finally:
        if alive(started):
            os.kill(started, signal.SIGKILL)
