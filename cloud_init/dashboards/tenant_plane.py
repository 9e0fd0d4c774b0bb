"""The services that work for churches."""

from typing import Final

from cloud_init.dashboards import requests
from cloud_init.dashboards.parts import (
    PER_SECOND,
    RATE,
    SECONDS,
    SHARE,
    Column,
    Content,
    Limits,
    Query,
    Section,
    Shown,
    lines,
    rows,
)
from cloud_init.dashboards.variables import listed
from model.alerts import limits
from model.dashboards import CHURCH, DashboardsPlan
from model.services import CATALOGUE, Plane

_SERVICE: Final = 'service=~"$service"'
_SERVICE_NAME: Final = 'service_name=~"$service"'
_PROVIDERS: Final = {
    "Rekognition": "presence360_rekognition_requests_total",
    "mNotify": "presence360_mnotify_requests_total",
}
_CHURCH: Final = ("Open the church", f"{CHURCH.path}?var-church=${{__value.raw}}")


def content(_plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    services = [(one.name, one.name) for one in CATALOGUE.values() if one.plane is Plane.TENANT]
    return Content(
        [
            Section("Requests", _REQUESTS),
            Section("Jobs", _JOBS),
            Section(
                "Providers", [_failing(), *(_provider(name, metric) for name, metric in _PROVIDERS.items())]
            ),
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
    rows(
        "Churches with errors", "The 10 churches with the most answers of 5xx in the last 15 minutes.",
        'topk(10, round(sum by (tenant) (increase(presence360_tenant_requests_total{status_class="5xx"}[15m]))) > 0)',
        Column("tenant", "Church", link=_CHURCH),
        Column("Value", "Answers of 5xx", limits=Limits(yellow=1)),
    ),
    rows(
        "Busiest churches", "The 10 churches with the most requests in the last 15 minutes.",
        "topk(10, sum by (tenant) (rate(presence360_tenant_requests_total[15m])))",
        Column("tenant", "Church", link=_CHURCH),
        Column("Value", "Requests", unit=PER_SECOND),
    ),
]  # fmt: skip

_JOBS: Final = [
    lines(
        "Jobs that end", "Jobs a second by how they end; a retry is tried again.",
        Query(f"sum by (outcome) (rate(presence360_jobs_total[{RATE}]))", "{{outcome}}"), unit="ops", stacked=True,
    ),
    lines(
        "Jobs wait", "One job in 10 waits longer than this before a worker takes it, by the kind of queue.",
        Query(
            "histogram_quantile(0.9, sum by (queue_class, le) (rate(presence360_job_wait_seconds_bucket[10m])))",
            "{{queue_class}}",
        ),
        unit=SECONDS, limits=Limits(red=limits.QUEUE_LAG_SECONDS), alerts=["QueueLag"],
    ),
    lines(
        "Jobs that wait", "Jobs of all churches in Valkey.", Query("sum(redis_key_size)", "jobs"),
        limits=Limits(red=limits.QUEUES_LONG), alerts=["QueuesLong", "JobsStand"],
    ),
    rows(
        "Jobs that fail", "The 10 kinds of jobs of which the largest share failed in the last half hour.",
        'topk(10, sum by (task) (increase(presence360_jobs_total{outcome="failure"}[30m]))'
        " / sum by (task) (increase(presence360_jobs_total[30m])) > 0)",
        Column("task", "Job"),
        Column("Value", "Failed", unit=SHARE, limits=Limits(yellow=limits.JOBS_FAIL)), alerts=["JobsFail"],
    ),
    rows(
        "Slowest jobs", "The 10 kinds of jobs of which one in 20 takes longest.",
        "topk(10, histogram_quantile(0.95, sum by (task, le) (rate(presence360_job_duration_seconds_bucket[15m]))))",
        Column("task", "Job"),
        Column("Value", "95 of 100 within", unit=SECONDS),
    ),
]  # fmt: skip


def _provider(name: str, metric: str) -> Shown:
    return lines(
        f"Requests to {name}", f"Requests a second to {name} by what came of them.",
        Query(f"sum by (outcome) (rate({metric}[{RATE}]))", "{{outcome}}"), unit=PER_SECOND, stacked=True,
    )  # fmt: skip


def _failing() -> Shown:
    def share(metric: str) -> str:
        failed = f'sum(rate({metric}{{outcome!="success"}}[10m]))'
        return f"({failed} or sum(rate({metric}[10m])) * 0) / sum(rate({metric}[10m]))"

    return lines(
        "Requests to providers that fail", "The share of requests in the last 10 minutes that did not succeed.",
        *(Query(share(metric), name) for name, metric in _PROVIDERS.items()), unit=SHARE, highest=1,
        limits=Limits(limits.PROVIDER_ERRORS, limits.PROVIDER_FAILS),
        alerts=["RekognitionErrors", "RekognitionFails", "MnotifyErrors", "MnotifyFails"],
    )  # fmt: skip
