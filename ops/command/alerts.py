"""`presence360 alerts`: whether people are told."""

import os
from typing import Annotated

import typer

from model.plan import plan_environment
from ops import remote_run
from ops.alert_test import AlertTest
from ops.ci import settings
from ops.command import console
from ops.command.options import EnvironmentName, Environments, Json, examples, load
from ops.errors import OperationError
from ops.paths import ENVIRONMENTS, ROOT
from ops.waiting import SYSTEM_CLOCK

app = typer.Typer(no_args_is_help=True, help="Whether people are told of what is wrong.")


@app.command("test", **examples("alerts test staging", "alerts test production --json"))
def test(
    environment: EnvironmentName,
    json: Json = False,
    only_if_asked_for: Annotated[
        bool,
        typer.Option(
            "--only-if-asked-for",
            help="For CI: exit code 0 where environment.yaml has no `observability:`.",
            hidden=True,
        ),
    ] = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Send a test alert the whole way to everybody who is told, and say which ways accepted it.

    It takes about 3 minutes. The receipt stays: docs/observability.md, "Try it".
    """
    plan = plan_environment(load(environments, environment))
    if only_if_asked_for and plan.observability is None:
        console.say(f"{environment}: environment.yaml has no `observability:`, so nobody is told of anything")
        return
    asked = AlertTest.of(plan, settings.load(ROOT), SYSTEM_CLOCK)
    receipt = asked.send(by=remote_run.who(os.environ), say=console.note)
    if json:
        said = {
            "environment": environment,
            "id": receipt.id,
            "by": receipt.by,
            "time": f"{receipt.time:%Y-%m-%dT%H:%M:%SZ}",
            "droplet": receipt.name,
            "accepted": receipt.accepted_all,
            "reason": receipt.reason,
            "ways": dict(receipt.ways),
        }
        console.as_json(said)
    else:
        for way, accepted in receipt.ways.items():
            console.say(f"{way}: {'accepted' if accepted else 'NOT accepted'}")
    if not receipt.accepted_all:
        raise OperationError(f"{receipt.id}, {receipt.name}: {receipt.reason or 'no way is set up'}")
    console.note(
        "Accepted is not read: look whether the message is where people see it. The receipt is in "
        f"{asked.status_bucket}."
    )
