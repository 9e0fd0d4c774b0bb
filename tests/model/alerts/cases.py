"""For each alert a case in which it fires and one in which it does not, in Prometheus's notation for series.

``A+BxN`` is A, A+B, ... N times more, a minute apart (Prometheus documentation, "Unit testing for rules").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Series = Mapping[str, str]

AT = {"instance": "staging-app-1-3fa9c2"}
_I = 'instance="staging-app-1-3fa9c2"'
_HTTP = "presence360_http_requests_total"


@dataclass(frozen=True)
class Case:
    """One alert.

    Attributes:
        fires: series with which it fires.
        quiet: series with which it does not.
        at: when both are looked at.
        labels: of the alert, but for its name and severity.
    """

    fires: Series
    quiet: Series
    at: str = "30m"
    labels: Mapping[str, str] = field(default_factory=lambda: AT)


def _gauge(name: str, bad: float, good: float, at: str = "30m", **labels: str) -> Case:
    """A series that is bad all the time, and one that is good."""
    inner = ",".join([_I, *(f'{key}="{value}"' for key, value in labels.items())])
    return Case(
        {f"{name}{{{inner}}}": f"{bad}x6000"}, {f"{name}{{{inner}}}": f"{good}x6000"}, at, {**AT, **labels}
    )


def _restarted(service: str) -> Case:
    name = f'presence360_service_healthy{{{_I},service="{service}"}}'
    labels = {**AT, "service": service}
    return Case({name: " ".join(["1", "1", "0"] * 20)}, {name: "1x20 0 0 1x37"}, "31m", labels)


def _old(name: str, labels: Mapping[str, str] = AT, at: str = "30m") -> Case:
    """A time stamp that stands still, and one that goes with the clock."""
    series = name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    return Case({series: "0x6000"}, {series: "0+60x6000"}, at, labels)


def _disk(available: str, total: str, bad: float, good: float) -> Case:
    labels = {**AT, "mountpoint": "/", "fstype": "ext4"}
    inner = "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    size = {f"{total}{inner}": "100x60"}
    return Case(
        {f"{available}{inner}": f"{bad}x60", **size},
        {f"{available}{inner}": f"{good}x60", **size},
        labels=labels,
    )


def _requests(good: float, bad: float, minutes: int) -> Series:
    return {
        f'{_HTTP}{{{_I},service="tenant-api",status_class="2xx"}}': f"0+{good}x{minutes}",
        f'{_HTTP}{{{_I},service="tenant-api",status_class="5xx"}}': f"0+{bad}x{minutes}",
    }


def _burn(good: float, bad: float, quiet: float, at: str, minutes: int) -> Case:
    return Case(_requests(good, bad, minutes), _requests(good, quiet, minutes), at, {"service": "tenant-api"})


def _connections(bad: int, good: int) -> Case:
    limit = {'presence360_postgres_connections_limit{cluster="shared",instance="a"}': "100x60"}

    def used(count: int) -> Series:
        # Two control droplets count the same connections.
        name = "presence360_postgres_connections"
        return {
            f'{name}{{cluster="shared",instance="{one}",role="{role}",state="active"}}': f"{count // 2}x60"
            for one in ("a", "b")
            for role in ("tenant_1", "tenant_2")
        }

    return Case({**used(bad), **limit}, {**used(good), **limit}, labels={"cluster": "shared"})


def _histogram(name: str, slow: str, labels: str = "") -> tuple[Series, Series]:
    """Twenty observations a minute above a bound, or below it."""
    inner = f"{labels}," if labels else ""
    high = {
        f'{name}_bucket{{{inner}le="{slow}"}}': "0x60",
        f'{name}_bucket{{{inner}le="1000"}}': "0+20x60",
        f'{name}_bucket{{{inner}le="+Inf"}}': "0+20x60",
        f"{name}_count{{{labels}}}": "0+20x60",
    }
    return high, {**high, f'{name}_bucket{{{inner}le="{slow}"}}': "0+20x60"}


def _provider(metric: str, bad: int, good: int) -> Case:
    def answers(failed: int) -> Series:
        return {
            f'{metric}{{outcome="success"}}': f"0+{10 - failed}x60",
            f'{metric}{{outcome="error"}}': f"0+{failed}x60",
        }

    return Case(answers(bad), answers(good), labels={})


def _queue(jobs: float) -> Series:
    return {
        'redis_key_size{key="tenant-1:jobs"}': "7x60",
        'presence360_jobs_total{task="notify",outcome="success"}': f"0+{jobs}x60",
    }


def _job_failures(failed: int) -> Series:
    return {
        'presence360_jobs_total{task="notify",outcome="success"}': f"0+{10 - failed}x60",
        'presence360_jobs_total{task="notify",outcome="failure"}': f"0+{failed}x60",
    }


_SLOW = _histogram("presence360_http_request_duration_seconds", "2.5", 'service="tenant-api"')
_LAG = _histogram("presence360_job_wait_seconds", "300")
_UP = f'up{{job="droplet",{_I}}}'
_DAY = 86_400

CASES: dict[str, Case] = {
    "DropletSilent": _gauge("up", 0, 1, job="droplet"),
    "NoDropletFound": Case({}, {_UP: "0x60"}, labels={"job": "droplet"}),
    "ExporterSilent": Case(
        {_UP: "1x60", f'up{{job="node",{_I}}}': "0x60"},
        # The droplet itself is silent: one alert is enough.
        {_UP: "0x60", f'up{{job="node",{_I}}}': "0x60"},
        labels={**AT, "job": "node"},
    ),
    "DropletUnhealthy": Case(
        {f"presence360_healthy{{{_I}}}": "0x60", f"presence360_draining{{{_I}}}": "0x60"},
        {f"presence360_healthy{{{_I}}}": "0x60", f"presence360_draining{{{_I}}}": "1x60"},
    ),
    "DiskNearlyFull": _disk("node_filesystem_avail_bytes", "node_filesystem_size_bytes", 14, 16),
    "DiskFull": _disk("node_filesystem_avail_bytes", "node_filesystem_size_bytes", 4, 6),
    "InodesNearlyUsedUp": _disk("node_filesystem_files_free", "node_filesystem_files", 9, 11),
    "MemoryLow": Case(
        {f"node_memory_MemAvailable_bytes{{{_I}}}": "9x60", f"node_memory_MemTotal_bytes{{{_I}}}": "100x60"},
        {f"node_memory_MemAvailable_bytes{{{_I}}}": "11x60", f"node_memory_MemTotal_bytes{{{_I}}}": "100x60"},
    ),
    "OutOfMemory": Case(
        {f"node_vmstat_oom_kill{{{_I}}}": "3x19 4x20"}, {f"node_vmstat_oom_kill{{{_I}}}": "3x60"}, "25m"
    ),
    "ContainerOutOfMemory": Case(
        {f'presence360_container_oom_kills_total{{{_I},service="worker"}}': "0x19 1x20"},
        {f'presence360_container_oom_kills_total{{{_I},service="worker"}}': "1x60"},
        "25m",
        {**AT, "service": "worker"},
    ),
    "ContainerMemoryNearlyUsedUp": Case(
        {
            f'presence360_container_memory_bytes{{{_I},service="worker"}}': "95x60",
            f'presence360_container_memory_limit_bytes{{{_I},service="worker"}}': "100x60",
        },
        {
            f'presence360_container_memory_bytes{{{_I},service="worker"}}': "85x60",
            f'presence360_container_memory_limit_bytes{{{_I},service="worker"}}': "100x60",
        },
        labels={**AT, "service": "worker"},
    ),
    "ContainerRestarts": Case(
        {f'presence360_container_restarts_total{{{_I},service="worker"}}': "0x9 1x9 2x9 3x9 4x9 5x60"},
        {f'presence360_container_restarts_total{{{_I},service="worker"}}': "0x29 2x60"},
        "62m",
        {**AT, "service": "worker"},
    ),
    "ContainersNotLookedAt": _old("presence360_exporter_timestamp_seconds"),
    "ClockWrong": _gauge("node_timex_sync_status", 0, 1, "40m"),
    "RebootNeeded": _gauge("presence360_reboot_required", 1, 0, "37h"),
    "FetchFails": _gauge("presence360_fetch_success", 0, 1),
    "ConvergeNotRun": _old("presence360_converge_timestamp_seconds"),
    "ReleaseFailed": _gauge("presence360_converge_phase", 1, 0, phase="failed"),
    "ReleaseHeld": _gauge("presence360_converge_phase", 1, 0, phase="held"),
    "ReleaseWaits": _gauge("presence360_converge_phase", 1, 0, "60m", phase="waiting"),
    "ConvergeFails": Case(
        {
            f"presence360_converge_success{{{_I}}}": "0x60",
            f'presence360_converge_phase{{{_I},phase="serving"}}': "1x60",
        },
        {
            f"presence360_converge_success{{{_I}}}": "0x60",
            f'presence360_converge_phase{{{_I},phase="held"}}': "1x60",
        },
    ),
    "TelemetryFails": _gauge("presence360_telemetry_success", 0, 1),
    "ServiceDown": Case(
        {
            f'presence360_service_up{{{_I},service="tenant-api"}}': "0x60",
            f"presence360_draining{{{_I}}}": "0x60",
        },
        {
            f'presence360_service_up{{{_I},service="tenant-api"}}': "0x60",
            f"presence360_draining{{{_I}}}": "1x60",
        },
        labels={**AT, "service": "tenant-api"},
    ),
    # Restarted each time, well while it starts, and unhealthy again; and once, which the restart cured.
    "ServiceUnhealthy": _restarted("web-tenant"),
    "WorkerHangs": _restarted("worker"),
    "ErrorsBurnFast": _burn(90, 10, 5, "65m", 70),
    "ErrorsBurn": _burn(95, 5, 2, "7h", 430),
    "ErrorsBurnSlowly": _burn(98, 2, 1, "25h", 1510),
    "RequestsSlow": Case(*_SLOW, labels={"service": "tenant-api"}),
    "QueueLag": Case(*_LAG, labels={}),
    "JobsStand": Case(_queue(0), _queue(1), "40m", {}),
    "QueuesLong": Case(
        {'redis_key_size{key="a"}': "30000x60", 'redis_key_size{key="b"}': "30000x60"},
        {'redis_key_size{key="a"}': "30000x60"},
        labels={},
    ),
    "JobsFail": Case(_job_failures(2), _job_failures(1), "50m", {"task": "notify"}),
    "ScheduledJobFails": Case(
        {
            'presence360_scheduled_job_success{name="tidy",instance="a"}': "1x60",
            'presence360_scheduled_job_success{name="tidy",instance="b"}': "0x60",
        },
        {'presence360_scheduled_job_success{name="tidy",instance="a"}': "1x60"},
        labels={"name": "tidy"},
    ),
    "JobsNotLookedAt": _old("presence360_jobs_timestamp_seconds"),
    "MaintenanceLong": Case(
        {f"presence360_maintenance{{{_I}}}": "1x300"}, {f"presence360_maintenance{{{_I}}}": "0x300"}, "5h", {}
    ),
    "RekognitionErrors": _provider("presence360_rekognition_requests_total", 2, 1),
    "RekognitionFails": _provider("presence360_rekognition_requests_total", 6, 5),
    "MnotifyErrors": _provider("presence360_mnotify_requests_total", 2, 1),
    "MnotifyFails": _provider("presence360_mnotify_requests_total", 6, 5),
    "ConnectionsNearLimit": _connections(84, 78),
    "ConnectionsUsedUp": _connections(96, 94),
    "PoolDown": _gauge("presence360_pool_up", 0, 1),
    "PoolNotConfigured": _gauge("presence360_pool_configured", 0, 1),
    "PoolNotRun": _old("presence360_pool_timestamp_seconds"),
    "TenantWaits": Case(
        {f'presence360_pool_tenant_waiting_seconds{{{_I},tenant="0b5"}}': "9x60"},
        {f'presence360_pool_tenant_waiting_seconds{{{_I},tenant="0b5"}}': "1x60"},
        labels={"tenant": "0b5"},
    ),
    "PoolWaits": _gauge("presence360_pool_waiting_seconds", 20, 1),
    "IsolationFails": Case(
        {
            'presence360_isolation_success{cluster="shared",instance="a"}': "1x60",
            'presence360_isolation_success{cluster="shared",instance="b"}': "0x60",
        },
        {'presence360_isolation_success{cluster="shared",instance="a"}': "1x60"},
        labels={"cluster": "shared"},
    ),
    "IsolationNotRun": Case(
        {'presence360_isolation_timestamp_seconds{cluster="shared",instance="a"}': "0x60"},
        {
            'presence360_isolation_timestamp_seconds{cluster="shared",instance="a"}': "0x60",
            # The other droplet does it.
            'presence360_isolation_timestamp_seconds{cluster="shared",instance="b"}': "0+60x60",
        },
        labels={"cluster": "shared"},
    ),
    "IsolationMissing": Case({}, {'presence360_isolation_success{cluster="shared"}': "0x60"}, labels={}),
    "IsolationNotConfigured": _gauge(
        "presence360_isolation_configuration_valid", 0, 1, configuration="environment"
    ),
    "MigrationsFail": Case(
        {'presence360_migrations_failing{database="tenant_1",instance="a"}': "3x60"},
        {'presence360_migrations_success{instance="a"}': "0x60"},
        labels={"database": "tenant_1"},
    ),
    "MigrationsDue": Case(
        {'presence360_migrations_success{group="control",instance="a"}': "0x60"},
        {'presence360_migrations_success{group="control",instance="a"}': "1x60"},
        "40m",
        {"group": "control"},
    ),
    "MigrationsNotRun": _old("presence360_migrations_timestamp_seconds", {"group": "control"}, "40m"),
    "DumpFails": Case(
        {'presence360_dump_failing{cluster="shared",database="tenant_1",instance="a"}': "3x60"},
        {'presence360_dump_failing{cluster="shared",database="tenant_1",instance="a"}': "2x60"},
        labels={"cluster": "shared", "database": "tenant_1"},
    ),
    "DumpOld": Case(
        {'presence360_dump_timestamp_seconds{cluster="shared",database="tenant_1",instance="a"}': "0x2000"},
        {
            'presence360_dump_timestamp_seconds{cluster="shared",database="tenant_1",instance="a"}': "0x2000",
            # The other droplet has looked later.
            'presence360_dump_timestamp_seconds{cluster="shared",database="tenant_1",instance="b"}': "86400x2000",
        },
        "31h",
        {"cluster": "shared", "database": "tenant_1"},
    ),
    "DumpMissing": Case(
        {'presence360_dump_never{group="control",instance="a"}': "1x300"},
        {'presence360_dump_never{group="control",instance="a"}': "0x300"},
        "4h",
        {"group": "control"},
    ),
    "DumpsNotRun": _old("presence360_dump_run_timestamp_seconds", {"group": "control"}, "7h"),
    "DrillFailed": Case(
        # One droplet has not looked again since the drill that failed.
        {'presence360_drill_success{group="control",instance="a"}': "0x60"},
        {
            'presence360_drill_success{group="control",instance="a"}': "0x60",
            'presence360_drill_success{group="control",instance="b"}': "1x60",
        },
        labels={"group": "control"},
    ),
    "DrillOld": Case(
        {'presence360_drill_timestamp_seconds{group="control",instance="a"}': "0x14000"},
        {'presence360_drill_timestamp_seconds{group="control",instance="a"}': "86400x14000"},
        "217h",
        {"group": "control"},
    ),
    "DrillMissing": Case(
        {'presence360_drill_never{group="control",instance="a"}': "1x1600"},
        {'presence360_drill_never{group="control",instance="a"}': "0x1600"},
        "25h",
        {"group": "control"},
    ),
    "ValkeyDown": _gauge("redis_up", 0, 1),
    "ValkeyMemoryNearlyUsedUp": Case(
        {"redis_memory_used_bytes": "81x60", "redis_memory_max_bytes": "100x60"},
        # Without a limit there is no share.
        {"redis_memory_used_bytes": "81x60", "redis_memory_max_bytes": "0x60"},
        labels={},
    ),
    "ValkeyMemoryUsedUp": Case(
        {"redis_memory_used_bytes": "96x60", "redis_memory_max_bytes": "100x60"},
        {"redis_memory_used_bytes": "94x60", "redis_memory_max_bytes": "100x60"},
        labels={},
    ),
    "NameDown": Case(
        {'probe_success{target="api.staging.presence360.app"}': "0x60"},
        # In maintenance, which everybody knows of.
        {
            'probe_success{target="api.staging.presence360.app"}': "0x60",
            f"presence360_maintenance{{{_I}}}": "1x60",
        },
        labels={"target": "api.staging.presence360.app"},
    ),
    "CertificateNotRenewed": Case(
        {'probe_ssl_earliest_cert_expiry{target="api.x"}': f"{20 * _DAY}x90"},
        {'probe_ssl_earliest_cert_expiry{target="api.x"}': f"{22 * _DAY}x90"},
        "80m",
        {"target": "api.x"},
    ),
    "CertificateEnds": Case(
        {'probe_ssl_earliest_cert_expiry{target="api.x"}': f"{2 * _DAY}x90"},
        {'probe_ssl_earliest_cert_expiry{target="api.x"}': f"{4 * _DAY}x90"},
        labels={"target": "api.x"},
    ),
    # It stops where messages fail.
    "Watchdog": Case(
        {}, {'alertmanager_notifications_failed_total{integration="email"}': "0+1x60"}, labels={}
    ),
    "AlertTest": _gauge("presence360_alert_test", 1, 0, "1m", test="20261126-1-1", by="ada@laptop"),
    "ObservabilityDown": _gauge("up", 0, 1, job="vmalert"),
    "ObservabilityNotConfigured": _gauge("presence360_observability_success", 0, 1),
    "RulesFail": Case(
        {f"vmalert_alerting_rules_errors_total{{{_I}}}": "0+1x60"},
        {f"vmalert_alerting_rules_errors_total{{{_I}}}": "5x60"},
    ),
    "MessagesNotDelivered": Case(
        {'alertmanager_notifications_failed_total{integration="email"}': "0+1x60"},
        {'alertmanager_notifications_failed_total{integration="email"}': "1x60"},
        labels={"integration": "email"},
    ),
    "TooManySeries": Case(
        {
            f"vm_daily_series_limit_current_series{{{_I}}}": "90x60",
            f"vm_daily_series_limit_max_series{{{_I}}}": "100x60",
        },
        {
            f"vm_daily_series_limit_current_series{{{_I}}}": "70x60",
            f"vm_daily_series_limit_max_series{{{_I}}}": "100x60",
        },
    ),
    "LogsStopped": _old("presence360_logs_sent_timestamp_seconds"),
    "TracesNotKept": Case(
        {
            f'presence360_traces_spans_total{{{_I},outcome="forwarded"}}': "0+4x90",
            f'presence360_traces_spans_total{{{_I},outcome="store"}}': "0+6x90",
        },
        {
            f'presence360_traces_spans_total{{{_I},outcome="forwarded"}}': "0+6x90",
            f'presence360_traces_spans_total{{{_I},outcome="store"}}': "0+4x90",
        },
        "60m",
        {},
    ),
    "LogsNotRemoved": _gauge("presence360_logs_kept_success", 0, 1),
    "MetricsBackupOld": _old("presence360_backup_timestamp_seconds", {**AT, "what": "metrics"}, "7h"),
}
