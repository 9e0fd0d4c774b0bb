"""What droplets, services and programs say at their metrics' addresses.

What is ours is written by our own programs (droplet/), called with what they would have found. What others write was
recorded from Debian 13's programs with the units' options (`recorded/`), without what no dashboard reads.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from droplet.backup import drills
from droplet.backup.board import Board as DumpBoard
from droplet.backup.databases import Database as DumpedDatabase
from droplet.backup.history import History as Dumps
from droplet.configuration import Cluster
from droplet.converge import metrics as converge
from droplet.converge.containers import State
from droplet.converge.maintenance import Maintenance
from droplet.converge.release import Release
from droplet.exporter import metrics as exporter
from droplet.exporter.cgroups import Usage
from droplet.exporter.docker import Container
from droplet.health import Health, Sources, Verdict
from droplet.health import metrics as health_metrics
from droplet.isolation import connections
from droplet.isolation import metrics as isolation
from droplet.isolation.result import Result
from droplet.jobs import metrics as jobs
from droplet.jobs.contract import Record
from droplet.migrate.board import Board
from droplet.migrate.databases import Database
from droplet.migrate.history import History
from droplet.migrate.history import Verdict as Migrated
from droplet.migrate.obstacles import Obstacles
from droplet.migrate.wanted import TENANTS, Job, Wanted
from droplet.pool import metrics as pool
from droplet.postgres import Client
from model.telemetry import DURATION_BUCKETS, SERVICE_HISTOGRAMS, SERVICE_METRICS

RECORDED: Final = Path(__file__).parent / "recorded"

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One series, and what it was when it was written.

    Attributes:
        name: of the metric.
        labels: its own, without those that the collecting adds.
        value: then.
        counter: whether it only grows: a counter, or a part of a histogram.
    """

    name: str
    labels: Mapping[str, str]
    value: float
    counter: bool


def samples(text: str) -> Iterator[Sample]:
    """Read Prometheus's text format."""
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            kinds[name] = kind
        elif match := _LINE.fullmatch(line):
            name = match[1]
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            counter = kinds.get(name, kinds.get(family)) in {"counter", "histogram"}
            yield Sample(name, dict(_LABEL.findall(match[2] or "")), float(match[3]), counter)


def recorded(name: str) -> str:
    """Return what another program wrote."""
    return (RECORDED / f"{name}.prom").read_text(encoding="utf-8")


def health(services: Mapping[str, bool]) -> str:
    """Return what the health daemon says, with nginx's counters as on a droplet."""
    verdict = Verdict(
        Sources(derived=Path("/nonexistent"), draining=(), textfiles=Path("/nonexistent"), nginx_port=1)
    )
    verdict.health = Health(dict(services), frozenset(services))
    counters = "# TYPE nginx_connections_active gauge\nnginx_connections_active 41\n"
    return health_metrics(verdict) + counters


def containers(services: Mapping[str, int], *, restarts: int, killed: str, reboot: bool, now: float) -> str:
    """Return what presence360-exporter says; services with the memory that they may use, in MiB."""
    mib = 1024 * 1024
    seen = [
        (
            Container(service, 100, memory * mib, restarts, now - 86_400),
            Usage(int(memory * mib * 0.55), 5_000.0, 24),
        )
        for service, memory in services.items()
    ]
    return exporter.render(exporter.Seen(seen, {killed: 1} if killed in services else {}, reboot, now))


def release(
    digest: str, images: Mapping[str, str], unhealthy: str, phase: str, now: float, closed: Sequence[str] = ()
) -> str:
    """Return what converge says."""
    states = {service: State(running=True, unhealthy=service == unhealthy) for service in images}
    return converge.render(
        Release(Path("/"), digest, images, {}, ()), states, Maintenance(None, False, frozenset(closed)),
        phase=phase, success=phase == "serving", now=now,
    )  # fmt: skip


def isolated(clusters: Mapping[str, int], now: float) -> str:
    """Return what the isolation job says: clusters with their numbers of databases."""
    found = {}
    for name, databases in clusters.items():
        result = Result(name, notes={"places": databases, "logins": 2 * databases, "watched": 1}, seconds=3.2)
        found[name] = isolation.samples_of(result, now)
    return isolation.metrics(found, {"environment": True})


def connected(clusters: Mapping[str, tuple[int, Mapping[tuple[str, str], int]]]) -> str:
    """Return whose connections there are: by cluster the limit, and how many by role and state."""
    return connections.metrics(
        {name: connections.Connections(used, limit) for name, (limit, used) in clusters.items()}
    )


def scheduled(records: Sequence[Record], droplet: str, now: float) -> str:
    """Return what presence360-jobs says."""
    return jobs.render(records, droplet, now)


def migrated(databases: Mapping[str, str], now: float) -> str:
    """Return what the migrations say: databases with their results."""
    wanted = Wanted({TENANTS: cast(Job, None)}, "", {}, (), 4, 95, None)
    board = Board(wanted, "control-1", lambda: now, Obstacles(lambda: now))
    for name, result in databases.items():
        history = History(tries=3, at=now, reason="a reason") if result == Migrated.FAILED else History()
        board.set(Database(_cluster("shared"), cast(Client, None), name, 1, True, history), Migrated(result))
    board.known.set()
    return board.metrics(41.0)


