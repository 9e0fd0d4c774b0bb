"""`presence360 run`: a command in a service's image, on a droplet."""

import os
from typing import Annotated

import typer

from model.plan import plan_environment
from ops import foreign_output, remote_run
from ops.ci import settings
from ops.command import console
from ops.command.options import EnvironmentName, Environments, complete_services, examples, load
from ops.paths import ENVIRONMENTS, ROOT
from ops.waiting import SYSTEM_CLOCK

app = typer.Typer()


@app.command(
    "run",
    rich_help_panel="From the files to DigitalOcean",
    **examples(
        "run staging control-plane-api -- python -m control_plane.purge --dry-run",
        "run staging worker --timeout-minutes 120 -- python -m reports 2026-11",
    ),
)
def run(
    environment: EnvironmentName,
    service: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE",
            help="In whose image, with whose settings and secrets.",
            autocompletion=complete_services,
        ),
    ],
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="Program and arguments; no shell reads them.")
    ],
    timeout_minutes: Annotated[
        int, typer.Option(help="How long it may take, before it is ended.", show_default=True)
    ] = 30,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Run a command once, on one droplet, beside the service; with its output and its exit status. Ctrl-C cancels it.

    In production only the workflow `Run a command` does this (docs/jobs.md).
    """
    remote_run.check_call(command, timeout_minutes)
    plan = plan_environment(load(environments, environment))
    remote_run.check_place(environment, os.environ, service, command, timeout_minutes)
    environ = settings.load(ROOT)
    remote = remote_run.Remote.of(plan, service, environ, SYSTEM_CLOCK)
    status = remote_run.run(
        remote,
        command,
        by=remote_run.who(os.environ),
        minutes=timeout_minutes,
        out=foreign_output.write,
        say=console.note,
    )
    if status:
        raise typer.Exit(status)
