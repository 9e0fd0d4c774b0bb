"""DigitalOcean's own alerts: what is seen from outside, and goes on when the observability droplet does not.

Its limits of droplets are above those of our own alerts (model/alerts), which know more and come first.
"""

from dataclasses import dataclass
from enum import StrEnum

CHECK_REGIONS = ("us_east", "eu_west", "se_asia")
"""Where DigitalOcean asks from: three of its four (API documentation, uptime checks)."""


class Kind(StrEnum):
    """What a resource alert watches, and how it is bound: without that it would watch the whole account."""

    DROPLETS = "droplets"
    """By the environment's tag, so that pools and new droplets are among them."""
    LOAD_BALANCERS = "load balancers"
    """By id."""
    DATABASES = "databases"
    """By id, Postgres and Valkey."""


@dataclass(frozen=True)
class ResourceAlert:
    """One alert on a measure of DigitalOcean's.

    Attributes:
        key: its construct id.
        kind: what it watches.
        measure: DigitalOcean's name of it (API documentation, monitoring, alert policies).
        above: the limit.
        window: over which the measure is taken.
        words: what it says, and what to do first.
    """

    key: str
    kind: Kind
    measure: str
    above: float
    window: str
    words: str


RESOURCE_ALERTS: tuple[ResourceAlert, ...] = (
    ResourceAlert(
        "droplet-cpu", Kind.DROPLETS, "v1/insights/droplet/cpu", 90, "30m",
        "a droplet's CPU is above 90 percent: has it more work, or was something released?",
    ),
    ResourceAlert(
        "droplet-memory", Kind.DROPLETS, "v1/insights/droplet/memory_utilization_percent", 95, "10m",
        "a droplet's memory is above 95 percent: restart the service that grows, or choose a larger size",
    ),
    ResourceAlert(
        "droplet-disk", Kind.DROPLETS, "v1/insights/droplet/disk_utilization_percent", 90, "10m",
        "a droplet's disk is above 90 percent: make room (docs/runbooks/alerts.md#diskfull)",
    ),
    ResourceAlert(
        "load-balancer-connections", Kind.LOAD_BALANCERS, "v1/insights/lbaas/connection_utilization_percent", 80, "10m",
        "a load balancer has more than 80 percent of its connections: raise load_balancer.size_units",
    ),
    ResourceAlert(
        "load-balancer-cpu", Kind.LOAD_BALANCERS, "v1/insights/lbaas/avg_cpu_utilization_percent", 80, "10m",
        "a load balancer's CPU is above 80 percent: raise load_balancer.size_units",
    ),
    ResourceAlert(
        "load-balancer-errors", Kind.LOAD_BALANCERS, "v1/insights/lbaas/increase_in_http_error_rate_percentage_5xx", 10,
        "5m", "answers with 5xx have increased by more than 10 percent: docs/runbooks/alerts.md#errorsburnfast",
    ),
    ResourceAlert(
        "database-cpu", Kind.DATABASES, "v1/dbaas/alerts/cpu_alerts", 85, "30m",
        "a database cluster's CPU is above 85 percent: look for slow queries, or choose a larger size",
    ),
    ResourceAlert(
        "database-load", Kind.DATABASES, "v1/dbaas/alerts/load_15_alerts", 8, "30m",
        "a database cluster's load is above 8: more queries run than its CPUs can do",
    ),
    ResourceAlert(
        "database-memory", Kind.DATABASES, "v1/dbaas/alerts/memory_utilization_alerts", 90, "30m",
        "a database cluster's memory is above 90 percent: choose a larger size",
    ),
    ResourceAlert(
        "database-disk", Kind.DATABASES, "v1/dbaas/alerts/disk_utilization_alerts", 80, "10m",
        "a database cluster's disk is above 80 percent: at 100 percent nobody can write. Choose a larger size now",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class UptimeAlert:
    """One alert on the answers to an uptime check.

    Attributes:
        key: the end of its construct id.
        type: DigitalOcean's.
        period: how long it has to be so.
        threshold: in milliseconds, or days.
        comparison: with the threshold.
    """

    key: str
    type: str
    period: str
    threshold: int
    comparison: str


# The API needs neither threshold nor comparison for this type, but the provider (2.99.1) always sends both, and the API
# knows no empty comparison (specification/resources/uptime/models/alert.yml of digitalocean/openapi).
DOWN = UptimeAlert("down", "down", period="2m", threshold=1, comparison="less_than")
UPTIME_ALERTS: tuple[UptimeAlert, ...] = (
    DOWN,
    UptimeAlert("latency", "latency", period="10m", threshold=3_000, comparison="greater_than"),
    # A certificate is renewed 30 days before its end.
    UptimeAlert("certificate", "ssl_expiry", period="2m", threshold=14, comparison="less_than"),
)
