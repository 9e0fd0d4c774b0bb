"""Panels about requests, jobs and containers that several dashboards have."""

from cloud_init.dashboards.parts import (
    PER_SECOND,
    RATE,
    SECONDS,
    SHARE,
    THIRD,
    Column,
    Limits,
    Query,
    Shown,
    lines,
    rows,
)
from model.alerts import limits
from model.alerts.droplets import CONTAINER_MEMORY
from model.dashboards import DROPLETS

_ALL = "presence360_http_requests_total"
_BURN = Limits(limits.burn_limit(limits.BURN_SLOWLY), limits.burn_limit(limits.BURN_FAST))
_BURNS = ["ErrorsBurnFast", "ErrorsBurn", "ErrorsBurnSlowly"]


def share_of_errors(service: str, window: str, by: str = "") -> str:
    """Return the share of requests that services answer with 5xx; 0 where none was, nothing without requests.

    Args:
        service: a matcher of the label, or nothing for all.
        window: over which it is counted.
        by: a label; without it of all together.
    """
    # What nginx answers itself is no service's fault.
    wanted = f'{service},service!="nginx"' if service else 'service!="nginx"'
    total = f"sum by ({by}) (rate({_ALL}{{{wanted}}}[{window}]))"
    failed = f'sum by ({by}) (rate({_ALL}{{{wanted},status_class="5xx"}}[{window}]))'
    return f"({failed} or {total} * 0) / {total}"


def by_service(service: str) -> Shown:
    """Return requests a second."""
    return lines(
        "Requests", "Requests a second by the service that answers them; nginx is what it answers itself.",
        Query(f"sum by (service) (rate({_ALL}{{{service}}}[{RATE}]))", "{{service}}"), unit=PER_SECOND, stacked=True,
    )  # fmt: skip


def errors_by_service(service: str) -> Shown:
    """Return the share of errors."""
    return lines(
        "Requests that fail", "The share of a service's requests that it answers with 5xx. At the lines a month's "
        "allowance is used up in 10 days, and in 2.",
        Query(share_of_errors(service, RATE, "service"), "{{service}}"), unit=SHARE, limits=_BURN, alerts=_BURNS,
    )  # fmt: skip


def slowest_by_service(service: str) -> Shown:
    """Return how long requests take."""
    matched = f"presence360_http_request_duration_seconds_bucket{{{service}}}"
    return lines(
        "Slowest requests", "One request in 20 takes longer than this, as nginx measures it.",
        Query(f"histogram_quantile(0.95, sum by (service, le) (rate({matched}[{RATE}])))", "{{service}}"),
        unit=SECONDS, limits=Limits(yellow=limits.SLOW_SECONDS), alerts=["RequestsSlow"],
    )  # fmt: skip


def by_class(service: str) -> Shown:
    """Return requests a second by class of status."""
    return lines(
        "Requests by status", "Requests a second by the class of what was answered: 4xx is the client's, 5xx ours.",
        Query(f"sum by (status_class) (rate({_ALL}{{{service}}}[{RATE}]))", "{{status_class}}"), unit=PER_SECOND,
        stacked=True,
    )  # fmt: skip


def slowest_routes(service: str) -> Shown:
    """Return the slowest routes of the services that measure themselves."""
    bucket = f"http_server_request_duration_seconds_bucket{{{service}}}"
    expression = f"histogram_quantile(0.95, sum by (service_name, http_route, le) (rate({bucket}[15m])))"
    return rows(
        "Slowest routes", "The 10 routes of which one request in 20 takes longest, as the services measure it.",
        f"topk(10, {expression})",
        Column("service_name", "Service"),
        Column("http_route", "Route"),
        Column("Value", "95 of 100 within", unit=SECONDS, limits=Limits(yellow=limits.SLOW_SECONDS)),
    )  # fmt: skip


def failing_routes(service: str) -> Shown:
    """Return the routes that fail most."""
    count = f'http_server_request_duration_seconds_count{{{service},http_response_status_code=~"5.."}}'
    return rows(
        "Routes that fail", "The 10 routes with the most answers of 5xx in the last 15 minutes.",
        f"topk(10, round(sum by (service_name, http_route) (increase({count}[15m]))) > 0)",
        Column("service_name", "Service"),
        Column("http_route", "Route"),
        Column("Value", "Answers of 5xx", limits=Limits(yellow=1)),
    )  # fmt: skip


def unhealthy(matcher: str, width: int = THIRD) -> Shown:
    """Return the services that fail Docker's health check."""
    return rows(
        "Services that are not healthy", "By Docker's health check. converge starts them again.",
        f"presence360_service_healthy{{{matcher}}} == 0",
        Column("instance", "Droplet", link=("Open the droplet", f"{DROPLETS.path}?var-droplet=${{__value.raw}}")),
        Column("service", "Service"), width=width, height=8 if width == THIRD else 5, empty="all are healthy",
        alerts=["ServiceUnhealthy", "WorkerHangs", "ServiceDown"],
    )  # fmt: skip


def containers(service: str) -> list[Shown]:
    """Return what the containers of services use."""
    memory = CONTAINER_MEMORY.replace("_bytes", f"_bytes{{{service}}}")
    return [
        lines(
            "CPU of containers", "Cores that a service uses, on all of its droplets.",
            Query(
                f"sum by (service) (rate(presence360_container_cpu_seconds_total{{{service}}}[{RATE}]))", "{{service}}"
            ),
        ),
        lines(
            "Memory of containers", "The share of the memory that it may use, of the droplet where it is highest. At 1 "
            "it is ended.",
            Query(f"max by (service) ({memory})", "{{service}}"), unit=SHARE, highest=1,
            limits=Limits(yellow=limits.CONTAINER_MEMORY_NEAR),
            alerts=["ContainerMemoryNearlyUsedUp", "ContainerOutOfMemory"],
        ),
        lines(
            "Restarts of containers", "How often Docker started a container again within an hour, because it ended.",
            Query(
                f"sum by (service) (increase(presence360_container_restarts_total{{{service}}}[1h]))", "{{service}}"
            ),
            limits=Limits(yellow=limits.CONTAINER_RESTARTS), alerts=["ContainerRestarts"],
        ),
        unhealthy(service, 3 * THIRD),
    ]  # fmt: skip
