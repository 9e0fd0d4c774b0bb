"""`presence360 release`: which version of each service runs where."""

from typing import Annotated

import typer

from model.services import CATALOGUE
from ops import releases
from ops.command import console
from ops.command.options import (
    EnvironmentName,
    Environments,
    Json,
    MaybeEnvironment,
    ServiceName,
    SomeServices,
    examples,
    load_some,
)
from ops.paths import ENVIRONMENTS

app = typer.Typer(no_args_is_help=True, help="Releases: which version of each service runs where.")


@app.command(
    "set",
    **examples(
        "release set staging tenant-api 1.4.3",
        "release set staging all 1.4.3",
        "release set staging worker sha256:...",
    ),
)
def set_release(
    environment: EnvironmentName,
    service: ServiceName,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="An image's tag or digest.")],
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Release a version of a service, or of all."""
    console.edited(releases.set_release(environments, environment, service, release))


@app.command(
    **examples("release promote staging production", "release promote staging production --service worker")
)
def promote(
    source: EnvironmentName,
    target: EnvironmentName,
    service: SomeServices = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Release in one environment what another one runs."""
    console.edited(releases.promote(environments, source, target, service or ()))


@app.command(**examples("release show", "release show staging --json"))
def show(
    environment: MaybeEnvironment = None, json: Json = False, environments: Environments = ENVIRONMENTS
) -> None:
    """Show the release of every service, environment by environment."""
    found = {one.file.environment: releases.current(one) for one in load_some(environments, environment)}
    if json:
        console.as_json(found)
        return
    rows = [(service, *(found[name][service] for name in found)) for service in CATALOGUE]
    console.table(("service", *found), rows)
