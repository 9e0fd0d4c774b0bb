"""`presence360 migrations`: how far every database's schema is, and another try for those that failed."""

from typing import Annotated

import typer

from model.plan import plan_environment
from ops.ci import settings
from ops.command import console
from ops.command.options import EnvironmentName, Environments, Json, examples, load
from ops.credentials import check_spaces
from ops.digitalocean import MaybeWrittenError, Spaces
from ops.errors import OperationError, UsageError
from ops.migrations import Migrations, database_named
from ops.paths import ENVIRONMENTS, ROOT
from ops.progress import elapsed
from ops.waiting import SYSTEM_CLOCK, CannotTellError, TryAgainError

HEADING = ("church", "revision", "image", "since", "result", "reason")

# Of a digest; twelve digits tell any two images apart.
_PREFIX, _SHORT = "sha256:", 12

app = typer.Typer()


@app.command(
    "migrations",
    rich_help_panel="From the files to DigitalOcean",
    **examples("migrations staging", "migrations staging --retry grace", "migrations staging --json"),
)
def show_migrations(
    environment: EnvironmentName,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHURCH",
            help="Try this church again at once, by slug or id, or `control_plane`; repeatable.",
        ),
    ] = None,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Show what each database's schema is at, and why the release waits."""
    loaded = load(environments, environment)
    wanted = [(one, database_named(loaded, one)) for one in retry or ()]
    if unknown := [one for one, database in wanted if database is None]:
        raise UsageError([f"there is no church {one!r} in {environment}" for one in unknown])
    environ = settings.load(ROOT)
    check_spaces(environ)
    plan = plan_environment(loaded)
    try:
        spaces = Spaces.of(environ, plan.network.region, SYSTEM_CLOCK)
        migrations = Migrations.of(plan, spaces)
        if migrations is None:
            raise UsageError([f"{environment}: environment.yaml asks for no migrations (docs/migrations.md)"])
        for warning in loaded.warnings:
            if warning.path.startswith("migrations"):
                console.warn(str(warning))
        if wanted:
            _ask(migrations, [database for _, database in wanted if database], as_json=json)
            return
        _show(migrations, as_json=json)
    except (CannotTellError, TryAgainError) as error:
        raise OperationError(f"the migrations cannot be read: {error}") from error


def _ask(migrations: Migrations, databases: list[str], *, as_json: bool) -> None:
    at = f"{SYSTEM_CLOCK.time():%Y-%m-%dT%H:%M:%SZ}"
    try:
        migrations.retry(databases, at)
    except MaybeWrittenError as error:
        raise OperationError(f"nobody knows whether the request was written: {error}. Ask again") from error
    except (CannotTellError, TryAgainError) as error:
        raise OperationError(f"the request was not written: {error}") from error
    if as_json:
        asked = [{"name": migrations.name(database), "database": database} for database in databases]
        console.as_json({"environment": migrations.environment, "time": at, "asked": asked})
        return
    console.say("Asked for. The control group tries again within a minute and a half.")


def _show(migrations: Migrations, *, as_json: bool) -> None:
    summary, databases = migrations.summary(), migrations.databases()
    now = SYSTEM_CLOCK.time()
    if as_json:
        console.as_json(
            {
                "environment": migrations.environment,
                "state": summary and summary.state,
                "reason": summary and summary.reason,
                "images": summary and dict(summary.images),
                "time": summary and summary.time.isoformat(),
                "databases": [
                    {
                        "name": migrations.name(one.database),
                        "database": one.database,
                        "cluster": one.cluster,
                        "result": one.result,
                        "revision": one.revision,
                        "image": one.image,
                        "since": one.since and one.since.isoformat(),
                        "reason": one.reason,
                        "tries": one.tries,
                    }
                    for one in databases
                ],
            }
        )
        return
    if summary is None:
        console.say(f"{migrations.environment}: the control group has not said anything of migrations yet")
        return
    age = elapsed(max(0.0, (now - summary.time).total_seconds()))
    console.say(f"{migrations.environment}: {summary.state}, {age} ago: {summary.reason}", style="bold")
    for service, image in sorted(summary.images.items()):
        console.say(f"  {service}: {image}")
    console.table(
        HEADING,
        [
            (
                migrations.name(one.database),
                one.revision,
                one.image and one.image.removeprefix(_PREFIX)[:_SHORT],
                one.since and f"{one.since:%Y-%m-%d %H:%M} UTC",
                one.result,
                one.reason or None,
            )
            # What somebody has to look at first.
            for one in sorted(
                databases, key=lambda one: (one.result != "failed", migrations.name(one.database))
            )
        ],
    )
