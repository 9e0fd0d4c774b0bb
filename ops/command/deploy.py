"""`presence360 synth`, `plan`, `apply`, `drift`, `unlock`, `guard`, `capacity`: from the files to DigitalOcean."""

import argparse
import io
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from model.loader import load_environments
from ops import capacity, rotate, summary, unlock
from ops.arguments import told
from ops.ci import plans, settings, stacks, steps, workflow
from ops.ci.errors import StepError
from ops.command import console
from ops.command.options import (
    Environments,
    Json,
    MaybeEnvironment,
    Stack,
    StackName,
    examples,
    file_to_write,
    load_some,
)
from ops.edits import joined
from ops.errors import OperationError, UsageError
from ops.guard.__main__ import main as judge
from ops.paths import ENVIRONMENTS, OUTDIR, ROOT
from ops.progress import working

DEPLOY = "From the files to DigitalOcean"
PRODUCTION = re.compile(r"production(-|\Z)")
"""The environment, or a stack of it, whose deploy is asked about once more."""

app = typer.Typer()

Keep = Annotated[
    str,
    typer.Option(
        metavar="ID", help="Keep the plan in the state's bucket under this name, for a later apply."
    ),
]
Base = Annotated[
    str,
    typer.Option(
        metavar="REVISION", help="The git revision that is deployed, where the bucket does not know it."
    ),
]
Into = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the report as Markdown as well.", callback=file_to_write),
]


@app.command(rich_help_panel=DEPLOY, **examples("synth", "synth --json"))
def synth(json: Json = False, environments: Environments = ENVIRONMENTS) -> None:
    """Write the Terraform JSON of every stack to cdktf.out, and say what it holds. Needs no account and no token."""
    command = [
        sys.executable,
        str(ROOT / "main.py"),
        "--environments",
        str(environments),
        "--outdir",
        str(OUTDIR),
    ]
    steps.run_synth(command, os.environ)
    found = summary.read(OUTDIR)
    if json:
        console.as_json({name: summary.as_json(stack) for name, stack in found.items()})
        return
    for name, stack in found.items():
        console.say("\n".join([*summary.describe(name, stack), ""]))
    console.say(_after_synth())


@app.command(
    rich_help_panel=DEPLOY,
    **examples(
        "plan staging", "plan --stack staging-cell-2", "plan production --keep 1234-1", "plan staging --json"
    ),
)
def plan(
    environment: MaybeEnvironment = None,
    stack: Stack = "",
    keep: Keep = "",
    base: Base = "",
    json: Json = False,
) -> None:
    """Plan an environment and its cells, have the guard judge the plan, and keep it for `apply`. Prints a digest."""
    if json:
        _plan_as_json(environment, stack, keep=keep, base=base)
        return
    _step(steps.make_plan, environment, stack, keep=keep, base=base)
    if sys.stdout.isatty():
        which = f"--stack {stack}" if stack else environment
        console.say(f"Next: read the plan above, then presence360 apply {which}", style="bold")


@app.command(
    rich_help_panel=DEPLOY,
    **examples("apply staging", "apply production --yes", "apply production --keep 1234-1 --digest 9f2c..."),
)
def apply(
    environment: MaybeEnvironment = None,
    stack: Stack = "",
    keep: Keep = "",
    digest: Annotated[str, typer.Option(help="Apply the plan with this digest, and no other.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before production.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the release.")] = False,
) -> None:
    """Apply exactly what `plan` planned, then wait until every droplet runs it.

    Asks before production, unless --yes or --digest is given.
    """
    name = stack or environment or ""
    if PRODUCTION.match(name) and not (yes or digest):
        _require_terminal("add --yes, or --digest with what plan printed")
        _confirm(name, _planned(environment or "", stack, keep))
    _step(steps.apply, environment, stack, keep=keep, digest=digest, no_wait=no_wait)


@app.command(rich_help_panel=DEPLOY, **examples("adopt staging"))
def adopt(stack: StackName) -> None:
    """Take into the state what exists at DigitalOcean and is missing there, after a deploy that was interrupted."""
    _step(steps.adopt, None, stack)


