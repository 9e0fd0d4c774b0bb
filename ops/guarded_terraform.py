"""Apply or destroy one stack behind the plan guard, for the cdktf CLI: plan, guard, ask, apply exactly that plan.

On deploy and destroy the CLI starts `terraform apply` or `terraform destroy` in a pseudo-terminal in the stack's
folder, waits for Terraform's question and types the answer. bin/cdktf names ops/guarded_terraform.sh as its Terraform,
which comes here. The exit code is Terraform's, or the guard's when it stops the apply: 1 refused, 2 it cannot judge.
"""

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Self

from ops.paths import ENVIRONMENTS
from ops.terraform import BINARY_VARIABLE

TERRAFORM_VARIABLE = "PRESENCE360_TERRAFORM"
"""Names the operator's own Terraform; TERRAFORM_BINARY_NAME names this program while the CLI runs."""
RUNNING_VARIABLE = "PRESENCE360_RUNNING"
"""Names a file that is locked as long as an apply runs; its content is then Terraform's exit code."""

CANCELLED, CANNOT_START = 1, 2
INTERRUPTED = 128 + signal.SIGINT
"""The exit code of an interrupt before the apply, as shells report it."""

# The cdktf CLI 0.21 looks for these words to know that it has to ask (deploy-machine.ts, handleLineReceived). It sees
# complete lines only.
QUESTIONS = {
    "apply": "Do you want to perform these actions in {stack}?",
    "destroy": "Do you really want to destroy all resources? This would destroy {stack}.",
}

# Options that an apply of a saved plan takes as well. All others shape the plan, and Terraform refuses them there.
SHARED_FLAGS = frozenset({"no-color", "compact-warnings"})
SHARED_VALUES = frozenset({"parallelism", "lock", "lock-timeout"})

SCRATCH = ".guarded-"
"""Begins the name of a folder that holds a plan; the id of the process that made it follows."""


class InterruptedRunError(Exception):
    """A signal came while no Terraform ran that it could have been passed on to."""


@dataclass(frozen=True)
class Options:
    """The options of one `terraform apply`, divided between the plan and the apply of its file.

    Attributes:
        plan: for `terraform plan`.
        apply: for `terraform apply PLAN`.
        approved: whether nobody has to be asked.
    """

    plan: tuple[str, ...]
    apply: tuple[str, ...]
    approved: bool

    @classmethod
    def divide(cls, words: Sequence[str]) -> Self:
        """Divide options; Terraform takes one dash or two, and a value behind `=` or as the next word."""
        plan: list[str] = []
        apply: list[str] = []
        approved = False
        rest = list(words)
        while rest:
            word = rest.pop(0)
            name, equals, value = word.lstrip("-").partition("=")
            if not word.startswith("-"):
                plan.append(word)
            elif name == "auto-approve":
                approved = value not in {"false", "0"}
            elif name in SHARED_FLAGS | SHARED_VALUES:
                # `-lock` alone is a flag that is on, as Go's flags are.
                takes_next = name in SHARED_VALUES and not equals and name != "lock" and bool(rest)
                both = [word, rest.pop(0)] if takes_next else [word]
                plan += both
                apply += both
            elif name != "input":
                plan.append(word)
        return cls(tuple(plan), tuple(apply), approved)


class Runner:
    """Runs one program after the other, and interrupts the one that runs, once, when a signal comes.

    Terraform ends in good order at the first interrupt: it finishes what it began, writes the state and releases its
    lock. A second one makes it drop everything, and so does a hangup. The CLI sends an interrupt and exits, which hangs
    up the pseudo-terminal: so Terraform gets a session of its own, and from here one interrupt whatever comes.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def __init__(self, environ: Mapping[str, str], running: IO[str] | None = None) -> None:
        self._environ = environ
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

    def run(self, *command: str, stdout: IO[bytes] | None = None) -> int:
        """Run a program that asks nothing; return its exit code, 128 and more where a signal ended it.

        Raises:
            InterruptedRunError: a signal came before.
        """
        if self._interrupted.is_set():
            raise InterruptedRunError
        with subprocess.Popen(
            command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            start_new_session=True,
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


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run `terraform apply` or `terraform destroy` with these options in the working directory, guarded."""
    command, *options = argv
    terraform = environ.get(TERRAFORM_VARIABLE)
    if not terraform or command not in QUESTIONS:
        print(f"{TERRAFORM_VARIABLE} names no Terraform: run this through bin/cdktf", file=sys.stderr)
        return CANNOT_START
    # Options that the operator's shell adds to every apply are options of this one.
    added = shlex.split(environ.get(f"TF_CLI_ARGS_{command}", ""))
    hidden = {"TF_CLI_ARGS_plan", "TF_CLI_ARGS_apply", "TF_CLI_ARGS_destroy"}
    inner = {name: value for name, value in environ.items() if name not in hidden}
    # Without this, a plan that is written to a file ends in advice to apply that file by hand.
    inner |= {BINARY_VARIABLE: terraform, "TF_IN_AUTOMATION": "1"}
    with _running(environ) as running, Runner(inner, running) as runner, _scratch(Path.cwd()) as folder:
        try:
            code = _guarded(runner, terraform, command, Options.divide([*added, *options]), folder)
        except InterruptedRunError:
            code = INTERRUPTED
            with suppress(OSError):  # the terminal may be closed
                print("Interrupted. Nothing was applied.", flush=True)
        if running:
            running.write(str(code))
            running.flush()
        return code


def _guarded(runner: Runner, terraform: str, command: str, options: Options, folder: Path) -> int:
    stack = Path.cwd().name
    plan, shown = folder / "plan", folder / f"{stack}.json"
    # Terraform writes into the file that it finds, and leaves its mode alone.
    plan.touch(mode=0o600)
    destroy = ["-destroy"] if command == "destroy" else []
    code = runner.run(terraform, "plan", "-input=false", f"-out={plan}", *destroy, *options.plan)
    if code:
        return code
    shown.touch(mode=0o600)
    with shown.open("wb") as file:
        code = runner.run(terraform, "show", "-json", str(plan), stdout=file)
    # The guard judges what it is given; a plan that cannot be shown is one that it has not seen.
    if code := code or _judge(shown):
        print(f"Nothing was applied to {stack}.", flush=True)
        return code
    shown.unlink()
    if not options.approved and not runner.ask(
        "Only 'yes' is accepted to approve.", QUESTIONS[command].format(stack=stack)
    ):
        print(f"{command.capitalize()} cancelled.", flush=True)
        return CANCELLED
    return runner.run(terraform, "apply", "-input=false", *options.apply, str(plan))


def _judge(shown: Path) -> int:
    """Print what the plan guard says; its exit code."""
    from ops.guard.__main__ import main as guard  # noqa: PLC0415  (a plan that fails needs no guard)

    code = guard([str(shown), "--environments", str(ENVIRONMENTS)])
    sys.stdout.flush()
    return code


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """Make a folder that its owner alone can read, and remove it with what is in it; those of killed processes, too."""
    for left in parent.glob(f"{SCRATCH}*"):
        if not _is_alive(left.name.removeprefix(SCRATCH).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _running(environ: Mapping[str, str]) -> Iterator[IO[str] | None]:
    """Hold the lock by which bin/cdktf knows that an apply runs, though the CLI has ended."""
    name = environ.get(RUNNING_VARIABLE)
    if not name:
        yield None
        return
    with Path(name).open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
