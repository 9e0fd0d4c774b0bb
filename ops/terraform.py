"""Runner of Terraform, or OpenTofu, in one stack's folder."""

import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from model.errors import printable
from ops.errors import OperationError

BINARY_VARIABLE = "TERRAFORM_BINARY_NAME"
"""The variable by which the cdktf CLI, and everything here, finds the program."""

NO_CHANGES, CHANGES = 0, 2
"""Exit codes of `terraform plan -detailed-exitcode`; 1 is an error."""

# Both Terraform 1.11 and OpenTofu 1.10 print this when the state is not the one that the plan was made from.
STALE = "Saved plan is stale"

# Both print this when another run holds the lock (internal/command/clistate/state.go).
LOCKED = "Error acquiring the state lock"

LOCK_TIMEOUT = "10m"
"""How long to wait for another run's lock. An apply of a few resources is over by then, one of a cluster is not."""

# Terraform 1.11, internal/terraform/node_resource_abstract_instance.go, `checkPreventDestroy`; OpenTofu 1.10 says the
# same. The lines are wrapped to the width of the terminal.
PROTECTED = "Instance cannot be destroyed"
_HARMFUL = re.compile(
    r"To\s+avoid\s+this\s+error\s+and\s+continue\s+with\s+the\s+plan,.*?-target\s+(option|flag)\.", re.DOTALL
)
INSTEAD = """    It holds data that no apply brings back, so this is refused, and nothing was changed:
    - An entry left tenants.yaml: put it back. `presence360 tenant retire`, a deploy, and only then `tenant remove`.
    - A name, an id, a region, a cluster's key or a group's name was edited: undo that edit.
    - A whole environment has to go: docs/tenants.md and docs/plan-guard.md say which data that is.
    Do not take `prevent_destroy` out: nothing else stands between this plan and the data."""

