"""Render what a droplet group runs on. Pure: the same plan always gives the same bytes.

User data holds the host's set-up and the programs that converge it, and nothing that changes often, because a
change of user data replaces droplets. What changes often is rendered here too, and travels through the
group's bucket: the Compose file and nginx's configuration.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cloud_init.source import without_comments
from model.access import HEALTH_PATH
from model.droplets import DropletGroupPlan
from model.edge import IDLE_SECONDS
from model.layout import Host, Placement
from model.services import HEALTH_PORT, METRICS_PORT, PLATFORM_HOSTS, WILDCARD, Runtime, Service

# DigitalOcean API, droplets: user_data "must be plain text and may not exceed 64 KiB in size".
MAX_USER_DATA_BYTES = 64 * 1024

STATUS_PORT = 9362
"""Loopback, on every droplet: nginx's own counters."""

LOCAL_PORT = 8080
"""Where nginx listens on a laptop."""

MAX_BODY_MIB = 25
"""Larger uploads go to Spaces by signed addresses, not through the platform."""

# From the first refused health check until the load balancer sends nothing more are about 10 s (2 failures 5
# s apart, constructs_lib/edge.py); as long again for requests under way.
DRAIN_SECONDS = 20
# A service may take 40 s to start before failures count (compose.yaml.j2, start_period), and 3 failures 10 s
# apart.
WAIT_SECONDS = 80

TIMER_SECONDS = 60
"""How often droplets converge (presence360-converge.timer)."""

SHARED_FOLDER = "/var/lib/presence360/shared"
"""What containers see as /etc/presence360 (cloud_init/files/converge.py, Paths.shared)."""

CLOSED_RETRY_SECONDS = 3600
"""What a suspended tenant's clients are told to wait (RFC 9110, Retry-After)."""

_FOLDER = Path(__file__).parent

_DATABASE_PROGRAMS: Final = ("isolation.py", "isolation.sql", "move_tenant.py", "move_tenant.sql")

_PROGRAMS: Final = {"converge": "converge.py", "health": "health.py", "host": "host.py"}
"""By the name after ``presence360-``."""


class UserDataTooLongError(ValueError):
    """The rendered user data exceeds what DigitalOcean accepts."""


@dataclass(frozen=True)
class ConfigAccess:
    """How a droplet reads its group's bucket. The strings may be Terraform tokens; they are copied verbatim.

    Attributes:
        endpoint: the object store's address, ``https://...``.
        bucket: the group's bucket.
        access_key: of a key that may only read that bucket.
        secret_key: of the same key.
    """

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Timing:
    """How a group's droplets take turns, in seconds.

    Attributes:
        drain_seconds: from the first refused health check until no request comes any more.
        wait_seconds: how long containers may take to become healthy.
        worst_seconds: how long a change that fails and the way back may take.
        slot_seconds: how long a turn is: long enough that a droplet whose timer ticks in its first minute is
            through, even in the worst case, before the next droplet's turn.
    """

    drain_seconds: int
    wait_seconds: int
    worst_seconds: int
    slot_seconds: int


@dataclass(frozen=True)
class _Zone:
    """A request rate, and the hosts that have it, or for the default those that do not."""

    rate: int
    default: bool
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class _Closed:
    """Hosts that nginx answers itself, all with one status and one page."""

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


@dataclass(frozen=True)
class _Server:
    """One name that nginx answers to."""

    server_name: str
    service: str
    limited: bool


def render_user_data(plan: DropletGroupPlan, access: ConfigAccess) -> str:
    """Render one group's user data, the same for all its droplets; its one secret is the key of the bucket.

    Raises:
        UserDataTooLongError: it exceeds 64 KiB.
    """
    text = _render(
        "user_data.yaml.j2",
        group=plan.group,
        environment=plan.environment,
        access=access,
        public=plan.placement.public,
        group_json=json.dumps(
            {
                "environment": plan.environment,
                "group": plan.group,
                "vpc_range": plan.vpc_range,
                "metrics_port": METRICS_PORT,
            },
            indent=1,
        ),
        bootstrap_nginx=_nginx(plan, placement=Placement(plan.group, (), ()), local=False),
        programs={name: _program(file) for name, file in _PROGRAMS.items()},
        health_port=HEALTH_PORT,
        isolation=plan.isolation is not None,
    )
    size = len(text.encode())
    if size > MAX_USER_DATA_BYTES:
        raise UserDataTooLongError(
            f"the user data of group {plan.group!r} has {size} bytes;"
            f" at most {MAX_USER_DATA_BYTES} are allowed"
        )
    return text


def render_compose(plan: DropletGroupPlan, *, local: bool = False) -> str:
    """Render a group's Compose file; ``local`` adds what a laptop lacks: Postgres, Valkey and an nginx.

    Images are variables (`Service.image_variable`), so that a release changes another file.
    """
    services = plan.placement.services
    return _render(
        "compose.yaml.j2",
        title=_title(plan),
        group=plan.group,
        environment=plan.environment,
        services=services,
        environments={service.name: _variables(service) for service in services},
        health_tests={service.name: health_test(service) for service in services},
        turns=plan.turns,
        timing=timing(services),
        shared_folder=SHARED_FOLDER,
        local=local,
        local_port=LOCAL_PORT,
    )


