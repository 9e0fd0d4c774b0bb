"""Commands of Terraform that one signal stops in good order, for an apply behind the plan guard."""

import signal
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Self

from ops.terraform import PRIVATE


class InterruptedRunError(Exception):
    """A signal came while no Terraform ran that it could have been passed on to."""


class Runner:
    """Runs one program after the other, and interrupts the one that runs, once, when a signal comes.

    Terraform ends in good order at the first interrupt: it finishes what it began, writes the state and releases its
    lock. A second one makes it drop everything, and so does a hangup. The CLI sends an interrupt and exits, which hangs
    up the pseudo-terminal: so Terraform gets a session of its own, and from here one interrupt whatever comes.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def __init__(self, environ: Mapping[str, str], running: IO[str] | None = None) -> None:
        self.environ = environ
        self._running = running
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = threading.Event()
        self._passed_on = threading.Lock()
        self._asking = False

    def __enter__(self) -> Self:
        for number in self.SIGNALS:
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted.set()
        self._pass_on()
        if self._asking:
            raise InterruptedRunError

    def _pass_on(self) -> None:
        # A lock that is never released is a flag that two signals cannot both find down.
        if self._process is not None and self._passed_on.acquire(blocking=False):
            self._process.send_signal(signal.SIGINT)

    def run(
        self, *command: str, stdout: IO[bytes] | None = None, stderr: IO[bytes] | int | None = None
    ) -> int:
        """Run a program that asks nothing; return its exit code, 128 and more where a signal ended it.

        Raises:
            InterruptedRunError: a signal came before.
        """
        if self._interrupted.is_set():
            raise InterruptedRunError
        with subprocess.Popen(
            command,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            umask=PRIVATE,
            # Terraform holds the lock as well: should this process be killed, the apply is still known to run.
            pass_fds=[self._running.fileno()] if self._running else [],
        ) as process:
            self._process, self._passed_on = process, threading.Lock()
            if self._interrupted.is_set():
                self._pass_on()
            code = process.wait()
            self._process = None
        return code if code >= 0 else 128 - code

    def ask(self, *lines: str) -> bool:
        """Ask a question; whether the answer is yes.

        Raises:
            InterruptedRunError: a signal came instead of an answer.
        """
        self._asking = True
        try:
            if self._interrupted.is_set():
                raise InterruptedRunError
            if sys.stdin.isatty():
                # An answer counts if it was typed after the question.
                termios.tcflush(sys.stdin, termios.TCIFLUSH)
            print(*lines, sep="\n", flush=True)
            return sys.stdin.readline().strip() == "yes"
        finally:
            self._asking = False


class CommandFailedError(Exception):
    """A command of Terraform failed, and has said why.

    Attributes:
        code: its exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


@dataclass(frozen=True)
class Commands:
    """The commands of an apply in waves (ops/waves.py), each stopped in good order by a signal.

    Attributes:
        runner: runs them.
        terraform: the operator's own Terraform.
        planning: the operator's options of every plan.
        applying: the operator's options of every apply.
        folder: only its owner can read it.
    """

    runner: Runner
    terraform: str
    planning: tuple[str, ...]
    applying: tuple[str, ...]
    folder: Path

    def plan(self, file: Path, *options: str) -> None:
        """Write a plan file."""
        self._run("plan", "-input=false", f"-out={file}", *self.planning, *options)

    def show(self, file: Path) -> str:
        """Return a plan file as JSON."""
        return self._said("show", "-json", str(file))

    def apply(self, file: Path) -> None:
        """Apply a plan file."""
        self._run("apply", "-input=false", *self.applying, str(file))

    def state(self) -> str:
        """Return the state as JSON."""
        return self._said("state", "pull")

    def _said(self, *command: str) -> str:
        with tempfile.TemporaryFile(dir=self.folder) as file:
            self._run(*command, stdout=file)
            file.seek(0)
            return file.read().decode()

    def _run(self, *command: str, stdout: IO[bytes] | None = None) -> None:
        if code := self.runner.run(self.terraform, *command, stdout=stdout):
            raise CommandFailedError(code)
