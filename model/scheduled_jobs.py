"""Scheduled jobs: commands in a service's image that an environment runs at certain times (docs/jobs.md)."""

from collections.abc import Mapping
from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.errors import Findings, shown
from model.layout import Placement
from model.schedule import Schedule, ScheduleError
from model.services import CATALOGUE

JOBS_KEY = "jobs.json"
"""The object in the bucket of each group that has scheduled jobs. Not part of a release: it restarts nothing."""


@dataclass(frozen=True, kw_only=True)
class ScheduledJobPlan:
    """A command that is run at certain times, on one droplet of its service's group."""

    name: str
    service: str
    command: tuple[str, ...]
    schedule: Schedule
    written: str
    """The schedule as the operators wrote it."""
    timeout_seconds: int

    def as_json(self) -> dict[str, object]:
        """Return what a droplet is told."""
        return {
            "service": self.service,
            "command": list(self.command),
            "schedule": self.schedule.as_json(),
            "timeout_seconds": self.timeout_seconds,
        }


def plan_scheduled_jobs(file: EnvironmentFile, placement: Placement) -> tuple[ScheduledJobPlan, ...]:
    """Decide a group's scheduled jobs, by name."""
    services = {service.name for service in placement.services}
    return tuple(
        ScheduledJobPlan(
            name=name,
            service=job.service,
            command=job.command,
            schedule=Schedule.read(job.schedule),
            written=job.schedule,
            timeout_seconds=job.timeout_minutes * 60,
        )
        for name, job in sorted(file.jobs.items())
        if job.service in services
    )


def jobs_json(jobs: tuple[ScheduledJobPlan, ...]) -> Mapping[str, object]:
    """Return what the object says."""
    return {"jobs": {job.name: job.as_json() for job in jobs}}


def check_scheduled_jobs(file: EnvironmentFile, findings: Findings) -> None:
    """Find schedules that say no time, and jobs that no droplet would run."""
    placed = {service for group in getattr(file, "groups", {}).values() for service in group.services}
    for name, job in getattr(file, "jobs", {}).items():
        try:
            Schedule.read(job.schedule)
        except ScheduleError as error:
            findings.add(
                ("jobs", name, "schedule"),
                f"{shown(job.schedule)}: {error}",
                "Write minute, hour, day of the month, month and day of the week as cron does, in UTC: "
                '"30 3 * * *" is every night at half past three, "0 */2 * * mon-fri" each second hour on weekdays.',
            )
        if placed and job.service not in placed and not CATALOGUE[job.service].required:
            findings.add(
                ("jobs", name, "service"),
                f"no group runs {shown(job.service)}",
                f"Add {job.service} to the `services` of one group, or remove this job.",
            )
