"""Render programs.json: the programs, units and defaults that travel through a group's bucket. Pure.

One text object, so that a droplet sees a version whole or not at all, and a plan shows what changes in it.
"""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Final

from cloud_init import observability, observability_files
from cloud_init.requests_log import REQUESTS, render_requests
from cloud_init.template import render
from model import traces
from model.dashboards import GRAFANA_MIB, GRAFANA_UID, READER_PORT
from model.droplets import DropletGroupPlan
from model.logs import FILE_MIB, FOLDER, UPLOAD_PORT
from model.observability import MOUNT
from model.services import WATCHDOG_PORT, WATCHDOG_RECEIVER_PORT
from model.telemetry import NODE_PORT, REQUESTS_PORT

MAX_PROGRAMS_BYTES = 1024 * 1024
"""A limit against mistakes: a plan carries the text, and every droplet fetches it.

It may be raised up to droplet/converge/objects.py's MAX_OBJECT_BYTES once no droplet has programs from before
2026-11-27, which take 1 MiB at most."""

_VERSION: Final = "/var/lib/presence360/programs/current"

CURRENT = f"/usr/bin/python3 -I -B {_VERSION}"
"""How a unit runs a program of the current version: ``{CURRENT} converge`` (droplet/fetch.py)."""

_FOLDER = Path(__file__).parents[1] / "droplet"

_IN_USER_DATA: Final = frozenset({"fetch.py", "health.py", "host.py"})
"""They do not travel here: they run before, or without, what does."""

_OF_DATABASES: Final = frozenset(
    {"by_hand.py", "configuration.py", "database_lock.py", "isolation", "killed.py", "migrate", "move_tenant"}
    | {"names.py", "outcome.py", "postgres.py", "record.py", "session.py", "sql", "work_login.py"}
)
"""Modules and packages that only the group needs that runs the isolation job."""

_OF_POOL: Final = frozenset({"names.py", "pool"})
"""The same for the groups whose droplets have pools."""

_OF_BACKUPS: Final = frozenset({"backup", "begun.py", "compare", "export", "restore"})
"""The same for the group that dumps databases."""

_OF_DRILL: Final = frozenset({"drill", "pool"})
"""The same where restores are tried."""

_OF_OBSERVABILITY: Final = frozenset({"observability"})
"""The same for the group that keeps the metrics."""

_OF_WATCHDOG: Final = frozenset({"watchdog"})
"""The same for both ends of the watchdog."""
_OF_TRACES: Final = frozenset({"traces"})
"""The same for an environment that keeps traces."""
_OF_TELEMETRY: Final = frozenset({"logs", "telemetry"})
"""The same for an environment with an observability group."""

MIGRATE_MIB, MIGRATION_MIB = 256, 32
"""What the migrations' unit may use: for itself, and for each migration at a time. Debian 13's rclone 1.60 had 48 MiB
resident, docker-cli 26.1 had 28, of which 8 are its own and not shared with the others (measured, docs/proof.md)."""

