"""Render mtail's program: what it counts in nginx's access log (nginx.conf.j2, log_format). Pure."""

import re
from dataclasses import dataclass

from cloud_init.template import render, title
from model.droplets import DropletGroupPlan
from model.services import WILDCARD
from model.telemetry import DURATION_BUCKETS, MAX_TENANTS

REQUESTS = "requests.mtail"
"""In the folder of a version of the programs."""


@dataclass(frozen=True)
class _Host:
    """One name that nginx answers to, as mtail finds it in the log."""

    pattern: str
    label: str
    service: str


def render_requests(plan: DropletGroupPlan) -> str:
    """Render a group's mtail program; a name is a label as in DNS, and all churches are ``*``."""
    hosts = plan.placement.hosts
    wildcard = next((host.service for host in hosts if host.label == WILDCARD), None)
    return render(
        "requests.mtail.j2",
        title=title(plan),
        hosts=[
            _Host(re.escape(host.fqdn(plan.base_domain)).replace("\\-", "-"), host.label, host.service)
            for host in hosts
            if host.label != WILDCARD
        ],
        wildcard=wildcard,
        buckets=DURATION_BUCKETS,
        max_tenants=MAX_TENANTS * STATUS_CLASSES,
    )


STATUS_CLASSES = 5
"""1xx to 5xx: each church has a count for each."""
