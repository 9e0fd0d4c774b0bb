"""Dumps and isolation: whether data could be brought back, and whether churches are kept apart."""

from typing import Final

from cloud_init.dashboards.churches import CHURCH_COLUMN, with_church
from cloud_init.dashboards.parts import (
    BYTES,
    SECONDS,
    Column,
    Content,
    Limits,
    Query,
    Section,
    lines,
    longest_ago,
    number,
    rows,
)
from cloud_init.dashboards.variables import chosen
from model.alerts import limits
from model.dashboards import DATA, DashboardsPlan

_CLUSTER: Final = 'cluster=~"$cluster"'
_OF_CLUSTER: Final = Column(
    "cluster", "Cluster", link=("Open the cluster", f"{DATA.path}?var-cluster=${{__value.raw}}")
)


def content(_plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    return Content(
        [
            Section("Now", _NOW),
            Section("Isolation", _ISOLATION),
            Section("Dumps", _DUMPS),
            Section("Restore drill", _DRILL),
        ],
        [chosen("cluster", "Cluster", "label_values(presence360_isolation_success, cluster)", several=True)],
    )


def _of(name: str, largest: str = "max") -> str:
    """Return a measure of the isolation job by cluster; each control droplet has it."""
    return f"{largest} by (cluster) (presence360_isolation_{name}{{{_CLUSTER}}})"


_DUMPED: Final = f"max by (cluster, database) (presence360_dump_timestamp_seconds{{{_CLUSTER}}})"

_NOW: Final = [
    number(
        "Kept apart", "Whether each church reaches its own database and nothing else, in each cluster.",
        f"min({_of('success', 'min')})", limits=Limits(red=1, below=True), yes_or_no=True, alerts=["IsolationFails"],
    ),
    number(
        "Last looked at", "How long ago the isolation job looked at the cluster that has waited longest.",
        f"max(time() - {_of('timestamp_seconds')})", unit=SECONDS, limits=Limits(red=limits.ISOLATION_STALE_SECONDS),
        alerts=["IsolationNotRun", "IsolationMissing"],
    ),
    number(
        "Oldest dump", "How old the newest good dump is of the database that has waited longest.",
        f"max(time() - {_DUMPED})", unit=SECONDS,
        limits=Limits(limits.DUMP_OLD_SECONDS * 0.9, limits.DUMP_OLD_SECONDS), alerts=["DumpOld"],
    ),
    number(
        "Never dumped", "Databases that have no dump yet: new ones, or such that the job cannot dump.",
        "max(presence360_dump_never)", limits=Limits(yellow=1), alerts=["DumpMissing"],
    ),
    number(
        "Size of all dumps", "The newest good dump of every database.",
        f"sum(max by (cluster, database) (presence360_dump_size_bytes{{{_CLUSTER}}}))", unit=BYTES,
    ),
    number(
        "Backup of the metrics", "How long ago the metrics themselves were last copied to Spaces.",
        'time() - max(presence360_backup_timestamp_seconds{what="metrics"})', unit=SECONDS,
        limits=Limits(yellow=limits.METRICS_BACKUP_OLD_SECONDS), alerts=["MetricsBackupOld"],
    ),
]  # fmt: skip

_ISOLATION: Final = [
    lines(
        "Findings", "What is wrong between churches. The journal of presence360-isolation names each.",
        Query(_of("findings"), "{{cluster}} findings"), Query(_of("errors"), "{{cluster}} not looked at"),
        limits=Limits(red=1), alerts=["IsolationFails", "IsolationNotConfigured"],
    ),
    lines(
        "Databases kept apart", "By cluster.", Query(_of("databases"), "{{cluster}}"),
    ),
    lines(
        "How long a run takes", "It runs each minute.", Query(_of("duration_seconds"), "{{cluster}}"), unit=SECONDS,
        limits=Limits(yellow=60),
    ),
    rows(
        "Sessions ended", "Sessions that the last run ended because they had no right to be where they were.",
        _of("sessions_ended"), _OF_CLUSTER, Column("Value", "Ended", limits=Limits(yellow=1)), width=8, height=5,
    ),
    rows(
        "New databases", "Whether a watch closes new databases within seconds; otherwise it takes a minute.",
        _of("watched", "min"), _OF_CLUSTER,
        Column("Value", "Watched", limits=Limits(yellow=1, below=True), yes_or_no=True),
        width=8, height=5,
    ),
    rows(
        "Login roles", "Roles that log in to churches' databases.", _of("login_roles"), _OF_CLUSTER,
        Column("Value", "Roles"), width=8, height=5,
    ),
]  # fmt: skip

_DUMPS: Final = [
    rows(
        "Oldest dumps", "The 10 databases whose newest good dump is oldest.",
        with_church(f"topk(10, time() - {_DUMPED})", "database"),
        _OF_CLUSTER, CHURCH_COLUMN,
        Column("Value", "Age", unit=SECONDS, limits=Limits(red=limits.DUMP_OLD_SECONDS)), width=8, alerts=["DumpOld"],
    ),
    rows(
        "Dumps that fail", "How often each was tried. `presence360 backups show` has the reasons.",
        with_church(
            f"topk(10, max by (cluster, database) (presence360_dump_failing{{{_CLUSTER}}}) > 0)", "database"
        ),
        _OF_CLUSTER, CHURCH_COLUMN,
        Column("Value", "Tries", limits=Limits(yellow=limits.DUMP_TRIES + 1)),
        width=8, empty="no dump fails", alerts=["DumpFails"],
    ),
    rows(
        "Largest dumps", "The 10 largest.",
        with_church(
            f"topk(10, max by (cluster, database) (presence360_dump_size_bytes{{{_CLUSTER}}}))", "database"
        ),
        _OF_CLUSTER, CHURCH_COLUMN, Column("Value", "Size", unit=BYTES), width=8,
    ),
    lines(
        "How long the dumps take", "The last run of the night.",
        Query("max by (group) (presence360_dump_run_duration_seconds)", "{{group}}"), unit=SECONDS, width=12,
    ),
    lines(
        "Last run of the dumps", "How long ago it ended.",
        Query(longest_ago("max by (group) (presence360_dump_run_timestamp_seconds)"), "{{group}}"), unit=SECONDS,
        width=12, limits=Limits(yellow=limits.DUMPS_STALE_SECONDS), alerts=["DumpsNotRun"],
    ),
]  # fmt: skip

_DRILL: Final = [
    number(
        "The drill was good",
        "Whether nothing was wrong in the last restore drill. `presence360 drill --show` has what was.",
        "min(presence360_drill_success)", limits=Limits(red=1, below=True), yes_or_no=True, alerts=["DrillFailed"],
    ),
    number(
        "Ended", "How long ago the last restore drill ended; there is one each week.",
        "time() - max(presence360_drill_timestamp_seconds)", unit=SECONDS,
        limits=Limits(yellow=limits.DRILL_OLD_SECONDS), alerts=["DrillOld"],
    ),
    number(
        "No drill yet", "Whether there was no restore drill yet.", "min(presence360_drill_never)",
        limits=Limits(yellow=1), yes_or_no=True, alerts=["DrillMissing"],
    ),
    number(
        "A restore takes", "How long the restore of a database took in the last drill.",
        "max(presence360_drill_rto_seconds)", unit=SECONDS,
    ),
    number(
        "Would be lost", "How old the backup was that the last drill restored.", "max(presence360_drill_rpo_seconds)",
        unit=SECONDS,
    ),
    number(
        "Longest without a drill", "How long ago the database was looked through that waits longest.",
        "max(presence360_drill_oldest_seconds)", unit=SECONDS,
    ),
]  # fmt: skip
