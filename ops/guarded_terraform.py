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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from ops import waves
from ops.errors import OperationError
from ops.paths import ENVIRONMENTS
from ops.plan_json import Plan, parse_plan
from ops.terraform import BINARY_VARIABLE, PROTECTED, churches, readable
from ops.terraform_runner import CommandFailedError, Commands, InterruptedRunError, Runner

TERRAFORM_VARIABLE = "PRESENCE360_TERRAFORM"
"""Names the operator's own Terraform; TERRAFORM_BINARY_NAME names this program while the CLI runs."""
RUNNING_VARIABLE = "PRESENCE360_RUNNING"
"""Names a file that is locked as long as an apply runs; its content is then Terraform's exit code."""

CANCELLED, REFUSED, CANNOT_START = 1, 1, 2
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
    with tempfile.TemporaryFile(dir=folder) as said:
        code = runner.run(
            terraform, "plan", "-input=false", f"-out={plan}", *destroy, *options.plan, stderr=said
        )
        said.seek(0)
        _tell(said.read().decode(errors="replace"), runner, terraform)
    if code:
        return code
    shown.touch(mode=0o600)
    with shown.open("wb") as file:
        code = runner.run(terraform, "show", "-json", str(plan), stdout=file)
    # The guard judges what it is given; a plan that cannot be shown is one that it has not seen.
    if code := code or _judge(shown, runner.environ):
        print(f"Nothing was applied to {stack}.", flush=True)
        return code
    made = parse_plan(shown.read_bytes(), stack)
    shown.unlink()
    if command == "apply" and not _can_be_applied(made, runner.environ):
        print(f"Nothing was applied to {stack}.", flush=True)
        return REFUSED
    replaced = waves.waves(made)
    if replaced:
        print(waves.told(stack, replaced), flush=True)
    if not options.approved and not runner.ask(
        "Only 'yes' is accepted to approve.", QUESTIONS[command].format(stack=stack)
    ):
        print(f"{command.capitalize()} cancelled.", flush=True)
        return CANCELLED
    if len(replaced) > 1:
        return _in_waves(Commands(runner, terraform, options.plan, options.apply, folder), stack, plan)
    return runner.run(terraform, "apply", "-input=false", *options.apply, str(plan))


def _tell(said: str, runner: Runner, terraform: str) -> None:
    """Print Terraform's errors as they are, but for the advice to take a protection out."""
    text = said.rstrip("\n")
    if PROTECTED in said:
        with tempfile.TemporaryFile() as file:
            runner.run(terraform, "output", "-json", stdout=file, stderr=subprocess.DEVNULL)
            file.seek(0)
            text = readable(said, churches(file.read().decode(errors="replace")))
    if text:
        print(text, file=sys.stderr, flush=True)


def _in_waves(commands: Commands, stack: str, plan: Path) -> int:
    try:
        waves.apply(commands, stack, plan, lambda line: print(line, flush=True))
    except CommandFailedError as error:
        return error.code
    except OperationError as error:
        print(error, flush=True)
        return REFUSED
    return 0


def _judge(shown: Path, environ: Mapping[str, str]) -> int:
    """Print what the plan guard says; its exit code."""
    from ops.guard.__main__ import EXIT_CODES  # noqa: PLC0415  (a plan that fails needs no guard)
    from ops.guard.accepted import committed  # noqa: PLC0415
    from ops.guard.formats import as_text  # noqa: PLC0415
    from ops.guard.report import judge, read_plans  # noqa: PLC0415

    plans, problems = read_plans([shown])
    report = judge(
        plans,
        environments=ENVIRONMENTS,
        exists={plan.stack: seen for plan in plans if (seen := _exists(plan, environ)) is not None},
        accepted=committed(ENVIRONMENTS),
        problems=problems,
    )
    print(as_text(report), flush=True)
    return EXIT_CODES[report.verdict]


def _exists(plan: Plan, environ: Mapping[str, str]) -> Sequence[str] | None:
    """Ask DigitalOcean what exists of a plan that makes everything; None: it was not asked."""
    from ops.ci import before  # noqa: PLC0415  (only such a plan asks)
    from ops.guard.empty_state import makes_everything  # noqa: PLC0415

    if not makes_everything(plan) or not _has_token(environ):
        return None
    return before.exists(environ, [plan.stack])(plan)


def _has_token(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("DIGITALOCEAN_TOKEN") or environ.get("DIGITALOCEAN_ACCESS_TOKEN"))


def _can_be_applied(plan: Plan, environ: Mapping[str, str]) -> bool:
    """Ask DigitalOcean and the registry what `presence360 plan` asks, and print what speaks against an apply."""
    if not _has_token(environ):
        return True  # bin/cdktf has said that it is missing; without it nothing can be asked.
    from ops.ci import before  # noqa: PLC0415  (a refused plan asks nobody)

    found = before.files(environ, [plan.stack]) + before.of_plan(environ, [plan.stack])(plan)
    for note in found.notes:
        print(f"note: {note}", flush=True)
    for problem in found.problems:
        print(f"refused: {problem}", flush=True)
    return not found.problems


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
