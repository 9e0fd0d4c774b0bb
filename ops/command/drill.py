"""`presence360 drill`: try what a cluster's backup and our dumps are worth, on a fork that is thrown away."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from model.plan import plan_environment
from model.sanity import load_sanity
from ops.arguments import told
from ops.ci import settings, steps, workflow
from ops.command import console
from ops.command.options import EnvironmentName, Environments, Json, examples, load
from ops.command.wrong import Wrong
from ops.drill import before, cleaning, run
from ops.drill.place import Place
from ops.errors import OperationError, UsageError
from ops.foreign_output import no_commands
from ops.guard.text import safe
from ops.paths import ENVIRONMENTS, OUTDIR, ROOT

KEY_VARIABLE = "DRILL_KEY"

app = typer.Typer()


@app.command(
    "drill",
    rich_help_panel="From the files to DigitalOcean",
    **examples(
        "drill staging --identity drill.key",
        "drill production --identity drill.key --cluster cell-2",
        "drill staging --show",
        "drill staging --clean",
    ),
)
def drill(
    environment: EnvironmentName,
    *,
    identity: Annotated[
        Path | None,
        typer.Option(
            help=f"A file with the drill's private key of age; left out, the variable {KEY_VARIABLE}."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Fork this one, by its name in the files; left out, the one that waited longest."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the newest report, and do nothing.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Destroy what a drill has left, and do nothing else.")
    ] = False,
    only_if_asked_for: Annotated[
        bool,
        typer.Option(
            "--only-if-asked-for",
            help="For CI: exit code 0 where environment.yaml has no `backups.drill:`; --clean leaves alone what "
            "another run works on.",
            hidden=True,
        ),
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            help="For CI: also write what is wrong to this file, as Markdown; empty if nothing is.",
            hidden=True,
        ),
    ] = None,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Fork a cluster from its newest backup, try each database on it, bring the report, and destroy the fork.

    Exit code 1: something is wrong with a backup or a dump, or the drill could not be done.
    """
    if show and clean:
        raise UsageError(["--show does nothing, and --clean destroys what is left: give one of the two"])
    # Kept here, and given to no program that is started: not to synth, nor to Terraform and its providers.
    given = os.environ.pop(KEY_VARIABLE, "")
    loaded = load(environments, environment)
    plan = plan_environment(loaded)
    if only_if_asked_for and plan.drill is None:
        console.say(f"{environment}: environment.yaml has no `backups.drill:`, so there is nothing to try")
        return
    environ = settings.load(ROOT)
    of_file = environ.pop(KEY_VARIABLE, "")
    given = given or of_file
    place = Place.of(plan, environ, lambda stack: steps.open_stack(environ, stack))
    if show:
        _show(place, json=json)
        return
    queries = load_sanity(environments)
    recipients = plan.backups.recipients if plan.backups else ()
    with _told(None if clean else into) as tell:
        with Wrong() as wrong:
            with wrong.part():
                key = "" if clean else before.identity(_key(identity, given), recipients)
            with wrong.part():
                # Now, and not after a synth of twenty seconds.
                if cluster is not None and not clean:
                    before.choose(place.drill, None, cluster)
            with wrong.part():
                settings.check_plan(environ, [place.drill.name])
        command = [sys.executable, str(ROOT / "main.py"), "--environments", str(environments)]
        steps.run_synth([*command, "--outdir", str(OUTDIR)], environ)
        if clean:
            if cleaning.clean(place, console.note, unless_at_work=only_if_asked_for):
                console.say(f"{place.drill.name}: nothing of it is left")
            return
        with no_commands():
            limit = loaded.file.account.clusters
            result = run.drill(place, key, queries, console.note, source=cluster, limit=limit)
            workflow.summarize(result.markdown)
        problems = "; ".join(result.status.problems[:3] or ("see the report",))
        passed = result.status.passed
        tell("" if passed else result.markdown or f"**The drill failed.** {safe(problems)}")
        if not passed:
            raise OperationError(f"{environment}: the drill failed: {problems}")
        console.say(f"{environment}: the drill passed")


@contextmanager
def _told(into: Path | None) -> Iterator[Callable[[str], None]]:
    """Yield what writes the report to a file; where none was written, the file says why."""
    told: list[str] = []

    def tell(markdown: str) -> None:
        told.append(markdown)
        workflow.write(into, markdown)

    workflow.write(into, "**The drill did not come to its end.** The log of the run says where it was.\n")
    try:
        yield tell
    except (OperationError, UsageError) as error:
        if not told:
            # What comes after the first line may be Terraform's.
            tell(f"**The drill could not be done.** {safe(str(error).partition(chr(10))[0])}\n")
        raise


def _key(file: Path | None, given: str) -> str:
    if file is None:
        if not given:
            raise UsageError([f"--identity names no file, and {KEY_VARIABLE} is not set (docs/drill.md)"])
        workflow.mask(given)
        return given
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is no text"
        raise UsageError(
            [
                f"--identity {told(file)}: {why}. Name the file with the drill's private key of age (docs/drill.md)."
            ]
        ) from None


def _show(place: Place, *, json: bool) -> None:
    report = place.newest()
    if report is None:
        console.say(f"{place.plan.name}: there was no drill yet")
        return
    if json:
        console.as_json(
            {
                "environment": report.environment,
                "source": report.source,
                "finished": report.finished.isoformat(),
                "passed": report.passed,
                "problems": list(report.problems),
                "notes": list(report.notes),
                "rto_seconds": report.rto_seconds,
                "rpo_seconds": report.rpo_seconds,
                "databases": report.databases,
                "left": report.left,
            }
        )
        return
    verdict = "passed" if report.passed else "failed"
    console.say(
        f"{report.environment}: the drill of {report.source}, {report.finished:%Y-%m-%d %H:%M} UTC, {verdict}: "
        f"{report.databases} databases, {report.left} left for the next one",
        style="bold",
    )
    rto = "unknown" if report.rto_seconds is None else f"{report.rto_seconds / 60:.0f} min"
    console.say(f"RTO {rto}, RPO {report.rpo_seconds / 3600:.1f} h")
    for line in report.problems:
        console.warn(line)
    for line in report.notes:
        console.say(f"to look at: {line}")