PRIVATE = 0o077
"""The umask of Terraform: plan files, and a state that is kept in a file, hold every secret."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class TerraformError(OperationError):
    """Terraform failed; the message holds what it wrote."""


class StalePlanError(TerraformError):
    """The state has changed since the plan was made, so an apply would not do what was reviewed."""


class LockedError(TerraformError):
    """Another run holds the state's lock.

    Attributes:
        holder: who, for what and since when, in one line.
    """

    def __init__(self, stack: str, said: str) -> None:
        # Terraform prints the lock's fields, one a line (internal/states/statemgr/locker.go, `LockInfo.String`).
        found = dict(re.findall(r"^\W*(ID|Operation|Who|Created):\s+(.+?)\s*$", said, re.MULTILINE))
        what = found.get("Operation", "").removeprefix("OperationType").lower() or "something"
        who = found.get("Who", "somebody")
        self.holder = f"{who}, for {what}, since {found.get('Created', 'an unknown time')}"
        super().__init__(
            f"{stack}: its state is locked by {self.holder} (lock {found.get('ID', 'unknown')}). Nothing was changed. "
            f"Wait until that run has ended. If it was killed: presence360 unlock {stack}"
        )


def program(environ: Mapping[str, str]) -> str:
    """Return the name of the program that is Terraform here."""
    return environ.get(BINARY_VARIABLE) or "terraform"


class Terraform:
    """One stack's folder, and the variables that Terraform gets there.

    Attributes:
        folder: where the stack's cdk.tf.json is.
        environ: all variables of the program.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = {**environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}

    @property
    def program(self) -> str:
        """The program's name."""
        return program(self.environ)

    def command(self, *arguments: str) -> list[str]:
        """Return a command line."""
        return [self.program, f"-chdir={self.folder}", *arguments, "-no-color"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; every exit code is returned."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environ,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            umask=PRIVATE,
        )

    def must(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run a command that has to succeed.

        Raises:
            TerraformError: its exit code is not among the allowed ones.
        """
        done = self.run(*arguments)
        if done.returncode not in allowed:
            if LOCKED in done.stderr:
                raise LockedError(self.folder.name, done.stderr)
            command = " ".join(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
            said = readable(done.stderr or done.stdout, self.churches if PROTECTED in done.stderr else {})
            raise TerraformError(f"{self.folder.name}: {self.program} {command} failed:\n{said}")
        return done

    def init(self, *, locked: bool = False) -> None:
        """Open the state and install the providers; ``locked`` accepts only those of the lock file."""
        self.must("init", "-input=false", *(["-lockfile=readonly"] if locked else []))

    def plan(
        self,
        file: Path | str,
        *more: str,
        lock: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> bool:
        """Write a plan file; return whether it changes anything.

        Args:
            file: where.
            more: further options.
            lock: whether the state is locked meanwhile; a read-only key cannot.
            say: is told whose lock is waited for.

        Raises:
            LockedError: another run still holds the lock after `LOCK_TIMEOUT`.
            TerraformError: it cannot be planned.
        """
        arguments = ("plan", "-input=false", "-detailed-exitcode", f"-out={file}", *more)
        if not lock:
            return self._plans(*arguments, "-lock=false")
        try:
            # Terraform waits without a word. So it first does not wait, and says who holds the lock.
            return self._plans(*arguments, "-lock-timeout=0s")
        except LockedError as error:
            say(
                f"{self.folder.name}: the state is locked by {error.holder}; waiting for it, at most {LOCK_TIMEOUT}"
            )
            return self._plans(*arguments, f"-lock-timeout={LOCK_TIMEOUT}")

    def _plans(self, *arguments: str) -> bool:
        return self.must(*arguments, allowed=(NO_CHANGES, CHANGES)).returncode == CHANGES

    def show(self, file: Path | str) -> str:
        """Return a plan file as JSON, which holds every secret of the state in clear text."""
        return self.must("show", "-json", str(file)).stdout

    def state(self) -> str:
        """Return the state as JSON, with every secret in clear text; empty where there is none."""
        return self.must("state", "pull").stdout

    @property
    def churches(self) -> Mapping[str, str]:
        """The churches of the state, by id: "Grace Chapel (grace)"; none where the state does not say."""
        return churches(self.run("output", "-json").stdout)

    def force_unlock(self, lock_id: str) -> None:
        """Remove the lock with this id from the state, and no other."""
        self.must("force-unlock", "-force", lock_id)

    def apply(self, file: Path | str) -> None:
        """Apply a plan file and print the progress.

        Raises:
            StalePlanError: the state is not the one that the plan was made from. Nothing was applied.
            TerraformError: the apply failed.
        """
        command = self.command("apply", "-input=false", f"-lock-timeout={LOCK_TIMEOUT}", str(file))
        code, said = _watched(command, self.environ)
        if STALE in said:
            raise StalePlanError(
                f"{self.folder.name}: the plan is stale: the state has changed since it was made, so it is not what "
                "was reviewed any more. Nothing was applied. Plan again, and review that plan."
            )
        if LOCKED in said:
            raise LockedError(self.folder.name, said)
        if code:
            raise TerraformError(
                f"{self.folder.name}: {self.program} apply failed; its output above says why"
            )


def churches(outputs: str) -> dict[str, str]:
    """Return name and slug of each church by its id, from all outputs as JSON; nothing if they do not say."""
    try:
        found = json.loads(outputs)["tenants"]["value"]
        return {tenant: printable(f"{one['name']} ({one['slug']})") for tenant, one in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def readable(text: str, names: Mapping[str, str] | None = None) -> str:
    """Return Terraform's messages without frames, colours, empty lines, and advice that would cost data.

    Args:
        text: what Terraform wrote.
        names: churches by id, to say whose a protected resource is.
    """
    lines = (_COLOURS.sub("", line).strip("╷│╵ \t") for line in text.splitlines())
    return _without_harmful_advice("\n".join(f"    {line}" for line in lines if line), names or {})


def _without_harmful_advice(text: str, names: Mapping[str, str]) -> str:
    """Replace Terraform's advice to switch `prevent_destroy` off: that protects what no apply brings back."""
    if PROTECTED not in text:
        return text
    kept = _HARMFUL.sub("", text).rstrip()
    # As the key of an address: the line of the configuration that Terraform quotes may hold others.
    whose = sorted({name for tenant, name in names.items() if f'["{tenant}"]' in text})
    return "\n".join([kept, *(f"    This is {name}'s data." for name in whose), INSTEAD])


def _watched(command: list[str], environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a program to its end even when this process is told to stop; return its exit code and its stderr."""
    # In a session of its own it gets a signal once: at a second one Terraform drops what it is doing.
    with subprocess.Popen(
        command, env=environ, stderr=subprocess.PIPE, text=True, start_new_session=True, umask=PRIVATE
    ) as process:

        def stop(_number: int, _frame: FrameType | None) -> None:
            process.send_signal(signal.SIGINT)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        said = []
        try:
            for line in process.stderr or ():
                said.append(line)
                sys.stderr.write(line)
            return process.wait(), "".join(said)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
