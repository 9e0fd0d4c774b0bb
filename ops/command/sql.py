"""`presence360 sql`: a login that reads one database for a while (docs/runbooks/break-glass.md)."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from model.plan import plan_environment
from model.sql_access import MAX_MINUTES, OPEN, SqlAnswer, SqlRequest, role_of
from ops import dump_file, sql_access
from ops.ci import settings
from ops.command import console
from ops.command.options import EnvironmentName, Environments, Json, TenantName, examples, load
from ops.command.wrong import Wrong
from ops.errors import UsageError
from ops.paths import ENVIRONMENTS, ROOT
from ops.remote_run import who
from ops.sql_access import Place, Terminal

app = typer.Typer(
    no_args_is_help=True, help="Read one database for a while: docs/runbooks/break-glass.md has the steps."
)

Key = Annotated[Path, typer.Option(metavar="FILE", help="Your key of age: `presence360 sql key` makes it.")]
RunId = Annotated[str, typer.Argument(metavar="ID", help="What `sql open` or the workflow printed.")]


@app.command("key", **examples("sql key sql.key"))
def key(file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")]) -> None:
    """Make a key of age for one look, and print its public half: what is sent to you is encrypted for it."""
    console.say(sql_access.new_key(file))


@app.command(
    "open", **examples('sql open staging grace --key sql.key --reason "ticket 812: a missing family"')
)
def open_(
    environment: EnvironmentName,
    tenant: TenantName,
    *,
    key: Key,
    reason: Annotated[str, typer.Option(help="What is looked for; it stands in the journal with your name.")],
    minutes: Annotated[
        int, typer.Option(help=f"For how long, {MAX_MINUTES} at most.", show_default=True)
    ] = 60,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Ask for a login that reads a church's database, or `control_plane`, and wait until it is there.

    In production only the workflow `Read a database` asks for one.
    """
    recipient = ""
    with Wrong() as wrong:
        with wrong.part():
            recipient = sql_access.public_half(key)
        with wrong.part():
            sql_access.check_call(reason, minutes, recipient or None)
        with wrong.part():
            loaded = load(environments, environment)
            cluster, database = sql_access.where(loaded, environments, tenant)
    sql_access.check_place(environment, os.environ, tenant, reason, minutes, recipient)
    place = Place.of(plan_environment(loaded), settings.load(ROOT))
    request = SqlRequest(
        cluster=cluster,
        database=database,
        recipient=recipient,
        by=who(os.environ),
        reason=reason,
        time=place.clock.time(),
        minutes=minutes,
    )
    answer = sql_access.open_access(place, request, console.note)
    for line in sql_access.said(answer, request, environment):
        console.say(line)


@app.command(
    "connect",
    **examples("sql connect production 20261127-031500-4f0c92ab --key sql.key --droplet 203.0.113.7"),
)
def connect(
    environment: EnvironmentName,
    run_id: RunId,
    *,
    key: Key,
    droplet: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="A droplet of the control group (presence360 status has it), for SSH as root.",
        ),
    ],
    command: Annotated[str, typer.Option("--command", "-c", help="Run this instead of a terminal.")] = "",
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Start psql on a droplet of the control group, as the login that was made. Ends with psql's exit status."""
    with Wrong() as wrong:
        with wrong.part():
            sql_access.check_id(run_id)
        with wrong.part():
            dump_file.check(key, option="--key")
        with wrong.part():
            terminal = Terminal.of(droplet)
        with wrong.part():
            place = Place.of(plan_environment(load(environments, environment)), settings.load(ROOT))
    answer = place.answer(run_id)
    if answer is None:
        raise UsageError([f"{run_id}: no droplet has answered it yet, or it is older than three days"])
    code = terminal.start(run_id, sql_access.unsealed(answer, key), command)
    if code:
        raise typer.Exit(code)


@app.command("close", **examples("sql close production 20261127-031500-4f0c92ab"))
def close(environment: EnvironmentName, run_id: RunId, environments: Environments = ENVIRONMENTS) -> None:
    """End a login before its time: its sessions end within seconds."""
    sql_access.check_id(run_id)
    place = Place.of(plan_environment(load(environments, environment)), settings.load(ROOT))
    sql_access.close_access(place, run_id, who(os.environ))
    console.say(f"{run_id}: {role_of(place.record(run_id).database, run_id)} is closed")


@app.command("list", **examples("sql list production", "sql list production --json"))
def list_(
    environment: EnvironmentName, json: Json = False, environments: Environments = ENVIRONMENTS
) -> None:
    """Show who asked for what in the last three days, what is open, and what no droplet has answered yet."""
    place = Place.of(plan_environment(load(environments, environment)), settings.load(ROOT))
    now = place.clock.time()
    asked = place.asked()
    if json:
        console.as_json(
            [
                {
                    "id": run_id,
                    "state": state(answer, now),
                    "database": request.database,
                    "role": role_of(request.database, run_id),
                    "by": request.by,
                    "reason": request.reason,
                    "until": answer.until.isoformat() if answer and answer.until else None,
                }
                for run_id, request, answer in asked
            ]
        )
        return
    for run_id, request, answer in asked:
        console.say(f"{run_id}  {state(answer, now)}  {request.database}  {request.by}: {request.reason}")
    if not asked:
        console.say(f"{environment}: nobody asked for one in the last three days")


def state(answer: SqlAnswer | None, now: datetime) -> str:
    """Say how a login is: one whose time is over is gone, whatever was said last."""
    if answer is None:
        return "not answered"
    return "over" if answer.state == OPEN and answer.until and answer.until <= now else answer.state
