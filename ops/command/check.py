"""`presence360 check`: whether an environment is ready, line by line, by reading alone."""

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated

import typer

from model.errors import did_you_mean, shown
from ops.check import report
from ops.check.checks import CHECKS
from ops.check.finding import Colour
from ops.check.look import Look
from ops.check.run import run
from ops.check.world import World
from ops.ci import settings, workflow
from ops.command import console
from ops.command.options import EnvironmentName, Environments, Json, examples, load
from ops.errors import UsageError
from ops.foreign_output import no_commands
from ops.paths import ENVIRONMENTS, ROOT
from ops.waiting import SYSTEM_CLOCK

EXIT_RED = 1
_STYLES = {Colour.GREEN: "green", Colour.YELLOW: "yellow", Colour.RED: "red"}

app = typer.Typer()


def _lines(incomplete: str) -> list[str]:
    return [check.name for check in CHECKS if check.name.startswith(incomplete)]


@app.command(
    "check",
    rich_help_panel="From the files to DigitalOcean",
    **examples(
        "check production",
        "check staging --only certificates --only names",
        "check production --strict --json",
    ),
)
def check(
    environment: EnvironmentName,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="LINE", help="Only this line; repeatable.", autocompletion=_lines),
    ] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for a yellow line as well.")] = False,
    seen_as: Annotated[
        str,
        typer.Option(
            "--seen-as",
            metavar="ADDRESS",
            help="The public IPv4 address of this machine.",
            show_default=False,
        ),
    ] = "",
    only_if_set_up: Annotated[
        bool,
        typer.Option(
            "--only-if-set-up", help="For CI: exit code 0 where no credential is set at all.", hidden=True
        ),
    ] = False,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Tick the checklist of an environment, live: green, yellow, red, with what to do (docs/check.md).

    It only reads. Exit code 1 if a line is red; a yellow one was not seen, or needs attention soon.
    """
    known = {one.name: one for one in CHECKS}
    problems = [
        f"--only {shown(name)}: there is no such line. {did_you_mean(name, known) or _listed(known)}".rstrip()
        for name in dict.fromkeys(only or ())
        if name not in known
    ]
    problems += (
        []
        if _is_address(seen_as)
        else [f"--seen-as {seen_as!r} is no IPv4 address: write one, such as 203.0.113.7"]
    )
    if problems:
        raise UsageError(problems)
    chosen = [one for one in CHECKS if not only or one.name in only]
    loaded, environ = load(environments, environment), settings.load(ROOT)
    if only_if_set_up and settings.without_credentials(environ):
        workflow.annotate("notice", f"{environment} is not checked: no credentials are set up (docs/ci.md)")
        return
    look = Look(loaded, environ, World(seen_as=seen_as), SYSTEM_CLOCK)
    lines = run(look, chosen)
    if json:
        console.as_json(report.as_json(environment, SYSTEM_CLOCK.time(), lines))
    else:
        with no_commands():
            for colour, text in report.text(lines):
                console.say(text, style=_STYLES[colour])
            console.say(report.summary(environment, lines), style="bold")
    workflow.show(report.markdown(environment, lines))
    worst = max(line.colour for line in lines)
    if worst is Colour.RED or (strict and worst is Colour.YELLOW):
        raise typer.Exit(EXIT_RED)


def _listed(known: Iterable[str]) -> str:
    return f"Write one of: {', '.join(known)}"


def _is_address(text: str) -> bool:
    try:
        return not text or bool(IPv4Address(text))
    except AddressValueError:
        return False
