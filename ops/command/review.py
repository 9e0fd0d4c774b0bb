"""`presence360 reach`, `parity`, `cost`: what the files come to, for a person who reviews them."""

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from model.loader import Environment, load_environments
from model.plan import plan_environment
from model.prices import Price
from model.reach.paths import paths
from model.reach.planned import facts_of
from ops.arguments import told
from ops.ci import settings
from ops.command import console
from ops.command.options import (
    EnvironmentName,
    Environments,
    Json,
    MaybeEnvironment,
    examples,
    file_to_write,
    load,
    load_some,
)
from ops.cost import report
from ops.edits import by_name, joined
from ops.errors import OperationError, UsageError
from ops.parity import report as parity_report
from ops.parity.compare import Difference
from ops.parity.plans import unexplained
from ops.parity.run import compare, own
from ops.paths import ENVIRONMENTS, ROOT
from ops.reach import draw, table
from ops.reach.check import Verdict, check
from ops.reach.graph import graph_of
from ops.reach.plan import stack_of
from ops.synthesized import NOT_COMPARED, of_environment, of_no_environment, synthesized

REVIEW = "What the files come to"
EXIT_FOUND = 1

app = typer.Typer()

Plans = Annotated[
    list[Path] | None,
    typer.Option(
        "--plan",
        metavar="PLAN.json",
        help="What `terraform show -json` wrote, named after its stack; repeatable.",
    ),
]