_UNITS: Final = (
    *(f"{unit}.service.d/presence360.conf" for unit in ("containerd", "docker", "presence360-converge")),
    "presence360-drain.service",
    "presence360-exporter.service",
    *(f"presence360-jobs.{kind}" for kind in ("service", "timer")),
    *(f"presence360-metadata.{kind}" for kind in ("path", "service")),
    "presence360-swap.service",
    "prometheus-node-exporter.service",
)
_UNITS_OF_PUBLIC_GROUPS: Final = ("mtail.service",)
_UNITS_OF_ISOLATION: Final = (
    *(f"presence360-isolation.{kind}" for kind in ("path", "service", "timer")),
    "presence360-isolation-watch.service",
    *(f"presence360-sql.{kind}" for kind in ("service", "timer")),
)
_UNITS_OF_MIGRATIONS: Final = tuple(f"presence360-migrate.{kind}" for kind in ("service", "timer"))
_UNITS_OF_BACKUPS: Final = tuple(f"presence360-backup.{kind}" for kind in ("service", "timer"))
_UNITS_OF_DRILL: Final = tuple(f"presence360-drill.{kind}" for kind in ("service", "timer"))
_UNITS_OF_TELEMETRY: Final = (
    "presence360-logs.service",
    "presence360-otlp.service",
    "presence360-telemetry.service",
    "presence360-telemetry.timer",
)
_UNITS_OF_TRACES: Final = ("presence360-traces.service",)
_UNITS_OF_KEPT_TRACES: Final = ("presence360-traces-store.service",)
_UNITS_OF_POOL: Final = ("pgbouncer.service", "presence360-pool.service", "presence360-pool.timer")
_UNITS_OF_OBSERVABILITY: Final = (
    *(
        f"presence360-{name}.{kind}"
        for name in ("alert-test", "metrics-backup", "observability")
        for kind in ("service", "timer")
    ),
    "presence360-watchdog-receiver.service",
    *(f"prometheus-{name}.service" for name in ("alertmanager", "blackbox-exporter", "redis-exporter")),
    *(f"{name}.service" for name in ("victoria-metrics", "vmalert")),
)
_UNITS_OF_GRAFANA: Final = ("presence360-grafana.service", "presence360-metrics-reader.service")
_UNITS_OF_VOLUME: Final = ("presence360-volume.service", "srv-metrics.mount")
_UNITS_OF_WATCHDOG: Final = ("presence360-watchdog.service",)
_UNITS_OF_KEPT_LOGS: Final = tuple(f"presence360-logs-keep.{kind}" for kind in ("service", "timer"))


class ProgramsTooLongError(ValueError):
    """The programs exceed what one object may hold."""


def render_programs(plan: DropletGroupPlan) -> str:
    """Return a group's programs.json: ``{"files": {path: text}}``, sorted by path.

    ``__main__.py`` stands at the top, so that Python runs the folder; ``units/`` and ``defaults/`` are installed by
    converge (droplet/converge/units.py).

    Raises:
        ProgramsTooLongError: it exceeds 1 MiB.
    """
    ours = plan.observability
    telemetry = plan.telemetry
    logs, kept = (telemetry.logs, telemetry.traces) if telemetry else (None, None)
    nothing = frozenset[str]()
    parts: tuple[tuple[object, frozenset[str], tuple[str, ...]], ...] = (
        (plan.placement.public, nothing, _UNITS_OF_PUBLIC_GROUPS),
        (plan.isolation, _OF_DATABASES, _UNITS_OF_ISOLATION),
        (plan.backups, _OF_BACKUPS, _UNITS_OF_BACKUPS),
        (plan.backups and plan.backups.drill, _OF_DRILL, _UNITS_OF_DRILL),
        (plan.pool, _OF_POOL, _UNITS_OF_POOL),
        (plan.telemetry, _OF_TELEMETRY, _UNITS_OF_TELEMETRY),
        (ours, _OF_OBSERVABILITY | _OF_WATCHDOG, _UNITS_OF_OBSERVABILITY),
        (ours and ours.grafana, nothing, _UNITS_OF_GRAFANA),
        (ours and ours.volume, nothing, _UNITS_OF_VOLUME),
        (plan.watchdog, _OF_WATCHDOG, _UNITS_OF_WATCHDOG),
        (logs, nothing, _UNITS_OF_KEPT_LOGS),
        (telemetry and telemetry.sample_percent, _OF_TRACES, _UNITS_OF_TRACES),
        (kept, nothing, _UNITS_OF_KEPT_TRACES),
    )
    here = frozenset[str]().union(*(modules for wanted, modules, _ in parts if wanted))
    elsewhere = frozenset[str]().union(*(modules for _, modules, _ in parts)) - here
    units = [*_UNITS, *(unit for wanted, _, units in parts if wanted for unit in units)]
    if plan.isolation and plan.migrations:
        units += _UNITS_OF_MIGRATIONS
    files = {path: text for path, text in _sources().items() if path.split("/")[1] not in elsewhere}
    files["__main__.py"] = files.pop("droplet/__main__.py")
    requests = render_requests(plan)
    parallel = plan.migrations.parallel if plan.migrations else 0
    if plan.placement.public:
        files[REQUESTS] = requests
    for name in units:
        files[f"units/{name}"] = render(
            f"units/{name}.j2",
            programs=CURRENT,
            migrate_mib=MIGRATE_MIB + MIGRATION_MIB * parallel,
            **_values(plan),
            **_telemetry(plan, requests),
            **_logs(plan),
        )
    for group, port in sorted(logs.ports.items()) if logs else ():
        for kind in ("service", "socket"):
            files[f"units/presence360-journal-{group}.{kind}"] = render(
                f"units/presence360-journal.{kind}.j2", group=group, port=port, **_logs(plan)
            )
    text = json.dumps({"files": files}, indent=1, sort_keys=True) + "\n"
    if (size := len(text.encode())) > MAX_PROGRAMS_BYTES:
        raise ProgramsTooLongError(
            f"programs.json of group {plan.group!r} has {size} bytes; at most {MAX_PROGRAMS_BYTES} are allowed"
        )
    return text


