"""The commands put together, and how each ends: 0 done, 1 refused or failed, 2 something has to be corrected."""

import os
from typing import Any

import typer
from typer import rich_utils
from typer.core import TyperGroup

from model.errors import InvalidInputError
from ops.arguments import told
from ops.ci import workflow
from ops.command import (
    alerts,
    backups,
    check,
    console,
    dashboards,
    deploy,
    drill,
    env,
    lab,
    logs,
    maintenance,
    migrations,
    release,
    restore,
    review,
    run,
    sql,
    status,
    tenant,
)
from ops.errors import OperationError, UsageError
from ops.refused import RefusedError

EXIT_FAILED, EXIT_INVALID_INPUT = 1, 2

PROGRAM = "presence360"
FILES = "The files in environments/"

# NO_COLOR wins: with FORCE_COLOR rich takes everything for a terminal, and writes bold to it in spite of NO_COLOR.
if os.environ.get("NO_COLOR"):
    os.environ.pop("FORCE_COLOR", None)
    rich_utils.COLOR_SYSTEM = None

# typer takes GitHub's log for a terminal; rich knows what is one, and FORCE_COLOR.
rich_utils.FORCE_TERMINAL = None


# What ends a call that cannot be parsed; typer exports only what is derived from it.
_USAGE: Any = typer.BadParameter.__base__


class Commands(TyperGroup):
    """Commands whose expected errors are said without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; turn what it refuses into text and an exit code."""
        try:
            return super().invoke(ctx)
        except _USAGE as error:
            error.message = told(error.message)
            raise
        except (InvalidInputError, RefusedError) as error:
            console.fail(str(error))
            raise typer.Exit(EXIT_INVALID_INPUT) from error
        except UsageError as error:
            for problem in error.problems:
                console.fail(f"{PROGRAM}: {problem}")
            raise typer.Exit(EXIT_INVALID_INPUT) from error
        except OperationError as error:
            workflow.annotate("error", str(error))
            raise typer.Exit(EXIT_FAILED) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run Presence360's infrastructure: churches, releases, environments, deploys. "
    "The files in environments/ are the truth; every edit here is one that you could make by hand.",
    epilog="Exit codes: 0 done; 1 refused or failed; 2 something in the call or in the files has to be corrected.",
)
app.add_typer(tenant.app, name="tenant", rich_help_panel=FILES)
app.add_typer(release.app, name="release", rich_help_panel=FILES)
app.add_typer(env.app, name="env", rich_help_panel=FILES)
app.add_typer(maintenance.app)
app.add_typer(restore.app, name="restore", rich_help_panel=FILES)
app.add_typer(deploy.app)
app.add_typer(review.app)
app.add_typer(dashboards.app)
app.add_typer(status.app)
app.add_typer(check.app)
app.add_typer(run.app)
app.add_typer(sql.app, name="sql", rich_help_panel="From the files to DigitalOcean")
app.add_typer(logs.app)
app.add_typer(migrations.app)
app.add_typer(alerts.app, name="alerts", rich_help_panel="From the files to DigitalOcean")
app.add_typer(backups.app, name="backups", rich_help_panel="From the files to DigitalOcean")
app.add_typer(drill.app)
app.add_typer(lab.app)


def main() -> int:
    """Run the command; return its exit code."""
    app(prog_name=PROGRAM)
    return 0
