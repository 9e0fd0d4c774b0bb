"""The services that work for operators, and the commands that run at certain times."""

from typing import Final

from cloud_init.dashboards import requests
from cloud_init.dashboards.parts import (
    RATE,
    SECONDS,
    Column,
    Content,
    Limits,
    Query,
    Section,
    lines,
    longest_ago,
    number,
    rows,
)
from cloud_init.dashboards.variables import listed
from model.alerts import limits
from model.dashboards import DashboardsPlan
from model.services import CATALOGUE, Plane

_SERVICE: Final = 'service=~"$service"'
_SERVICE_NAME: Final = 'service_name=~"$service"'


def content(_plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    services = [(one.name, one.name) for one in CATALOGUE.values() if one.plane is Plane.CONTROL]
    return Content(
        [
            Section("Requests", _REQUESTS),
            Section("Scheduled jobs and maintenance", _SCHEDULED),
            Section("Containers", requests.containers(_SERVICE)),
        ],
        [listed("service", "Service", services, several=True)],
    )


_REQUESTS: Final = [
    requests.by_class(_SERVICE),
    requests.errors_by_service(_SERVICE),
    requests.slowest_by_service(_SERVICE),
    requests.slowest_routes(_SERVICE_NAME),
    requests.failing_routes(_SERVICE_NAME),
    lines(
        "Slowest queries", "One operation on a database in 20 takes longer than this, as the services measure it.",
        Query(
            "histogram_quantile(0.95, sum by (db_operation_name, le) (rate(db_client_operation_duration_seconds_bucket"
            f"{{{_SERVICE_NAME}}}[{RATE}])))",
            "{{db_operation_name}}",
        ),
        unit=SECONDS, width=24,
    ),
]  # fmt: skip

_SCHEDULED: Final = [
    number(
        "Maintenance", "Whether the whole environment is in maintenance: then no church is served.",
        "max(presence360_maintenance)", limits=Limits(yellow=1), yes_or_no=True, alerts=["MaintenanceLong"],
    ),
    number(
        "Churches in maintenance", "Churches that are not served for a while.",
        "max(presence360_maintenance_tenants)", limits=Limits(yellow=1),
    ),
    rows(
        "Scheduled jobs that failed", "Jobs whose last run did not end well, or was missed.",
        "max by (name) (presence360_scheduled_job_success == bool 0) == 1",
        Column("name", "Job"), width=8, empty="no job failed", height=4, alerts=["ScheduledJobFails"],
    ),
    rows(
        "Scheduled jobs", "How long ago each job last ended well.",
        "time() - max by (name) (presence360_scheduled_job_last_success_timestamp_seconds)",
        Column("name", "Job"), Column("Value", "Ended well, ago", unit=SECONDS), width=8, height=4,
    ),
    lines(
        "How long scheduled jobs take", "The last run of each job.",
        Query("max by (name) (presence360_scheduled_job_duration_seconds)", "{{name}}"), unit=SECONDS, width=12,
    ),
    lines(
        "Looked for jobs",
        "How long ago a droplet last looked for jobs that are due, of the 5 droplets where it is longest.",
        Query(f"topk(5, {longest_ago('presence360_jobs_timestamp_seconds')})", "{{instance}}"), unit=SECONDS, width=12,
        limits=Limits(red=limits.STALE_SECONDS), alerts=["JobsNotLookedAt"],
    ),
]  # fmt: skip