def _telemetry(plan: DropletGroupPlan, requests: str) -> dict[str, object]:
    """Return what the units of telemetry are rendered with."""
    return {
        "node_port": NODE_PORT,
        "requests_port": REQUESTS_PORT,
        "receives": bool(plan.telemetry and plan.telemetry.senders),
        "requests": f"{_VERSION}/{REQUESTS}",
        "requests_digest": hashlib.sha256(requests.encode()).hexdigest()[:16],
    }


def _logs(plan: DropletGroupPlan) -> dict[str, object]:
    """Return what the units of logs and traces are rendered with."""
    return {
        "logs": plan.telemetry.logs if plan.telemetry else None,
        "logs_folder": FOLDER,
        "file_mib": FILE_MIB,
        "upload_port": UPLOAD_PORT,
        "traces": plan.telemetry.traces if plan.telemetry else None,
        "traces_folder": traces.FOLDER,
        "traces_port": traces.STORE_PORT,
        "filter_port": traces.FILTER_PORT,
        "store_mib": traces.STORE_MIB,
        "mount": MOUNT,
    }


def _values(plan: DropletGroupPlan) -> dict[str, object]:
    """Return what the units of observability are rendered with."""
    device = f"/dev/disk/by-id/scsi-0DO_Volume_{plan.observability.volume}" if plan.observability else ""
    return {
        "observability": plan.observability,
        "grafana": plan.observability.grafana if plan.observability else None,
        "grafana_uid": GRAFANA_UID,
        "grafana_mib": GRAFANA_MIB,
        "reader_port": READER_PORT,
        "watchdog": plan.watchdog,
        "folder": observability_files.FOLDER,
        # DigitalOcean documentation, "Volumes": the name of a volume's device on a droplet.
        "device": device,
        "device_unit": f"{_escaped(device)}.device",
        "store_port": observability.STORE_PORT,
        "rules_port": observability.RULES_PORT,
        "messages_port": observability.MESSAGES_PORT,
        "names_port": observability.NAMES_PORT,
        "valkey_port": observability.VALKEY_PORT,
        "queue_keys": observability.QUEUE_KEYS,
        "watchdog_port": WATCHDOG_PORT,
        "watchdog_receiver_port": WATCHDOG_RECEIVER_PORT,
    }


def _escaped(path: str) -> str:
    """Return a path as systemd has it in a unit's name (systemd.unit(5), "String Escaping...")."""
    return re.sub(r"[^A-Za-z0-9:_./]", lambda match: f"\\x{ord(match[0]):02x}", path.strip("/")).replace(
        "/", "-"
    )


def program(name: str) -> str:
    """Return the text of a program that travels in user data."""
    return (_FOLDER / f"{name}.py").read_text(encoding="utf-8")


@cache
def _sources() -> dict[str, str]:
    """Return the text of every module and SQL script, by path in the repository."""
    return {
        path.relative_to(_FOLDER.parent).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in {".py", ".sql"} and path.name not in _IN_USER_DATA
    }
