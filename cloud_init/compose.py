"""Render the Compose file: a group's services, and how its droplets take turns to change. Pure.

Images are variables (`Service.image_variable`), so that a release changes another file.
"""

from dataclasses import dataclass

from cloud_init.nginx import LOCAL_PORT
from cloud_init.template import render, title
from model.access import BRIDGE_ADDRESS, BRIDGE_NAME, BRIDGE_RANGE
from model.droplets import DropletGroupPlan
from model.naming import secrets_key
from model.pool import SOCKETS
from model.service_variables import compose_environment
from model.services import Runtime, Service

DRAIN_SECONDS = 20
"""From the first refused health check until the load balancer sends nothing more are about 10 s (2 failures 5 s apart,
constructs_lib/edge.py); requests under way get as long again."""

WAIT_SECONDS = 80
"""A service may take 40 s before failures count (compose.yaml.j2, start_period); then 3 failures are 10 s apart."""

TIMER_SECONDS = 60
"""In how much of a slot a change may start: a run of converge that takes long is followed by another in it."""

OPEN_FILES = 16_384
"""Of each process in a container, connections included; as many as nginx (cloud_init/templates/nginx_base.j2)."""

SHARED_FOLDER = "/var/lib/presence360/shared"
"""What containers see as /etc/presence360 (droplet/converge/paths.py)."""


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


def render_compose(plan: DropletGroupPlan, *, local: bool = False) -> str:
    """Render a group's Compose file; ``local`` adds what a laptop lacks: Postgres, Valkey and an nginx.

    A laptop has no bucket for exports.
    """
    services = plan.placement.services
    return render(
        "compose.yaml.j2",
        title=title(plan),
        group=plan.group,
        environment=plan.environment,
        services=services,
        environments={
            service.name: compose_environment(
                service,
                None if local else plan.config.exports,
                plan.environment if plan.telemetry and not local else None,
                plan.telemetry.sample_percent if plan.telemetry and not local else 0,
            )
            for service in services
        },
        secrets={service.name: secrets_key(service.name) for service in services},
        health_tests={service.name: health_test(service) for service in services},
        turns=plan.turns,
        timing=timing(services),
        open_files=OPEN_FILES,
        shared_folder=SHARED_FOLDER,
        sockets=SOCKETS,
        bridge={"name": BRIDGE_NAME, "range": BRIDGE_RANGE, "address": BRIDGE_ADDRESS},
        local=local,
        local_port=LOCAL_PORT,
    )


def timing(services: tuple[Service, ...]) -> Timing:
    """Work out a group's turns; the drain counts only where requests come in."""
    grace = max((service.stop_grace_seconds for service in services), default=0)
    drain = DRAIN_SECONDS if any(service.public for service in services) else 0
    # Stop and start, the same again on the way back, and 20 s for all that is not counted.
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
            # A worker touches this file at least every 30 s (docs/services.md).
            code = "import os,sys,time; sys.exit(time.time() - os.stat('/tmp/heartbeat').st_mtime > 60)"
            return ["CMD", "python", "-c", code]
        case Runtime.PYTHON, _:
            code = f"import urllib.request as r; r.urlopen('{address}', timeout=4)"
            return ["CMD", "python", "-c", code]
        case Runtime.NODE, _:
            code = f"fetch('{address}').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
            return ["CMD", "node", "-e", code]
    raise AssertionError(service.runtime)