def dumped(databases: Mapping[tuple[str, str], Dumps], now: float) -> str:
    """Return what the dumps say: the record of each database, by cluster and name."""
    board = DumpBoard("control-1", now)
    for (cluster, name), history in databases.items():
        board.set(
            DumpedDatabase(_cluster(cluster), cast(Client, None), name, 1, True, True, history, (), None),
            history,
        )
    return board.metrics(now, 912.0)


def drilled(now: float) -> str:
    """Return what the last restore drill left: three days ago, and nothing was wrong."""
    ended = now - 3 * 86_400
    report = {"finished": ended, "passed": 1, "oldest": now - 20 * 86_400, "rto": 840, "rpo": 31_000}
    return drills.render({"report": report}, now)


def pooled(waiting: Mapping[str, int], now: float, churches: Sequence[str]) -> str:
    """Return what PgBouncer's pools say: ids of churches, some with seconds that their clients wait."""
    servers = {"sv_active": "1", "sv_idle": "2"}
    pools = [
        {
            "database": f"tenant_{one}", "cl_waiting": str(int(one in waiting)), "maxwait": str(waiting.get(one, 0)),
            "maxwait_us": "0", **{name: servers.get(name, "0") for name in pool._SERVERS},
        }
        for one in churches
    ]  # fmt: skip
    known = [
        {
            "name": f"tenant_{one}", "max_connections": "5", "current_client_connections": "6",
            "max_client_connections": "100",
        }
        for one in churches
    ]  # fmt: skip
    stats = [
        {"database": f"tenant_{one}", "total_xact_count": "900", "total_wait_time": "1000"}
        for one in churches
    ]
    return pool.metrics(pool.Shown(pools, known, stats), configured=True, now=now)


ROUTES: Final = ("/people", "/people/{person}", "/services", "/services/{service}/attendance", "/healthz")
TASKS: Final = ("church.notify", "church.recognize", "church.import_people", "church.report")

# As docs/telemetry.md has the labels of what services send.
_SENT: Final[Mapping[str, Sequence[Mapping[str, str]]]] = {
    "http_server_active_requests": [{"http_request_method": "GET", "url_scheme": "http"}],
    "http_server_request_duration_seconds": [
        {
            "http_request_method": "GET",
            "http_route": route,
            "http_response_status_code": status,
            "url_scheme": "http",
        }
        for route in ROUTES
        for status in ("200", "500")
    ],
    "http_client_request_duration_seconds": [
        {"http_request_method": "POST", "http_response_status_code": "200"}
    ],
    "db_client_operation_duration_seconds": [
        {"db_system_name": "postgresql", "db_operation_name": operation}
        for operation in ("SELECT", "INSERT", "UPDATE")
    ],
    "presence360_jobs_total": [
        {"task": task, "outcome": outcome} for task in TASKS for outcome in ("success", "failure", "retry")
    ],
    "presence360_job_duration_seconds": [{"task": task} for task in TASKS],
    "presence360_job_wait_seconds": [{"queue_class": kind} for kind in ("tasks", "urgent")],
    "presence360_rekognition_requests_total": [
        {"operation": "SearchFacesByImage", "outcome": outcome}
        for outcome in ("success", "throttled", "error")
    ],
    "presence360_mnotify_requests_total": [
        {"outcome": outcome} for outcome in ("success", "rejected", "error")
    ],
}
_BOUNDS: Final = {
    "presence360_job_wait_seconds": (1, 5, 15, 60, 300, 900),
    "presence360_job_duration_seconds": (0.1, 1, 5, 30, 120),
}
OF_API: Final = ("http_", "db_client_")
OF_WORKER: Final = ("presence360_", "db_client_")


def sent(kinds: Sequence[str]) -> str:
    """Return what a service sends, of the kinds that its names begin with."""
    lines = []
    for name in (*SERVICE_METRICS, *SERVICE_HISTOGRAMS):
        if not name.startswith(tuple(kinds)):
            continue
        kind = (
            "histogram" if name in SERVICE_HISTOGRAMS else "counter" if name.endswith("_total") else "gauge"
        )
        lines.append(f"# TYPE {name} {kind}")
        for labels in _SENT[name]:
            inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
            if kind == "histogram":
                bounds = [*(f"{bound:g}" for bound in _BOUNDS.get(name, DURATION_BUCKETS)), "+Inf"]
                lines += [f'{name}_bucket{{{inner},le="{bound}"}} 1' for bound in bounds]
                lines += [f"{name}_sum{{{inner}}} 1", f"{name}_count{{{inner}}} 1"]
            else:
                lines.append(f"{name}{{{inner}}} 1")
    return "\n".join(lines) + "\n"


def _cluster(name: str) -> Cluster:
    return Cluster(name, "", 0, "", "", "", "", "")
