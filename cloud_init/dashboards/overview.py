"""What is wrong now, and where to look next."""

from typing import Final

from cloud_init.dashboards import requests
from cloud_init.dashboards.parts import (
    BYTES,
    DAYS,
    HALF,
    RATE,
    SECONDS,
    SHARE,
    Column,
    Content,
    Limits,
    Query,
    Section,
    lines,
    number,
    rows,
)
from model.alerts import limits
from model.alerts.data import CONNECTIONS_SHARE, VALKEY_MEMORY_SHARE
from model.alerts.droplets import DISK_FREE, MEMORY_FREE
from model.alerts.platform import SERIES_SHARE
from model.dashboards import CHURCH, DATA, DROPLETS, RELEASES, SAFETY, TENANT_PLANE, Dashboard, DashboardsPlan

_DAY: Final = 86_400
_NONE: Final = Limits(red=1)
_SOME: Final = Limits(yellow=1)
_CHURCH: Final = ("Open the church", f"{CHURCH.path}?var-church=${{__value.raw}}")


def _to(dashboard: Dashboard) -> tuple[str, str]:
    return f"Open {dashboard.title}", dashboard.path


def content(_plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    return Content([_NOW, _FIRING, _SERVED, _USED_UP, _LATER])


_NOW: Final = Section(
    "Now",
    [
        number(
            "Critical alerts", "Alerts for which somebody is woken up. The list is below.",
            'count(ALERTS{alertstate="firing",severity="critical"}) or vector(0)', limits=_NONE,
        ),
        number(
            "Warnings", "Alerts for the working day. The list is below.",
            'count(ALERTS{alertstate="firing",severity="warning"}) or vector(0)', limits=_SOME,
        ),
        number(
            "Names that do not answer",
            "Public names whose health check does not answer 200, asked from the observability droplet. "
            "DigitalOcean's uptime checks ask from outside.",
            "count(probe_success) - sum(probe_success)", limits=_NONE, alerts=["NameDown"],
        ),
        number(
            "Droplets not healthy", "Droplets that are silent, fail their health check or drain.",
            'count(up{job="droplet"}) - sum(presence360_healthy)', limits=_SOME, link=_to(DROPLETS),
            alerts=["DropletSilent", "DropletUnhealthy"],
        ),
        number(
            "Requests that fail now", "The share of all requests that a service answered with 5xx.",
            requests.share_of_errors("", RATE), unit=SHARE, decimals=2,
            limits=Limits(limits.burn_limit(limits.BURN_SLOWLY), limits.burn_limit(limits.BURN_FAST)),
            link=_to(TENANT_PLANE), alerts=["ErrorsBurnFast", "ErrorsBurn", "ErrorsBurnSlowly"],
        ),
        number(
            "Jobs wait", "One job in 10 waits longer than this before a worker takes it.",
            "histogram_quantile(0.9, sum by (le) (rate(presence360_job_wait_seconds_bucket[10m])))", unit=SECONDS,
            limits=Limits(limits.QUEUE_LAG_SECONDS / 5, limits.QUEUE_LAG_SECONDS), link=_to(TENANT_PLANE),
            alerts=["QueueLag"],
        ),
    ],
)  # fmt: skip

_FIRING: Final = Section(
    "What is wrong",
    [
        rows(
            "Alerts that fire", "Begin with the critical ones. The message that you got names the first thing to do.",
            'ALERTS{alertstate="firing",severity=~"critical|warning"}',
            Column("severity", "Severity"),
            Column("alertname", "Alert"),
            Column("instance", "Droplet", link=("Open the droplet", f"{DROPLETS.path}?var-droplet=${{__value.raw}}")),
            Column("service", "Service"),
            Column("cluster", "Cluster", link=("Open the cluster", f"{DATA.path}?var-cluster=${{__value.raw}}")),
            Column("tenant", "Church", link=_CHURCH),
            width=HALF + 4, empty="no alert fires", first=("Severity", False),
        ),
        rows(
            "States of droplets",
            "How many droplets of a group are in which state. Failed and held ones do not run the newest release.",
            "count by (group, phase) (presence360_converge_phase)",
            Column("group", "Group"),
            Column("phase", "State", link=_to(RELEASES)),
            Column("Value", "Droplets"),
            width=HALF - 4, alerts=["ReleaseFailed", "ReleaseHeld", "ReleaseWaits"],
        ),
    ],
)  # fmt: skip

_SERVED: Final = Section(
    "What is served",
    [
        requests.by_service(""),
        requests.errors_by_service(""),
        requests.slowest_by_service(""),
    ],
)

_USED_UP: Final = Section(
    "What is nearly used up",
    [
        lines(
            "Connections to Postgres", "The share of each cluster's connections that is in use.",
            Query(CONNECTIONS_SHARE, "{{cluster}}"), unit=SHARE, highest=1,
            limits=Limits(limits.CONNECTIONS_NEAR, limits.CONNECTIONS_USED_UP),
            alerts=["ConnectionsNearLimit", "ConnectionsUsedUp"],
        ),
        lines(
            "Valkey's memory", "The share of the memory that is in use. When it is full, new jobs are refused.",
            Query(VALKEY_MEMORY_SHARE, "memory"), unit=SHARE, highest=1,
            limits=Limits(limits.VALKEY_MEMORY_NEAR, limits.VALKEY_MEMORY_USED_UP),
            alerts=["ValkeyMemoryNearlyUsedUp", "ValkeyMemoryUsedUp"],
        ),
        lines(
            "Jobs that wait", "Jobs of all churches in Valkey.",
            Query("sum(redis_key_size)", "jobs"), limits=Limits(red=limits.QUEUES_LONG),
            alerts=["QueuesLong", "JobsStand"],
        ),
        lines(
            "Least free disk", "The share of disk that is free, of the 5 droplets with the least.",
            Query(f"bottomk(5, min by (instance) ({DISK_FREE}))", "{{instance}}"), unit=SHARE, highest=1,
            limits=Limits(limits.DISK_FREE_LITTLE, limits.DISK_FREE_LEAST, below=True),
            alerts=["DiskNearlyFull", "DiskFull"],
        ),
        lines(
            "Least free memory", "The share of memory that is free, of the 5 droplets with the least.",
            Query(f"bottomk(5, {MEMORY_FREE})", "{{instance}}"), unit=SHARE, highest=1,
            limits=Limits(yellow=limits.MEMORY_FREE_LITTLE, below=True), alerts=["MemoryLow"],
        ),
        rows(
            "Busiest churches", "The 10 churches with the most requests in the last 15 minutes.",
            "topk(10, sum by (tenant) (rate(presence360_tenant_requests_total[15m])))",
            Column("tenant", "Church", link=_CHURCH),
            Column("Value", "Requests", unit="reqps"), width=8,
        ),
    ],
)  # fmt: skip

_LATER: Final = Section(
    "What is trouble later",
    [
        number(
            "Oldest dump", "How old the newest good dump is of the database that has waited longest.",
            "max(time() - max by (cluster, database) (presence360_dump_timestamp_seconds))", unit=SECONDS,
            limits=Limits(limits.DUMP_OLD_SECONDS * 0.9, limits.DUMP_OLD_SECONDS), link=_to(SAFETY), alerts=["DumpOld"],
        ),
        number(
            "Isolation findings", "What the isolation job found wrong between churches. The journal names each.",
            "sum(max by (cluster) (presence360_isolation_findings))", limits=_NONE, link=_to(SAFETY),
            alerts=["IsolationFails"],
        ),
        number(
            "Databases not migrated", "Databases whose schema could not be brought to the release.",
            "count(max by (database) (presence360_migrations_failing) > 0) or vector(0)", limits=_NONE,
            link=_to(RELEASES), alerts=["MigrationsFail"],
        ),
        number(
            "First certificate ends", "Days until the first certificate of a public name ends.",
            f"(min(probe_ssl_earliest_cert_expiry) - time()) / {_DAY}", unit=DAYS, decimals=0,
            limits=Limits(limits.CERTIFICATE_DAYS_LITTLE, limits.CERTIFICATE_DAYS_LEAST, below=True),
            alerts=["CertificateNotRenewed", "CertificateEnds"],
        ),
        number(
            "Series in the store",
            "The share of the series that the store takes in a day. Beyond it new ones are dropped.",
            SERIES_SHARE, unit=SHARE, limits=Limits(yellow=limits.SERIES_NEAR), alerts=["TooManySeries"],
        ),
        number(
            "Room for metrics", "What is free on the disk with the metrics.",
            "min(vm_free_disk_space_bytes)", unit=BYTES, limits=Limits(2 * 1024**3, 1024**3, below=True),
        ),
    ],
)  # fmt: skip