def render_nginx(plan: DropletGroupPlan, *, local: bool = False) -> str:
    """Render a group's nginx.conf; ``local`` is plain HTTP, and finds services by their names in Compose."""
    return _nginx(plan, placement=plan.placement, local=local)


def database_programs() -> dict[str, str]:
    """Return what works on databases, by object name: through the bucket, so that mending it replaces no droplet."""
    return {name: (_FOLDER / "files" / name).read_text() for name in _DATABASE_PROGRAMS}


def timing(services: tuple[Service, ...]) -> Timing:
    """Work out a group's turns; the drain counts only where requests come in."""
    grace = max(service.stop_grace_seconds for service in services)
    drain = DRAIN_SECONDS if any(service.public for service in services) else 0
    # Stop and start, and the same again on the way back, and some for everything that is not counted.
    worst = drain + 2 * (grace + WAIT_SECONDS) + 20
    return Timing(
        drain_seconds=drain,
        wait_seconds=WAIT_SECONDS,
        worst_seconds=worst,
        # Whole minutes, because the timer ticks on the minute.
        slot_seconds=-(-(worst + TIMER_SECONDS) // 60) * 60,
    )


def health_test(service: Service) -> list[str]:
    """Return a health check that runs in a slim image: what the service is written in, no shell, no curl."""
    address = f"http://127.0.0.1:{service.port}{service.health_path}"
    match service.runtime, service.port:
        case Runtime.PYTHON, None:
            # Whatever works without being asked touches this file at least every 30 s (docs/droplets.md).
            code = "import os,sys,time; sys.exit(time.time() - os.stat('/tmp/heartbeat').st_mtime > 60)"
            return ["CMD", "python", "-c", code]
        case Runtime.PYTHON, _:
            code = f"import urllib.request as r; r.urlopen('{address}', timeout=4)"
            return ["CMD", "python", "-c", code]
        case Runtime.NODE, _:
            code = f"fetch('{address}').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
            return ["CMD", "node", "-e", code]
    raise AssertionError(service.runtime)


def _variables(service: Service) -> dict[str, str]:
    """Tell a service where to listen, in its framework's own variables."""
    if service.port is None:
        return {}
    if service.runtime is Runtime.NODE:
        # Next.js's server listens on $HOSTNAME, which Docker sets to the container's id (Next.js, with-docker
        # example).
        return {"HOSTNAME": "0.0.0.0", "PORT": str(service.port)}  # noqa: S104  in the container
    return {
        "UVICORN_HOST": "0.0.0.0",  # noqa: S104  in the container
        "UVICORN_PORT": str(service.port),
        # Only nginx reaches the port: it is published on loopback, and containers do not see each other.
        "FORWARDED_ALLOW_IPS": "*",
    }


def _nginx(plan: DropletGroupPlan, *, placement: Placement, local: bool) -> str:
    own = {host.label for host in plan.placement.hosts}
    limited = any(host.label == WILDCARD for host in placement.hosts)
    return _render(
        "nginx.conf.j2",
        title=_title(plan),
        local=local,
        public=plan.placement.public,
        services=[service for service in placement.services if service.public],
        hosts=[_server(host, plan.base_domain) for host in placement.hosts],
        # The wildcard would take them for tenants.
        refused=[f"{label}.{plan.base_domain}" for label in sorted(PLATFORM_HOSTS - own)] if limited else [],
        closed=_closed(plan) if limited else [],
        closed_retry_seconds=CLOSED_RETRY_SECONDS,
        zones=_zones(plan) if limited else [],
        vpc_range=plan.vpc_range,
        lb_idle_seconds=IDLE_SECONDS,
        max_body_mib=MAX_BODY_MIB,
        health_path=HEALTH_PATH,
        health_port=HEALTH_PORT,
        status_port=STATUS_PORT,
        local_port=LOCAL_PORT,
    )


def _server(host: Host, base_domain: str) -> _Server:
    name = host.fqdn(base_domain)
    if host.label == WILDCARD:
        # One label: nginx's own *.example.com is any depth, which no certificate covers and no tenant has.
        pattern = base_domain.replace(".", r"\.")
        name = rf"~^[a-z0-9-]+\.{pattern}$"
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


@cache
def _program(file: str) -> str:
    first, rest = without_comments((_FOLDER / "files" / file).read_text()).split("\n", 1)
    return f"{first}\n# cloud_init/files/{file}, without its comments.\n{rest}"


def _title(plan: DropletGroupPlan) -> str:
    return f"Group {plan.group} of {plan.environment}. Rendered from the catalogue: edit nothing here."


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        undefined=StrictUndefined,
        # YAML and nginx's language, not HTML: escaping would corrupt them, and nothing here comes from
        # outside the operators' files.
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
