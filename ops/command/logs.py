"""`presence360 logs`: an environment's log lines, where they are kept."""

from typing import Annotated

import typer

from model.plan import plan_environment
from ops import foreign_output, logs
from ops.ci import settings
from ops.command import console
from ops.command.options import EnvironmentName, Environments, complete_services, examples, load
from ops.credentials import PROVIDER_CREDENTIALS
from ops.digitalocean import Api
from ops.errors import OperationError, UsageError
from ops.paths import ENVIRONMENTS, ROOT
from ops.waiting import CannotTellError

TOKEN = PROVIDER_CREDENTIALS[0]

app = typer.Typer()


@app.command(
    "logs",
    rich_help_panel="From the files to DigitalOcean",
    **examples(
        "logs staging tenant-api --since 1h",
        "logs production --request 3f2a9c0d5e6b47188c1d2e3f4a5b6c7d",
        'logs production worker --church grace --since 2d --grep "timed out"',
        "logs staging nginx --follow",
    ),
)
def show_logs(  # noqa: PLR0913, PLR0917  (typer: an argument for each option)
    environment: EnvironmentName,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]",
            help="A service, nginx, or a unit such as presence360-converge; all of them without it.",
            autocompletion=complete_services,
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help='How long ago: 30m, 2h, 3d; or a time in UTC, "2026-11-27 03:00". Without it an hour; with --follow a '
            "minute.",
        ),
    ] = None,
    church: Annotated[str | None, typer.Option(metavar="TENANT", help="A church's slug or its id.")] = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="A request's id: X-Request-ID, or the id of its trace.")
    ] = None,
    grep: Annotated[str | None, typer.Option(metavar="REGEX", help="What a line has to match.")] = None,
    droplet: Annotated[str | None, typer.Option(metavar="NAME", help="Lines of one droplet.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for new lines, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print lines with all of their fields.")] = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Print log lines of services, nginx and droplets, also of droplets that are gone.

    They are read by SSH on the observability group's droplet, with your own key (docs/logs.md).
    """
    loaded = load(environments, environment)
    plan = plan_environment(loaded)
    query = logs.Query(
        what=what, since=since, church=church, request=request, grep=grep, droplet=droplet, follow=follow
    )
    command = logs.remote_command(query, plan, loaded.tenants)
    environ = settings.load(ROOT)
    if problem := TOKEN.problem(environ):
        raise UsageError([problem])
    try:
        api = Api.of(environ)
    except CannotTellError as error:
        raise OperationError(str(error)) from error
    lines = 0

    def out(text: str) -> None:
        nonlocal lines
        lines += 1
        foreign_output.write(text)

    with foreign_output.no_commands():
        logs.read(command, ssh=logs.ssh_to(logs.keeper(plan, api)), out=out, as_json=json)
    if not lines:
        console.note("no line found. Without --since, lines of the last hour are looked for")
