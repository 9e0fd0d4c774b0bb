"""What runs where, what waits or failed, and how far the databases' schemas are."""

from typing import Final

from cloud_init.dashboards import requests
from cloud_init.dashboards.churches import CHURCH_COLUMN, with_church
from cloud_init.dashboards.parts import (
    HALF,
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
from model.dashboards import DROPLETS, DashboardsPlan

_GROUP: Final = 'group=~"$group"'
_PHASE: Final = "presence360_converge_phase"
_CONVERGED: Final = f"presence360_converge_timestamp_seconds{{{_GROUP}}}"
_DROPLET: Final = Column(
    "instance", "Droplet", link=("Open the droplet", f"{DROPLETS.path}?var-droplet=${{__value.raw}}")
)


def content(_plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    return Content(
        [Section("Now", _NOW), Section("Releases", _RELEASES), Section("Migrations", _MIGRATIONS)],
        [chosen("group", "Group", 'label_values(up{job="droplet"}, group)', several=True)],
    )


def _in(phase: str) -> str:
    return f'count({_PHASE}{{{_GROUP},phase="{phase}"}}) or vector(0)'


_NOW: Final = [
    number(
        "Last run of converge", "How long ago it ended on the droplet where it is longest.",
        f"max({longest_ago(_CONVERGED)})", unit=SECONDS, limits=Limits(red=limits.STALE_SECONDS),
        alerts=["ConvergeNotRun"],
    ),
    number(
        "Waiting", "Droplets that wait: for their turn, for migrations, for the registry, or for an apply to end.",
        _in("waiting"), limits=Limits(yellow=1), alerts=["ReleaseWaits"],
    ),
    number(
        "Failed", "Droplets on which a release failed; they run the one before.", _in("failed"), limits=Limits(red=1),
        alerts=["ReleaseFailed"],
    ),
    number(
        "Held", "Droplets that do not try a release because it failed on another one of their group.", _in("held"),
        limits=Limits(yellow=1), alerts=["ReleaseHeld"],
    ),
    number(
        "Cannot fetch", "Droplets that cannot fetch their bucket, or refuse the programs in it.",
        f"count(presence360_fetch_success{{{_GROUP}}}) - sum(presence360_fetch_success{{{_GROUP}}})",
        limits=Limits(yellow=1), alerts=["FetchFails"],
    ),
    number(
        "Migrations are done",
        "Whether enough databases have the schema of the release; otherwise droplets wait for it.",
        "min(presence360_migrations_success)", limits=Limits(yellow=1, below=True), yes_or_no=True,
        alerts=["MigrationsDue"],
    ),
]  # fmt: skip

_RELEASES: Final = [
    rows(
        "Releases", "How many droplets run which release. Two in one group are a release that is under way, or held.",
        f"count by (group, digest) (presence360_release_info{{{_GROUP}}})",
        Column("group", "Group"), Column("digest", "Release"), Column("Value", "Droplets"), width=8,
    ),
    rows(
        "Images", "How many droplets run which image of a service.",
        f"count by (service, image) (presence360_service_image_info{{{_GROUP}}})",
        Column("service", "Service"), Column("image", "Image"), Column("Value", "Droplets"), width=HALF + 4,
    ),
    rows(
        "Droplets that do not serve", "What each is doing instead. `presence360 status` has the reasons.",
        f'{_PHASE}{{{_GROUP},phase!="serving"}}',
        Column("group", "Group"), _DROPLET, Column("phase", "State"), width=8, empty="all serve",
        alerts=["ReleaseFailed", "ReleaseHeld", "ReleaseWaits", "ConvergeFails"],
    ),
    lines(
        "Droplets by state", "A release goes from droplet to droplet: one at a time is away.",
        Query(f"count by (phase) ({_PHASE}{{{_GROUP}}})", "{{phase}}"), stacked=True,
    ),
    requests.unhealthy(_GROUP),
]  # fmt: skip

_MIGRATIONS: Final = [
    lines(
        "Databases by result", "How many databases are at which point of the migration.",
        Query("max by (databases, result) (presence360_migrations_databases)", "{{databases}} {{result}}"),
        stacked=True,
    ),
    rows(
        "Databases that fail", "The value is how often it was tried. `presence360 migrations` has the reasons.",
        with_church("topk(20, max by (database) (presence360_migrations_failing) > 0)", "database"),
        CHURCH_COLUMN, Column("database", "Database"), Column("Value", "Tries", limits=Limits(red=1)), width=8,
        empty="no database fails", alerts=["MigrationsFail"],
    ),
    lines(
        "How long a run takes", "A run that has nothing to do takes seconds.",
        Query("max by (group) (presence360_migrations_duration_seconds)", "run"),
        Query(longest_ago("max by (group) (presence360_migrations_timestamp_seconds)"), "ended, ago"), unit=SECONDS,
        limits=Limits(yellow=limits.MIGRATIONS_STALE_SECONDS), alerts=["MigrationsNotRun"],
    ),
]  # fmt: skip
