"""Render nginx.conf: what a droplet serves, and to which names. Pure."""

from dataclasses import dataclass
from typing import Final

from cloud_init import rate_limits
from cloud_init.template import render, title
from model.access import HEALTH_PATH
from model.droplets import DropletGroupPlan
from model.hops import (
    ANSWER_SECONDS,
    CLIENT_HEADER_KIB,
    HEADER_KIB,
    NGINX_IDLE_SECONDS,
    UPSTREAM_IDLE_SECONDS,
)
from model.layout import Host
from model.services import (
    CATALOGUE,
    HEALTH_PORT,
    PLATFORM_HOSTS,
    WATCHDOG_HOST,
    WATCHDOG_PATH,
    WATCHDOG_PORT,
    WILDCARD,
    Runtime,
)
from model.telemetry import (
    METRICS_PATH,
    NODE_PATH,
    NODE_PORT,
    REQUESTS_PATH,
    REQUESTS_PORT,
    services_path,
)

STATUS_PORT = 9362
"""Loopback, on every droplet: nginx's own counters (droplet/health.py)."""

HEALTH_CONNECTIONS = 32
"""From one address at once. A load balancer's node asks one question every 5 s (constructs_lib/edge.py)."""

HEALTH_RATE = 5
"""Questions a second of all clients together, through the load balancer; nobody has to ask there."""

TENANTS_FOLDER = "/var/lib/presence360/tenants"
"""On a droplet: a file for each tenant, named after its slug (droplet/converge/tenants.py)."""

MAINTENANCE_FOLDER = "/var/lib/presence360/maintenance"
"""On a droplet: the file `environment`, and in `tenants` a file for each tenant (droplet/converge/maintenance.py)."""

MAINTENANCE_RETRY_SECONDS = 120
"""What clients are told to wait in maintenance (RFC 9110, Retry-After): it ends sooner than a suspension."""

UNKNOWN_RATE = 5
"""Answers a second to all names together that are no tenant's. A mistyped address is rare; a list of guesses is not."""

JOURNAL = "/run/systemd/journal/dev-log"
"""journald's socket for syslog's protocol (systemd-journald.service(8))."""

LOCAL_PORT = 8080
"""Where nginx listens on a laptop."""

MAX_BODY_MIB = 25
"""Larger uploads go to Spaces by signed addresses, not through the platform."""

ANSWER_FILE_MIB = 32
"""How much of an answer nginx keeps on its disk for a client that reads slowly, before the service has to wait. nginx's
own 1 GiB (ngx_http_proxy_module, proxy_max_temp_file_size) would let a few clients fill a droplet."""

CONNECTIONS = 4096
"""Of a worker, those to services included; also how many the kernel keeps until nginx takes them (listen(2))."""

CLOSED_RETRY_SECONDS = 3600
"""What a suspended tenant's clients are told to wait (RFC 9110, Retry-After)."""


@dataclass(frozen=True)
class _Closed:
    """Hosts that nginx answers itself, with one status and one page."""

    status: int
    hosts: tuple[str, ...]
    title: str
    words: str


_CLOSED_PAGES: Final = {
    503: (
        "Paused",
        "The service of this church is paused. Nothing is lost. Please ask the administrator of your church.",
    ),
    410: (
        "No longer here",
        "This church is no longer served here. Please ask the administrator of your church.",
    ),
}
"""By status: title and text. In nginx's single quotes: no `'`, no `$`, no backslash."""

_MAINTENANCE_PAGE: Final = (
    "Back soon",
    "We are working on this service. Nothing is lost. Please try again in a few minutes.",
)

_UNKNOWN_PAGE: Final = ("Not found", "There is no church at this address. Please check the spelling.")


@dataclass(frozen=True)
class _Server:
    """One name that nginx answers to."""

    server_name: str
    service: str
    limited: bool
    buffered: bool
    """Whether nginx takes an answer from the service faster than the client reads it. A web front end writes HTML as it
    makes it, and nginx would hold it back; an API's request may hold a database connection until its answer is read."""
    immutable: tuple[str, ...]
    watchdog: bool
    """Whether it says, at a path of its own, that alerts arrive (droplet/watchdog)."""
    json: bool
    """Whether nginx's own answers are for programs: the name is an API's."""


@dataclass(frozen=True)
class _Exporter:
    """Metrics on a loopback port, published on the private one.

    Attributes:
        path: on the private port.
        port: on loopback; None where there is nothing to measure, so that the same paths are asked of every droplet.
        target: the path there.
        optional: whether an answer 404 means that there are none.
    """

    path: str
    port: int | None
    target: str = "/metrics"
    optional: bool = False


