"""What psql writes, on its way to an operator's terminal: characters that a terminal obeys are shown, not sent.

A church chooses what stands in errors, notices, notifications and unaligned output. A terminal that gets `ESC ] 52`
puts a text into the clipboard, and others answer as if somebody had typed (xterm's "Control Sequences").
"""

import codecs
import fcntl
import os
import re
import termios
import threading

_SCREEN = r"\x1b(?:\[[0-9;]*[A-HJ-MPSTXZ@dfm]|\[\?(?:1|12|25|1049|2004)[hl]|[=>78M])"
"""What readline and less move the cursor, erase and colour with: nothing that a terminal answers."""

_CONTROL = r"[\x00-\x1f\x7f-\x9f]"
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;?]{0,16})?\Z")
_BYTES = 65536


class Screen:
    """One stream of a program's output.

    Args:
        terminal: whether the program draws on a terminal itself, as readline does.
    """

    def __init__(self, *, terminal: bool) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="backslashreplace")
        self._terminal = terminal
        self._sent = "\n\t\r\b\a" if terminal else "\n\t"
        self._token = re.compile(f"{_SCREEN}|{_CONTROL}" if terminal else _CONTROL)
        self._held = ""

    def shown(self, content: bytes, *, end: bool = False) -> bytes:
        """Return what is sent of a part of the output; the rest of a sequence comes with the next part."""
        text = self._held + self._decoder.decode(content, end)
        self._held = ""
        if self._terminal and not end and (unfinished := _UNFINISHED.search(text)):
            self._held = unfinished[0]
            text = text[: unfinished.start()]
        return self._token.sub(self._replaced, text).encode()

    def _replaced(self, found: re.Match[str]) -> str:
        token = found[0]
        return token if len(token) > 1 or token in self._sent else f"\\x{ord(token):02x}"


def pump(source: int, target: int, screen: Screen) -> threading.Thread:
    """Write what comes from one descriptor into another, in a thread, until either ends; closes the first."""

    def work() -> None:
        try:
            while content := os.read(source, _BYTES):
                _write(target, screen.shown(content))
            _write(target, screen.shown(b"", end=True))
        except OSError:
            # A pseudo-terminal whose programs have ended gives EIO (pty(7)); an operator whose connection is lost, too.
            pass
        finally:
            os.close(source)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _write(target: int, content: bytes) -> None:
    while content:
        content = content[os.write(target, content) :]


def take_size(terminal: int, pseudo: int) -> None:
    """Give a pseudo-terminal the size of a terminal, if that has one."""
    try:
        fcntl.ioctl(pseudo, termios.TIOCSWINSZ, fcntl.ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return


def plain(pseudo: int) -> None:
    """Have a pseudo-terminal pass on what is written: the operator's own ends lines."""
    attributes = termios.tcgetattr(pseudo)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(pseudo, termios.TCSANOW, attributes)
