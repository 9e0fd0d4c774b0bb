"""One church. Requests are counted by its slug; everything about its data by its id, which never changes."""

from typing import Final

from cloud_init.dashboards.parts import (
    BYTES,
    PER_SECOND,
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
from cloud_init.dashboards.variables import listed
from model.alerts import limits
from model.dashboards import DATA, DashboardsPlan
from model.naming import tenant_database

# The variable's text is the slug, its value the id (Grafana documentation, "Variable syntax": text is a format).
_SLUG: Final = 'tenant="${church:text}"'
_ID: Final = "${church:raw}"
_ROLE: Final = tenant_database(_ID)
# A database that was filled anew from a backup has a number behind its name.
_AGAIN: Final = "(_r[0-9]+)?"
_DATABASE: Final = f"{_ROLE}{_AGAIN}"
_REQUESTS: Final = "presence360_tenant_requests_total"


def content(plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    return Content([_NOW, _SERVED, _STORED], [listed("church", "Church", sorted(plan.churches.items()))])


_NOW: Final = Section(
    "Now",
    [
        number(
            "Requests", "Requests a second to the church's own name.",
            f"sum(rate({_REQUESTS}{{{_SLUG}}}[{RATE}])) or vector(0)", unit=PER_SECOND,
        ),
        number(
            "Requests that fail", "The share that is answered with 5xx.",
            f'(sum(rate({_REQUESTS}{{{_SLUG},status_class="5xx"}}[{RATE}])) or vector(0))'
            f" / sum(rate({_REQUESTS}{{{_SLUG}}}[{RATE}]))",
            unit=SHARE, limits=Limits(limits.burn_limit(limits.BURN_SLOWLY), limits.burn_limit(limits.BURN_FAST)),
        ),
        number(
            "Waits for a connection", "How long its services wait for a connection to its database.",
            f'max(presence360_pool_tenant_waiting_seconds{{tenant=~"{_ID}{_AGAIN}"}}) or vector(0)', unit=SECONDS,
            limits=Limits(yellow=limits.TENANT_WAITS_SECONDS), alerts=["TenantWaits"],
        ),
        number(
            "Jobs that wait", "Its jobs in Valkey.",
            f'sum(redis_key_size{{key=~"tenant-{_ID}:.+"}}) or vector(0)',
        ),
        number(
            "Newest dump", "How old the newest good dump of its database is.",
            f'time() - max(presence360_dump_timestamp_seconds{{database=~"{_DATABASE}"}})', unit=SECONDS,
            limits=Limits(red=limits.DUMP_OLD_SECONDS), alerts=["DumpOld"],
        ),
        number(
            "Migration", "How often the migration of its database has been tried without success.",
            f'max(presence360_migrations_failing{{database=~"{_DATABASE}"}}) or vector(0)', limits=Limits(red=1),
            alerts=["MigrationsFail"],
        ),
    ],
)  # fmt: skip

_SERVED: Final = Section(
    "Requests",
    [
        lines(
            "Requests by status", "Requests a second by the class of what was answered: 4xx is the client's, 5xx ours.",
            Query(f"sum by (status_class) (rate({_REQUESTS}{{{_SLUG}}}[{RATE}]))", "{{status_class}}"),
            unit=PER_SECOND, stacked=True, width=12,
        ),
        lines(
            "Share of all churches", "How much of all churches' requests are this church's.",
            Query(f"sum(rate({_REQUESTS}{{{_SLUG}}}[{RATE}])) / sum(rate({_REQUESTS}[{RATE}]))", "${church:text}"),
            unit=SHARE, width=12,
        ),
    ],
)  # fmt: skip

_STORED: Final = Section(
    "Data",
    [
        lines(
            "Connections by state", "Its connections to Postgres by what they do; many `idle in transaction` are a "
            "service that does not end them.",
            Query(f'max by (cluster, state) (presence360_postgres_connections{{role="{_ROLE}"}})', "{{state}}"),
            stacked=True,
        ),
        lines(
            "Jobs that wait by queue", "Its jobs in Valkey.",
            Query(f'sum by (key) (redis_key_size{{key=~"tenant-{_ID}:.+"}})', "{{key}}"),
        ),
        rows(
            "Its database", "Where it is, and how large its newest dump.",
            f'max by (cluster, database) (presence360_dump_size_bytes{{database=~"{_DATABASE}"}})',
            Column("cluster", "Cluster", link=("Open the cluster", f"{DATA.path}?var-cluster=${{__value.raw}}")),
            Column("database", "Database"),
            Column("Value", "Dump", unit=BYTES), width=8, empty="no dump yet",
        ),
    ],
)  # fmt: skip
