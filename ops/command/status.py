"""`presence360 status`: how every droplet is, by what it says of itself, and what became of scheduled jobs."""

import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from model.plan import plan_environment
from model.runs import JobRecord
from model.scheduled_jobs import ScheduledJobPlan
from ops.ci import settings
from ops.command import console
from ops.command.options import Environments, Json, MaybeEnvironment, examples, load_some
from ops.errors import OperationError, UsageError
from ops.fleet import Fleet, Report
from ops.paths import ENVIRONMENTS, ROOT
from ops.progress import elapsed
from ops.waiting import LOOK_AT_THE_NETWORK, SYSTEM_CLOCK, CannotTellError, TryAgainError

WATCH_SECONDS = 10.0
"""Between two looks: droplets write at every change, and otherwise every two minutes."""

SILENT = "silent"
"""Stands for the phase of a droplet that says nothing of the present."""

HEADING = ("group", "droplet", "address", "release", "phase", "since", "reason")

JOBS_HEADING = ("job", "service", "schedule", "state", "due", "last success", "reason")
"""Times are those that have passed since."""

# A digest as people compare it; twelve digits tell any two releases apart.
_SHORT = 12

app = typer.Typer()


@app.command(
    "status",
    rich_help_panel="From the files to DigitalOcean",
    **examples("status", "status production --watch", "status staging --json"),
)
def show_status(
    environment: MaybeEnvironment = None,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every ten seconds, until Ctrl-C.")
    ] = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Show every droplet: address, release, what it is doing, since when, and why; and how scheduled jobs ended."""
    if json and watch:
        raise UsageError(["--json shows the status once: leave --watch out, or call it again"])
    environ = settings.load(ROOT)
    settings.check_provider(environ)
    plans = [plan_environment(one) for one in load_some(environments, environment)]
    try:
        fleets = [Fleet.of(plan, environ, SYSTEM_CLOCK) for plan in plans]
        if json:
            console.as_json([one for fleet in fleets for one in as_json(fleet)])
            return
        while True:
            _show(fleets)
            if not watch:
                return
            SYSTEM_CLOCK.sleep(WATCH_SECONDS)
            if sys.stdout.isatty():
                console.clear()
    except CannotTellError as error:
        raise OperationError(f"the status cannot be read: {error}") from error
    except TryAgainError as error:
        raise OperationError(f"the status cannot be read: {error}. {LOOK_AT_THE_NETWORK}") from error


def _show(fleets: list[Fleet]) -> None:
    for fleet in fleets:
        now = fleet.clock.time()
        console.say(f"{fleet.environment}, {now:%Y-%m-%d %H:%M:%S} UTC", style="bold")
        console.table(HEADING, [row(report, now) for report in fleet.reports()])
        console.say()
        if jobs := fleet.jobs():
            console.table(JOBS_HEADING, [job_row(job, record, now) for job, record in jobs])
            console.say()


def job_row(job: ScheduledJobPlan, record: JobRecord | None, now: datetime) -> tuple[str | None, ...]:
    """Return a scheduled job's line of the table, as in `JOBS_HEADING`."""
    if record is None:
        return job.name, job.service, job.written, "new", None, None, "no droplet has looked at it yet"
    ago = elapsed(max(0.0, (now - record.due).total_seconds()))
    success = record.last_success and elapsed(max(0.0, (now - record.last_success).total_seconds()))
    due = None if record.state == "waiting" else ago
    status = f"exit status {record.exit_status}" if record.exit_status else ""
    reason = ": ".join(filter(None, (status, record.reason))) or None
    return job.name, job.service, job.written, record.state, due, success or None, reason


def row(report: Report, now: datetime) -> tuple[str | None, ...]:
    """Return a droplet's line of the table, as in `HEADING`."""
    status, silence = report.status, report.silence(now)
    who = report.group, report.droplet.name, report.droplet.public or None
    if status is None:
        return *who, None, SILENT, None, silence
    release = (status.release or "none")[:_SHORT]
    if status.wanted not in {None, status.release}:
        release += f" -> {str(status.wanted)[:_SHORT]}"
    if silence:
        age = elapsed((now - status.time).total_seconds())
        return *who, release, SILENT, age, silence
    age = elapsed(max(0.0, (now - status.since).total_seconds()))
    closed = f"in maintenance: {status.closed}" if status.closed else ""
    reason = "; ".join(filter(None, (status.reason, closed))) or None
    return *who, release, status.phase, age, reason


def as_json(fleet: Fleet) -> list[dict[str, Any]]:
    """Return an environment's droplets for programs; what is not known is null."""
    now = fleet.clock.time()
    return [
        {
            "environment": fleet.environment,
            "group": report.group,
            "id": report.droplet.id,
            "droplet": report.droplet.name,
            "address": report.droplet.public or None,
            "silence": report.silence(now),
            **_said(report),
        }
        for report in fleet.reports()
    ]


def _said(report: Report) -> dict[str, Any]:
    status = report.status
    names = ("release", "wanted", "programs", "phase", "result", "reason", "closed")
    return {
        **{name: status and getattr(status, name) for name in names},
        "since": status and status.since.isoformat(),
        "time": status and status.time.isoformat(),
    }