@app.command(
    rich_help_panel=REVIEW,
    **examples(
        "reach staging",
        "reach production --svg production.svg",
        "reach --check",
        "reach staging --plan staging.json --plan staging-cell-2.json",
    ),
)
def reach(
    environment: MaybeEnvironment = None,
    *,
    is_checked: Annotated[
        bool,
        typer.Option("--check", help="Prove that the synthesized stacks allow these paths and no other."),
    ] = False,
    plans: Plans = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a drawing that GitHub renders.")] = False,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the drawing as SVG.", callback=file_to_write)
    ] = None,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Show who can reach whom over the network: every allowed path, and the rule that allows it (docs/reach.md)."""
    _one_answer(
        {"--check" if is_checked else "--plan": is_checked or plans, "--mermaid": mermaid, "--svg": svg}, json
    )
    found = load_some(environments, environment)
    if len(found) > 1 and (mermaid or svg or plans):
        raise UsageError(["name one environment: a drawing is of one, and so are plans"])
    if is_checked or plans:
        _checked(found, plans or (), environments, as_json=json)
        return
    if mermaid or svg:
        _drawn(found[0], svg)
        return
    every = {one.file.environment: paths(facts_of(plan_environment(one))) for one in found}
    if json:
        console.as_json({name: table.as_json(paths_of) for name, paths_of in every.items()})
        return
    for name, paths_of in every.items():
        console.say(f"{name}: {len(paths_of)} paths", style="bold")
        console.table(table.HEADING, table.rows(paths_of))
        console.say()


def _one_answer(asked: Mapping[str, object], json: bool) -> None:
    """Check that one thing is asked for, and that it can be JSON where that is.

    Raises:
        UsageError: more is asked for than one call answers.
    """
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise UsageError([f"{joined(given)} are answers of their own: call reach once for each"])
    if json and given and given[0] in {"--mermaid", "--svg"}:
        raise UsageError([f"{given[0]} is a drawing, and no JSON: leave one of the two out"])


def _drawn(environment: Environment, svg: Path | None) -> None:
    graph = graph_of(plan_environment(environment))
    if svg is None:
        console.say(draw.mermaid(graph).rstrip())
        return
    drawing = draw.svg(graph)
    try:
        svg.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise OperationError(f"{told(svg)}: not written: {error.strerror}") from None
    console.say(f"wrote {svg}")


def _checked(
    found: list[Environment], plans: list[Path] | tuple[()], environments: Path, *, as_json: bool
) -> None:
    """Print the verdicts; exit code 1 if anything is open that nobody decided on."""
    if plans:
        verdicts = [check(found[0], [stack_of(shown) for shown in _read_plans(plans).values()])]
    else:
        stacks = synthesized(environments)
        for apart in of_no_environment(stacks, by_name(load_environments(environments))):
            console.warn(f"{apart}: {NOT_COMPARED}")
        verdicts = [check(one, [*of_environment(stacks, one.file.environment).values()]) for one in found]
    if as_json:
        console.as_json(
            {
                verdict.environment: {
                    "proved": verdict.proved,
                    "paths": verdict.paths,
                    "opened": verdict.opened,
                    "missing": verdict.missing,
                    "unreadable": verdict.unreadable,
                }
                for verdict in verdicts
            }
        )
    else:
        for verdict in verdicts:
            _say_verdict(verdict)
    if not all(verdict.proved for verdict in verdicts):
        raise typer.Exit(EXIT_FOUND)


def _say_verdict(verdict: Verdict) -> None:
    for line in verdict.lines():
        console.say(line) if verdict.proved else console.fail(line)


def _read_plans(files: list[Path]) -> dict[str, Any]:
    """Read plans by their stacks' names.

    Raises:
        UsageError: a file is not a plan.
    """
    found, problems = dict[str, Any](), list[str]()
    for file in files:
        try:
            shown = json_format.loads(file.read_bytes())
            if not isinstance(shown, dict) or "planned_values" not in shown:
                raise ValueError
            found[file.name.partition(".")[0]] = shown
        except OSError as error:
            problems.append(
                f"{told(file)}: cannot be read: {error.strerror}. Name a file that holds a plan in JSON."
            )
        except ValueError:
            problems.append(
                f"{told(file)}: this is not a plan in JSON. Make one: terraform plan -out=plan, then terraform show "
                "-json plan > staging.json"
            )
    if problems:
        raise UsageError(problems)
    return found


@app.command(
    rich_help_panel=REVIEW,
    **examples(
        "parity", "parity staging production --all", "parity --plan staging.json --plan production.json"
    ),
)
def parity(
    first: EnvironmentName = "staging",
    second: EnvironmentName = "production",
    every: Annotated[bool, typer.Option("--all", help="List every difference, not only how many.")] = False,
    plans: Plans = None,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Compare two environments' stacks: every difference, and the key of environment.yaml that explains it.

    Exit code 1 if anything differs that no file explains (docs/parity.md).
    """
    one, other = (load(environments, name) for name in (first, second))
    if first == second:
        raise UsageError([f"{first} is compared with itself: name two environments"])
    given = _read_plans(plans or [])
    stacks = synthesized(environments)
    found = compare(one, other, stacks)
    rest: tuple[Difference, ...] = ()
    if plans:
        both = {name: own(given, name) for name in (first, second)}
        if missing := [name for name in (first, second) if set(both[name]) != set(own(stacks, name))]:
            raise UsageError(
                [
                    f"the plans of {name} are not complete: name {', '.join(of_environment(stacks, name))}"
                    for name in missing
                ]
            )
        rest = unexplained(found, {name: own(stacks, name) for name in (first, second)}, both)
    if json:
        console.as_json(parity_report.as_json(found, rest))
    else:
        for line in parity_report.lines(found, rest, every=every):
            console.say(line)
    if rest or not found.holds:
        raise typer.Exit(EXIT_FOUND)


@app.command(
    rich_help_panel=REVIEW, **examples("cost", "cost production", "cost production --ask", "cost --json")
)
def cost(
    environment: MaybeEnvironment = None,
    ask: Annotated[
        bool,
        typer.Option("--ask", help="Ask DigitalOcean for the prices of droplets, with the token of .env."),
    ] = False,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Show what an environment costs a month at list prices: by part, by cell and by church (docs/cost.md)."""
    found = [plan_environment(one) for one in load_some(environments, environment)]
    droplets = _asked() if ask else report.DROPLETS
    if json:
        console.as_json([report.as_json(plan, droplets) for plan in found])
        return
    for plan in found:
        for line in report.lines(plan, droplets):
            console.say(line)
        console.say()
    for line in report.account_lines():
        console.say(line)


def _asked() -> Mapping[str, Price]:
    environ = settings.load(ROOT)
    if not any(environ.get(name) for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")):
        raise UsageError(
            ["--ask needs a token of DigitalOcean: set DIGITALOCEAN_TOKEN, in .env or as a variable"]
        )
    return report.ask(environ)