def render_nginx(plan: DropletGroupPlan, *, local: bool = False) -> str:
    """Render a group's nginx.conf; ``local`` is plain HTTP, and finds services by their names in Compose."""
    own = {host.label for host in plan.placement.hosts}
    limited = any(host.label == WILDCARD for host in plan.placement.hosts)
    return render(
        "nginx.conf.j2",
        title=title(plan),
        local=local,
        public=plan.placement.public,
        services=[service for service in plan.placement.services if service.public],
        hosts=[
            _server(host, plan.base_domain, watchdog=plan.watchdog is not None and not local)
            for host in plan.placement.hosts
        ],
        watchdog_path=WATCHDOG_PATH,
        watchdog_port=WATCHDOG_PORT,
        # The wildcard would take them for tenants.
        refused=[f"{label}.{plan.base_domain}" for label in sorted(PLATFORM_HOSTS - own)] if limited else [],
        closed=_closed(plan) if limited else [],
        closed_retry_seconds=CLOSED_RETRY_SECONDS,
        zones=rate_limits.zones(plan.rate_limits) if limited else [],
        busy=_Closed(429, (), *rate_limits.BUSY_PAGE),
        busy_retry_seconds=rate_limits.RETRY_SECONDS,
        idle_seconds=NGINX_IDLE_SECONDS,
        upstream_idle_seconds=UPSTREAM_IDLE_SECONDS,
        answer_seconds=ANSWER_SECONDS,
        client_header_kib=CLIENT_HEADER_KIB,
        header_kib=HEADER_KIB,
        max_body_mib=MAX_BODY_MIB,
        answer_file_mib=ANSWER_FILE_MIB,
        connections=CONNECTIONS,
        local_port=LOCAL_PORT,
        status_port=STATUS_PORT,
        tenants_folder=TENANTS_FOLDER,
        maintenance=_Closed(503, (), *_MAINTENANCE_PAGE),
        maintenance_folder=MAINTENANCE_FOLDER,
        maintenance_retry_seconds=MAINTENANCE_RETRY_SECONDS,
        admin_ranges=plan.admin_ranges,
        metrics_path=METRICS_PATH,
        exporters=_exporters(plan),
        counts_tenants=limited and not local,
        sampled=plan.telemetry.sample_percent if plan.telemetry and not local else 0,
        journal=JOURNAL if plan.telemetry and not local else None,
        unknown=_Closed(404, (), *_UNKNOWN_PAGE),
        unknown_rate=UNKNOWN_RATE,
        **_base(plan),
    )


def render_bootstrap_nginx(plan: DropletGroupPlan) -> str:
    """Render what nginx serves until there is a release: a health check that fails, and metrics."""
    return render("bootstrap_nginx.conf.j2", title=title(plan), public=plan.placement.public, **_base(plan))


def _exporters(plan: DropletGroupPlan) -> list[_Exporter]:
    """Return what is published beside the health daemon's own metrics."""
    return [
        _Exporter(NODE_PATH, NODE_PORT),
        _Exporter(REQUESTS_PATH, REQUESTS_PORT if plan.placement.public else None),
        *(
            _Exporter(services_path(service.name), service.host_port, service.metrics_path, optional=True)
            for service in plan.placement.services
            if service.metrics_path and service.host_port
        ),
    ]


def _base(plan: DropletGroupPlan) -> dict[str, str | int]:
    """Return what nginx_base.j2 needs."""
    return {
        "vpc_range": plan.vpc_range,
        "health_path": HEALTH_PATH,
        "health_port": HEALTH_PORT,
        "health_connections": HEALTH_CONNECTIONS,
        "health_rate": HEALTH_RATE,
    }


def _server(host: Host, base_domain: str, *, watchdog: bool) -> _Server:
    name = host.fqdn(base_domain)
    if host.label == WILDCARD:
        # One label: nginx's own *.example.com is any depth, which no certificate covers and no tenant has.
        pattern = base_domain.replace(".", r"\.")
        name = rf"~^(?<tenant>[a-z0-9-]+)\.{pattern}$"
    service = CATALOGUE[host.service]
    return _Server(
        server_name=name,
        service=service.name,
        limited=host.label == WILDCARD,
        buffered=service.runtime is Runtime.PYTHON,
        immutable=service.immutable,
        watchdog=watchdog and host.label == WATCHDOG_HOST,
        # The front ends are written in Node, the APIs in Python.
        json=service.runtime is Runtime.PYTHON,
    )


def _closed(plan: DropletGroupPlan) -> list[_Closed]:
    """Return the closed hosts by status; a KeyError is a status that has no page."""
    closed = plan.closed_hosts
    return [
        _Closed(
            status,
            tuple(sorted(host for host, own in closed.items() if own == status)),
            *_CLOSED_PAGES[status],
        )
        for status in sorted(set(closed.values()))
    ]
