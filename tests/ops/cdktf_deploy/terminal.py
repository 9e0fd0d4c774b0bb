"""A program in a pseudo-terminal, as a person at a keyboard has it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LOCAL_MODES = 3  # the place in what termios.tcgetattr returns
_A_MOMENT = 0.05
_ROWS, _COLUMNS = 50, 250

DOWN, ENTER, CTRL_C = b"\x1b[B", b"\r", b"\x03"


class Terminal:
    """A running program, what it wrote so far, and a keyboard."""

    def __init__(self, command: Sequence[str | Path], folder: Path, environ: Mapping[str, str]) -> None:
        words = [str(word) for word in command]
        self._written = ""
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            # Wide, so that no line is broken in the middle of what a test looks for.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
            os.chdir(folder)
            os.execvpe(words[0], words, dict(environ))  # noqa: S606  (no shell is wanted)

    def wait_for(self, text: str, seconds: float = 300) -> str:
        """Read until the program has written a text; return all that it wrote, without colours."""
        end = time.monotonic() + seconds
        while text not in self.text:
            left = end - time.monotonic()
            if left < 0 or not self._read(left):
                self._give_up(f"the program did not write {text!r}, or not within {seconds:.0f} s")
        return self.text

    def wait_for_keys(self, *, raw: bool = True, seconds: float = 300) -> None:
        """Wait until the program takes single keys, or lines again (``raw`` false); a key before would be lost."""
        end = time.monotonic() + seconds
        while bool(termios.tcgetattr(self._descriptor)[_LOCAL_MODES] & termios.ICANON) is raw:
            if time.monotonic() > end:
                self._give_up(f"the terminal did not change its mode within {seconds:.0f} s")
            self._read(_A_MOMENT, must=False)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._descriptor, keys)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        os.kill(self.pid, number)

    def hang_up(self) -> int:
        """Close the terminal; return the exit code."""
        os.close(self._descriptor)
        return self._exit_code()

    def end(self, seconds: float = 300) -> int:
        """Read until the program has ended; return its exit code."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        os.close(self._descriptor)
        return self._exit_code()

    @property
    def text(self) -> str:
        """What the program wrote so far, without colours."""
        return _ESCAPES.sub("", self._written).replace("\r\n", "\n")

    def _read(self, seconds: float, *, must: bool = True) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(seconds, 0))
        if not ready:
            if must:
                self._give_up(f"nothing more came within {seconds:.0f} s")
            return True
        try:
            found = os.read(self._descriptor, 65_536)
        except OSError:
            # Linux reports the end of a pseudo-terminal so.
            return False
        self._written += found.decode(errors="replace")
        return bool(found)

    def _give_up(self, why: str) -> NoReturn:
        self.hang_up()
        raise AssertionError(f"{why}:\n{self.text}")

    def _exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