@app.command(rich_help_panel=DEPLOY, **examples("drift staging", "drift production --json"))
def drift(
    environment: MaybeEnvironment = None,
    stack: Stack = "",
    into: Into = None,
    only_if_set_up: Annotated[
        bool,
        typer.Option(
            "--only-if-set-up", help="For CI: exit code 0 where no credential is set at all.", hidden=True
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Say where an environment differs from its files; exit code 1 where it does. Changes nothing."""
    _tell_old_credentials(environment)
    if not json:
        _step(steps.drift, environment, stack, into=into, only_if_set_up=only_if_set_up)
        return
    said = io.StringIO()

    def tell(*, differs: bool) -> None:
        report = said.getvalue().strip()
        console.as_json({"name": stack or environment, "differs": differs, "report": report})

    try:
        with redirect_stdout(said):
            _step(steps.drift, environment, stack, into=into, only_if_set_up=only_if_set_up)
    except OperationError:
        tell(differs=True)
        raise
    tell(differs=False)


@app.command(
    "unlock",
    rich_help_panel=DEPLOY,
    **examples("unlock staging", "unlock staging --json", "unlock staging --id ID"),
)
def unlock_state(
    stack: StackName,
    lock_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="The lock to remove, where nobody can be asked.")
    ] = "",
    json: Json = False,
) -> None:
    """Remove the state lock of a run that was killed. Says whose it is and since when, and asks."""
    environ = settings.load(ROOT)
    stacks.check_names(ENVIRONMENTS, stack=stack)
    settings.check_state(environ)
    folder = _synthesized(environ, stack)
    lock = unlock.find(folder, environ)
    if json:
        console.as_json(lock and lock.as_json())
        return
    if lock is None:
        console.say(f"{stack}: its state is not locked")
        return
    console.say(lock.told())
    if lock_id:
        if lock_id != lock.id:
            raise UsageError([f"the lock of {stack} is {lock.id}, not {told(lock_id)}: nothing was unlocked"])
    else:
        what = (
            "If that run is still going, two runs would write one state, and resources would be lost from it."
        )
        _require_terminal(f"make sure that the run has ended, then add --id {lock.id}")
        _confirm(stack, what)
    with working(f"{stack}: unlock"):
        terraform = steps.open_stack(environ, stack)
        unlock.remove(terraform, lock)
    console.say(
        f"{stack}: unlocked. Next: presence360 plan --stack {stack}, and read what the killed run left undone"
    )


@app.command(rich_help_panel=DEPLOY, **examples("guard staging.json", "guard staging.json --json"))
def guard(
    files: Annotated[
        list[Path], typer.Argument(metavar="PLAN.json...", help="What `terraform show -json` wrote.")
    ],
    lock: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="tenants.lock of what is deployed; repeatable.")
    ] = None,
    first_deploy: Annotated[
        list[str] | None,
        typer.Option(metavar="STACK", help="A stack of which nothing exists yet; repeatable."),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the summary for a pull request.", callback=file_to_write),
    ] = None,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Judge plans: refuse what would lose data or open something to the internet (docs/plan-guard.md)."""
    arguments = [*map(str, files), "--environments", str(environments)]
    for option, values in (("--lock", lock), ("--first-deploy", first_deploy)):
        for value in values or ():
            arguments += [option, str(value)]
    arguments += ["--markdown", str(markdown)] if markdown else []
    raise typer.Exit(judge([*arguments, *(["--json"] if json else [])]))


@app.command("capacity", rich_help_panel=DEPLOY, **examples("capacity", "capacity production --json"))
def show_capacity(
    environment: MaybeEnvironment = None, json: Json = False, environments: Environments = ENVIRONMENTS
) -> None:
    """Show how much of each limit is used, and for how many more churches there is room."""
    found = load_some(environments, environment)
    if json:
        console.as_json([capacity.as_json(one) for one in found])
        return
    console.say("\n\n".join("\n".join(capacity.table(one)) for one in found))


def _plan_as_json(environment: str | None, stack: str, **options: object) -> None:
    """Print the plan for programs; the exit code is that of `plan`, and `applicable` says whether it may be applied."""
    said = io.StringIO()

    def tell(record: plans.Record | None) -> None:
        told = {
            "name": stack or environment,
            "applicable": record is not None,
            "digest": record.digest if record else None,
            "changes": record.changes if record else None,
            "stacks": [
                {"stack": one.name, "changes": one.changes, "replaced_groups": list(one.groups)}
                for one in (record.stacks if record else ())
            ],
            "report": said.getvalue().strip(),
        }
        console.as_json(told)

    try:
        with redirect_stdout(said):
            _step(steps.make_plan, environment, stack, **options)
    except StepError:
        tell(None)
        raise
    tell(plans.Record.read(steps.plan_folder(environment or "", stack), ""))


def _after_synth(root: Path = ROOT) -> str:
    """Say what follows; on a fresh machine, `make synth` has neither installed cdktf nor put anything on the PATH."""
    first = [] if (root / "node_modules" / ".installed").exists() else ["make setup"]
    if shutil.which("presence360") is None:
        first.append(f'export PATH="{root / "bin"}:$PATH"')
    commands = [*first, "presence360 plan staging", "presence360 apply staging (README.md, First deploy)"]
    return f"Next: {', then '.join(commands)}"


def _step(
    step: Callable[[argparse.Namespace], int], environment: str | None, stack: str, **options: object
) -> None:
    if bool(environment) == bool(stack):
        raise UsageError(
            ["name an environment (presence360 plan staging), or one stack (--stack staging-cell-2)"]
        )
    code = step(argparse.Namespace(environment=environment or "", stack=stack, **options))
    if code:
        raise typer.Exit(code)


def _synthesized(environ: dict[str, str], stack: str) -> Path:
    """Synthesize, and return a stack's folder.

    Raises:
        UsageError: there is no such stack.
    """
    steps.synthesize(environ)
    stacks.one(stack, stacks.synthesized(OUTDIR))
    return OUTDIR / "stacks" / stack


def _planned(environment: str, stack: str, keep: str) -> str:
    """Say what would be applied.

    Raises:
        StepError: there is no plan here.
    """
    name = stack or environment
    if keep:
        return f"This applies the plan {told(keep)} of {told(name)}."
    record = plans.Record.read(steps.plan_folder(environment, stack), "")
    changed = joined([planned.name for planned in record.stacks if planned.changes]) or "nothing"
    made = f" at commit {record.commit[:12]}" if record.commit else ""
    return f"This applies the plan of {name} that was made{made}. It changes {changed}."


def _require_terminal(otherwise: str) -> None:
    """Check that a person can be asked.

    Raises:
        UsageError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError([f"there is no terminal to ask on: {otherwise}"])


def _confirm(name: str, what: str) -> None:
    """Have a person type a name.

    Raises:
        UsageError: something else was typed.
    """
    console.say(what)
    if typer.prompt(f"Type {name} to go on") != name:
        raise UsageError([f"{name} was not typed: nothing was done"])


def _tell_old_credentials(environment: str | None) -> None:
    """Warn of credentials that are more than a year old: drift is what runs every night."""
    for one in load_environments(ENVIRONMENTS):
        name = one.file.environment
        if name == environment and (old := rotate.overdue(ENVIRONMENTS, one)):
            workflow.annotate("warning", rotate.told(old, name))
