"""Render user data: what a droplet needs before it fetches anything. Pure.

A change of user data replaces droplets, so what changes more often travels through the group's bucket: programs,
Compose file, nginx configuration, release, settings, secrets.
"""

import json
from dataclasses import dataclass
from typing import Final

from cloud_init.nginx import render_bootstrap_nginx
from cloud_init.programs import CURRENT, program
from cloud_init.template import render
from model.access import BRIDGE_ADDRESS, BRIDGE_NAME, OTLP_BRIDGE_PORT
from model.dashboards import PORT
from model.droplets import DropletGroupPlan
from model.services import HEALTH_PORT, METRICS_PORT

MAX_USER_DATA_BYTES = 64 * 1024
"""DigitalOcean API, droplets: user_data "must be plain text and may not exceed 64 KiB in size"."""

_PROGRAMS: Final = ("fetch", "health", "host")
"""Without ``presence360-``."""

_NGINX: Final = (
    "/usr/sbin/nginx -c /var/lib/presence360/current/nginx.conf -g 'daemon on; master_process on;'"
)

_UNITS: Final = (
    "presence360-host.service",
    "nginx.service.d/presence360.conf",
    "presence360-converge.service",
    "presence360-converge.timer",
    "presence360-health.service",
    "presence360-firewall.service",
    "prometheus-.service.d/presence360.conf",
)
"""Those that must stand before the first fetch; the others travel with the programs (cloud_init/programs.py)."""

_UNITS_OF_PUBLIC_GROUPS: Final = ("mtail.service.d/presence360.conf",)
_UNITS_OF_POOL: Final = ("pgbouncer.service.d/presence360.conf",)
_UNITS_OF_OBSERVABILITY: Final = ("victoria-metrics.service.d/presence360.conf",)
"""Stand before Debian's packages are installed, which start programs with configurations of their own."""


class UserDataTooLongError(ValueError):
    """The rendered user data exceeds `MAX_USER_DATA_BYTES`."""


@dataclass(frozen=True)
class SpacesAccess:
    """How a droplet reaches Spaces. The strings may be Terraform tokens; they are copied verbatim.

    Attributes:
        endpoint: the object store's address, ``https://...``.
        access_key: of the group's key, which opens the group's buckets as constructs_lib/config_bucket.py grants.
        secret_key: of the same key.
    """

    endpoint: str
    access_key: str
    secret_key: str


def render_user_data(plan: DropletGroupPlan, access: SpacesAccess) -> str:
    """Render one group's user data, the same for all its droplets; its one secret is the group's key.

    Raises:
        UserDataTooLongError: it exceeds `MAX_USER_DATA_BYTES`.
    """
    buckets = {
        "config": plan.config.bucket,
        "status": plan.config.status_bucket,
        "control_status": plan.config.control_status_bucket,
    }
    group = {
        "environment": plan.environment,
        "group": plan.group,
        "buckets": buckets,
        "vpc_range": plan.vpc_range,
        "metrics_port": METRICS_PORT,
    }
    text = render(
        "user_data.yaml.j2",
        group=plan.group,
        environment=plan.environment,
        access=access,
        buckets=buckets,
        group_json=json.dumps(group, indent=1),
        bootstrap_nginx=render_bootstrap_nginx(plan),
        units={
            name: render(f"units/{name}.j2", health_port=HEALTH_PORT, nginx=_NGINX, programs=CURRENT)
            for name in _units(plan)
        },
        programs={name: program(name) for name in _PROGRAMS},
        isolation=plan.isolation is not None,
        backups=plan.backups is not None,
        auditd=plan.auditd,
        pool=_has_pgbouncer(plan),
        observability=plan.observability is not None,
        volume=plan.observability is not None and plan.observability.volume is not None,
        grafana_port=PORT if plan.observability and plan.observability.grafana else None,
        public=plan.placement.public,
        logs=plan.telemetry is not None,
        bridge={"name": BRIDGE_NAME, "address": BRIDGE_ADDRESS, "port": OTLP_BRIDGE_PORT},
    )
    size = len(text.encode())
    if size > MAX_USER_DATA_BYTES:
        raise UserDataTooLongError(
            f"the user data of group {plan.group!r} has {size} bytes;"
            f" at most {MAX_USER_DATA_BYTES} are allowed"
        )
    return text


def _has_pgbouncer(plan: DropletGroupPlan) -> bool:
    """Tell whether the droplets have PgBouncer: for their services, or to try restored databases as services do."""
    return plan.pool is not None or (plan.backups is not None and plan.backups.drill)


def _units(plan: DropletGroupPlan) -> tuple[str, ...]:
    parts = (
        (True, _UNITS),
        (plan.placement.public, _UNITS_OF_PUBLIC_GROUPS),
        (_has_pgbouncer(plan), _UNITS_OF_POOL),
        (plan.observability, _UNITS_OF_OBSERVABILITY),
    )
    return tuple(unit for wanted, units in parts if wanted for unit in units)
