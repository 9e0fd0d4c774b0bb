"""Logs: how they leave a droplet, and where the observability group keeps them. docs/logs.md explains it.

systemd's own programs do the work: journal-upload on each droplet sends the journal to a loopback port, from where it
goes the way of the metrics (model/telemetry.py); journal-remote writes it into files, one process for each group.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model.observability_file import Logs

FOLDER = "/srv/metrics/logs"
"""On the observability group's droplet, beside the metrics: a folder for each group."""

UPLOAD_PORT = 9368
"""Loopback, on every droplet: where journal-upload sends (droplet/telemetry/nginx.py)."""

_FIRST_PORT = 19_540
"""Loopback, on the observability group's droplet: journal-remote, one for each group. Its own port is 19532."""

FILE_MIB = 32
"""Of one file. Whole files are removed, so a limit is kept as exactly as this."""

LOCAL_JOURNAL_MIB = 1024
"""What a droplet keeps itself (host_files.j2): lines wait there while the observability group is away."""


@dataclass(frozen=True, kw_only=True)
class LogsPlan:
    """What the observability group keeps of logs.

    Attributes:
        ports: by group, where its journal-remote listens.
        days: how long lines are kept.
        group_mib: how much of the disk each group has.
    """

    ports: Mapping[str, int]
    days: int
    group_mib: int


def plan_logs(wanted: Logs, groups: Iterable[str]) -> LogsPlan:
    """Decide it; ``groups`` are all that send."""
    names = sorted(groups)
    return LogsPlan(
        ports={group: _FIRST_PORT + number for number, group in enumerate(names)},
        days=wanted.days,
        group_mib=wanted.size_gib * 1024 // len(names),
    )
