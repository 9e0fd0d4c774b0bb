"""How a metric's value goes with time, from what it was when it was written. Nothing is random."""

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from lab.dashboards.says import Sample

END: Final = datetime(2026, 11, 26, 3, 30, tzinfo=UTC).timestamp()
HOURS: Final = 3
EVERY_SECONDS: Final = 60
"""Twice as long as on droplets: half as many samples, and the same pictures."""
_BEFORE_SECONDS: Final = 1800
"""Rates need samples from before."""
TIMES: Final = [
    END - HOURS * 3600 - _BEFORE_SECONDS + EVERY_SECONDS * step
    for step in range((HOURS * 3600 + _BEFORE_SECONDS) // EVERY_SECONDS + 1)
]

TROUBLE_FROM: Final = END - 40 * 60


@dataclass(frozen=True)
class Series:
    """One series with all of its labels, from a time to another."""

    sample: Sample
    since: float = 0
    until: float = END

    def values(self) -> Iterator[tuple[float, float]]:
        """Return its samples: time and value."""
        shape = _shape(self.sample)
        for time, grown, troubled in zip(TIMES, _GROWN, _TROUBLED, strict=True):
            if self.since <= time <= self.until:
                yield time, shape(time, grown, troubled)


def _unit(sample: Sample) -> float:
    """A number from 0 to 1 that is the series' own, whatever its bucket."""
    known = f"{sample.name.rsplit('_', 1)[0]}{sorted((k, v) for k, v in sample.labels.items() if k != 'le')}"
    return int(hashlib.sha256(known.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def _busy(time: float) -> float:
    """How busy it is, around 1."""
    return 1 + 0.35 * math.sin(time / 2400) + 0.08 * math.sin(time / 190)


def _sums(rates: Sequence[float]) -> list[float]:
    total, found = 1000.0, []
    for rate in rates:
        total += rate * EVERY_SECONDS
        found.append(total)
    return found


_GROWN: Final = _sums([_busy(time) for time in TIMES])
_TROUBLED: Final = _sums([_busy(time) * (8 if time > TROUBLE_FROM else 1) for time in TIMES])

_RECENT_SECONDS: Final = 1200
"""A time stamp that is not older than this goes on with the clock."""

_STATUS: Final = {"2xx": 1.0, "3xx": 0.15, "4xx": 0.05, "5xx": 0.003}
_OUTCOMES: Final = {
    "success": 1.0,
    "throttled": 0.03,
    "rejected": 0.02,
    "error": 0.01,
    "failure": 0.02,
    "retry": 0.04,
}
_SCALES: Final = {"presence360_job_wait": 20.0, "presence360_job_duration": 2.0, "db_client_operation": 0.012}
"""By the beginning of a histogram's name, seconds within which two of three are."""
_USUAL_SECONDS: Final = 0.12
"""Of other histograms."""
_CPU: Final = {"idle": 0.62, "user": 0.22, "system": 0.08, "iowait": 0.05}


_RATES: Final[Sequence[tuple[str, float]]] = (
    (r"node_network_.*_bytes_total", 400_000),
    (r"node_network_.*|alertmanager.*|vmalert.*|vm_.*|.*oom_kill.*|.*restarts_total", 0),
    (r"node_disk_.*_time_seconds_total", 0.06),
    (r"node_disk_.*", 20_000),
    (r".*container_cpu_seconds_total", 0.15),
    (r"redis_commands_processed_total", 400),
    (r"presence360_pool_.*", 40),
)
"""By a pattern of counters' names, how fast they grow at an average hour; others once a second."""


def _rate(sample: Sample) -> float:
    """How fast a counter grows at an average hour."""
    name, labels = sample.name, sample.labels
    if name == "node_cpu_seconds_total":
        return _CPU.get(labels["mode"], 0.002)
    rate = 0.3 + 2 * _unit(sample)
    if name.startswith("presence360_tenant_requests"):
        # Few churches have most of the requests.
        rate = 0.02 + 6 * _unit(replace(sample, labels={"tenant": labels["tenant"]})) ** 6
    rate *= next((known for pattern, known in _RATES if re.fullmatch(pattern, name)), 1)
    rate *= _STATUS.get(labels.get("status_class", "2xx"), 0) * _OUTCOMES.get(
        labels.get("outcome", "success"), 0
    )
    return rate * (0.004 if labels.get("http_response_status_code") == "500" else 1)


def _below(sample: Sample) -> float:
    """Which share of observations is within a bucket's bound."""
    scale = next((one for name, one in _SCALES.items() if sample.name.startswith(name)), _USUAL_SECONDS)
    scale *= 0.6 + _unit(sample)
    bound = sample.labels["le"]
    if sample.name.endswith("_bucket"):
        return 1.0 if bound == "+Inf" else 1 - math.exp(-float(bound) / scale)
    return scale


def _bad(sample: Sample) -> bool:
    """Whether it grows faster while there is trouble: tenant-api's errors, and what follows."""
    labels = sample.labels
    return (labels.get("service") == "tenant-api" and labels.get("status_class") == "5xx") or (
        labels.get("http_response_status_code") == "500" or labels.get("outcome") in {"error", "failure"}
    )


def _shape(sample: Sample) -> Callable[[float, float, float], float]:
    """Return how the value goes with time: time, and what was done since the beginning, without trouble and with it."""
    name, value = sample.name, sample.value
    if name.startswith("presence360_container_") and name.endswith(("restarts_total", "kills_total")):
        return lambda time, _grown, _troubled: value * (time > TROUBLE_FROM + 600)
    return _counter(sample) if sample.counter else _gauge(sample)


def _counter(sample: Sample) -> Callable[[float, float, float], float]:
    value = sample.value
    rate = _rate(sample) * (_below(sample) if "le" in sample.labels else 1)
    if sample.name.endswith("_sum"):
        rate *= _USUAL_SECONDS
    if _bad(sample):
        return lambda _time, _grown, troubled: value + rate * troubled
    return lambda _time, grown, _troubled: value + rate * grown


def _gauge(sample: Sample) -> Callable[[float, float, float], float]:
    name, value, own = sample.name, sample.value, _unit(sample)
    if name.endswith("_timestamp_seconds") and END - value < _RECENT_SECONDS:
        # Programs that run all the time: each of them at a moment of its own.
        return lambda time, _grown, _troubled: time - (time + 600 * own) % 75
    if name in _STEADY or name.endswith(("_timestamp_seconds", "expiry")) or value in {0, 1}:
        return lambda _time, _grown, _troubled: value
    if grows := _TROUBLED_GAUGES.get(name):
        return lambda time, _grown, _troubled: (
            value * (_busy(time + 5000 * own) + grows * max(0, time - TROUBLE_FROM) / 2400)
        )
    return lambda time, _grown, _troubled: value * (0.85 + 0.15 * _busy(time + 9000 * own))


_STEADY: Final = {
    "node_memory_MemTotal_bytes", "node_filesystem_size_bytes", "node_filesystem_files", "redis_memory_max_bytes",
    "presence360_postgres_connections_limit", "presence360_container_memory_limit_bytes",
    "presence360_isolation_databases", "presence360_isolation_login_roles", "presence360_dump_size_bytes",
    "presence360_dump_failing", "presence360_dump_never",
    "presence360_migrations_databases", "presence360_migrations_failing", "presence360_pool_server_connections_ceiling",
    "vm_daily_series_limit_max_series", "presence360_maintenance_tenants",
}  # fmt: skip
_TROUBLED_GAUGES: Final = {"presence360_postgres_connections": 0.5, "redis_key_size": 3.0}
"""What grows while there is trouble, and how many times its value."""
