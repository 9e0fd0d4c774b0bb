"""How metrics leave a droplet: what is read there, and what services send.

Two ways: the observability group collects what the private port has (model/services.py, `METRICS_PORT`), and services
send OpenTelemetry's protocol to a listener on the droplet, which forwards to the observability group. docs/telemetry.md
explains both.
"""

from dataclasses import dataclass
from typing import Final

from model.environment import EnvironmentFile
from model.logs import LogsPlan, plan_logs
from model.traces import TracesPlan, plan_traces

NODE_PORT = 9100
"""Loopback, on every droplet: prometheus-node-exporter, at its own default port."""
REQUESTS_PORT = 3903
"""Loopback, on every droplet: mtail, at its own default port."""

METRICS_PATH = "/metrics"
"""On the private port: the health daemon's own, and all that programs leave as files. On public names there is none."""
NODE_PATH = f"{METRICS_PATH}/node"
REQUESTS_PATH = f"{METRICS_PATH}/requests"

DURATION_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
)  # fmt: skip
"""Seconds. Those of OpenTelemetry's `http.server.request.duration` (its semantic conventions, "HTTP metrics"), so that
what nginx measures and what a service measures are compared bucket by bucket."""

MAX_TENANTS = 2500
"""Churches that have a count of their own on one droplet; the least recently seen gives way. Ten cells of 250."""

SERVICE_METRICS: Final = (
    "http_server_active_requests",
    "presence360_jobs_total",
    "presence360_rekognition_requests_total",
    "presence360_mnotify_requests_total",
)
SERVICE_HISTOGRAMS: Final = (
    "http_server_request_duration_seconds",
    "http_client_request_duration_seconds",
    "db_client_operation_duration_seconds",
    "presence360_job_duration_seconds",
    "presence360_job_wait_seconds",
)
"""What the store takes from services, sent or collected (docs/telemetry.md, "Names"). Alerts ask by name, so a
container could silence or forge those on every other name."""

TELEMETRY_KEY = "telemetry.json"
"""The object that tells a group's droplets where they forward. Not part of a release: a change restarts no service."""


@dataclass(frozen=True, kw_only=True)
class TelemetryPlan:
    """Where a group's droplets forward what services send."""

    receivers: str
    """The status bucket of the observability group, whose droplets say there how they are reached."""
    senders: tuple[str, ...]
    """The groups whose droplets may send here, sorted; empty for every group but the observability group."""
    logs: LogsPlan | None = None
    """What is kept of their logs; None for every group but the observability group."""
    sample_percent: float = 0
    """Of how many requests in a hundred the trace is kept; 0 where none are."""
    traces: TracesPlan | None = None
    """Where they are kept; None for every group but the observability group, and where none are."""


def plan_telemetry(receivers: str | None, file: EnvironmentFile, *, observes: bool) -> TelemetryPlan | None:
    """Decide where a group's droplets forward; None without an observability group: then nothing listens.

    Args:
        receivers: the status bucket of the observability group.
        file: the environment's.
        observes: whether this is the observability group.
    """
    wanted = file.observability
    if receivers is None or wanted is None:
        return None
    return TelemetryPlan(
        receivers=receivers,
        senders=tuple(sorted(file.groups)) if observes else (),
        logs=plan_logs(wanted.logs, file.groups) if observes else None,
        sample_percent=wanted.traces.sample_percent if wanted.traces else 0,
        traces=plan_traces(wanted.traces, file.registry.url) if observes else None,
    )


def services_path(service: str) -> str:
    """Name the path on the private port at which a service's own metrics are."""
    return f"{METRICS_PATH}/services/{service}"
