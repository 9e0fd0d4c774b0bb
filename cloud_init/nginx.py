"""Render nginx.conf: what a droplet serves, and to which names. Pure."""

from dataclasses import dataclass
from typing import Final

from cloud_init.template import render, title
from model.access import HEALTH_PATH
from model.droplets import DropletGroupPlan
from model.edge import IDLE_SECONDS
from model.layout import Host
from model.services import HEALTH_PORT, PLATFORM_HOSTS, WILDCARD

STATUS_PORT = 9362
"""Loopback, on every droplet: nginx's own counters (droplet/health.py)."""

HEALTH_CONNECTIONS = 32
"""From one address at once. A load balancer's node asks one question every 5 s (constructs_lib/edge.py)."""

HEALTH_RATE = 5
"""Questions a second of all clients together, through the load balancer; nobody has to ask there."""

TENANTS_FOLDER = "/var/lib/presence360/tenants"
"""On a droplet: a file for each tenant, named after its slug (droplet/converge/tenants.py)."""

UNKNOWN_RATE = 5
"""Answers a second to all names together that are no tenant's. A mistyped address is rare; a list of guesses is not."""

LOCAL_PORT = 8080
"""Where nginx listens on a laptop."""

MAX_BODY_MIB = 25
"""Larger uploads go to Spaces by signed addresses, not through the platform."""

CLOSED_RETRY_SECONDS = 3600
"""What a suspended tenant's clients are told to wait (RFC 9110, Retry-After)."""


@dataclass(frozen=True)
class _Zone:
    """A request rate and the hosts that have it; for the default rate, the hosts that have another."""

    rate: int
    default: bool
    hosts: tuple[str, ...]


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

_UNKNOWN_PAGE: Final = ("Not found", "There is no church at this address. Please check the spelling.")


@dataclass(frozen=True)
class _Server:
    """One name that nginx answers to."""

    server_name: str
    service: str
    limited: bool


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
        hosts=[_server(host, plan.base_domain) for host in plan.placement.hosts],
        # The wildcard would take them for tenants.
        refused=[f"{label}.{plan.base_domain}" for label in sorted(PLATFORM_HOSTS - own)] if limited else [],
        closed=_closed(plan) if limited else [],
        closed_retry_seconds=CLOSED_RETRY_SECONDS,
        zones=_zones(plan) if limited else [],
        lb_idle_seconds=IDLE_SECONDS,
        max_body_mib=MAX_BODY_MIB,
        local_port=LOCAL_PORT,
        status_port=STATUS_PORT,
        tenants_folder=TENANTS_FOLDER,
        unknown=_Closed(404, (), *_UNKNOWN_PAGE),
        unknown_rate=UNKNOWN_RATE,
        **_base(plan),
    )


def render_bootstrap_nginx(plan: DropletGroupPlan) -> str:
    """Render what nginx serves until there is a release: a health check that fails, and metrics."""
    return render("bootstrap_nginx.conf.j2", title=title(plan), public=plan.placement.public, **_base(plan))


def _base(plan: DropletGroupPlan) -> dict[str, str | int]:
    """Return what nginx_base.j2 needs."""
    return {
        "vpc_range": plan.vpc_range,
        "health_path": HEALTH_PATH,
        "health_port": HEALTH_PORT,
        "health_connections": HEALTH_CONNECTIONS,
        "health_rate": HEALTH_RATE,
    }


def _server(host: Host, base_domain: str) -> _Server:
    name = host.fqdn(base_domain)
    if host.label == WILDCARD:
        # One label: nginx's own *.example.com is any depth, which no certificate covers and no tenant has.
        pattern = base_domain.replace(".", r"\.")
        name = rf"~^(?<tenant>[a-z0-9-]+)\.{pattern}$"
    return _Server(server_name=name, service=host.service, limited=host.label == WILDCARD)


def _zones(plan: DropletGroupPlan) -> list[_Zone]:
    """Return a zone for each distinct rate: nginx's rates are fixed, so a host's rate chooses its zone."""
    limits = plan.rate_limits
    others = {host: rate for host, rate in limits.overrides.items() if rate != limits.default}
    zones = [_Zone(rate=limits.default, default=True, hosts=tuple(sorted(others)))]
    for rate in sorted(set(others.values())):
        hosts = tuple(sorted(host for host, own in others.items() if own == rate))
        zones.append(_Zone(rate=rate, default=False, hosts=hosts))
    return zones


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
