"""`presence360 maintenance`: close an environment or a church for a while."""

from enum import StrEnum
from typing import Annotated

import typer

from ops import maintenance
from ops.command import console
from ops.command.options import EnvironmentName, Environments, complete_tenants, examples
from ops.paths import ENVIRONMENTS

app = typer.Typer()


class Switch(StrEnum):
    """What maintenance is set to."""

    ON = "on"
    OFF = "off"


@app.command(
    "maintenance",
    rich_help_panel="The files in environments/",
    **examples("maintenance staging on", "maintenance staging off", "maintenance staging on --tenant grace"),
)
def switch(
    environment: EnvironmentName,
    state: Annotated[Switch, typer.Argument(metavar="on|off", help="Close it, or serve it again.")],
    tenant: Annotated[
        str | None,
        typer.Option(
            metavar="TENANT",
            help="A church's slug or its id, instead of the whole environment.",
            autocompletion=complete_tenants,
        ),
    ] = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Close an environment or a church for a while: its names answer 503, and its tasks wait (docs/maintenance.md)."""
    on = state is Switch.ON
    if tenant is None:
        console.edited(maintenance.of_environment(environments, environment, on=on))
    else:
        console.edited(maintenance.of_tenant(environments, environment, tenant, on=on))
