"""How full the pools are, as metrics in Prometheus's text format: `presence360_pool_*`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from droplet.names import tenant_of

Row = Mapping[str, str]
"""Of an answer of the admin console, by column."""

_FAMILIES: Sequence[tuple[str, str, str]] = (
    ("up", "gauge", "Whether PgBouncer answers."),
    ("configured", "gauge", "Whether the credentials were fetched and PgBouncer knows all of them."),
    ("timestamp_seconds", "gauge", "When presence360-pool last ended, in seconds since 1970."),
    ("databases", "gauge", "Tenants' databases that PgBouncer serves."),
    ("server_connections", "gauge", "Connections that it holds to Postgres."),
    ("server_connections_ceiling", "gauge", "How many it may hold, if every pool is full."),
    ("client_connections", "gauge", "Connections that services hold to it."),
    ("client_connections_ceiling", "gauge", "How many they may hold."),
    ("waiting_clients", "gauge", "Clients that wait for a connection to Postgres."),
    ("waiting_seconds", "gauge", "How long the first of them has waited."),
    ("transactions_total", "counter", "Transactions since PgBouncer started."),
    ("wait_seconds_total", "counter", "Seconds that clients waited for a connection, all together."),
)

_WAITING = "tenant_waiting_seconds"
"""A series for a tenant only while its clients wait: most never do, and there are 250 on a droplet."""

_SERVERS = (
    "sv_active",
    "sv_active_cancel",
    "sv_being_canceled",
    "sv_idle",
    "sv_used",
    "sv_tested",
    "sv_login",
)
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Shown:
    """What the admin console says.

    Attributes:
        pools: SHOW POOLS.
        databases: SHOW DATABASES.
        stats: SHOW STATS.
    """

    pools: Sequence[Row]
    databases: Sequence[Row]
    stats: Sequence[Row]


def metrics(shown: Shown | None, *, configured: bool, now: float) -> str:
    """Write the metrics; ``shown`` is None while PgBouncer does not answer, ``now`` is in seconds since 1970."""
    values: dict[str, float] = {
        "up": int(shown is not None),
        "configured": int(configured),
        "timestamp_seconds": int(now),
    }
    waiting: dict[str, float] = {}
    if shown:
        pools = _tenants(shown.pools, "database")
        databases = _tenants(shown.databases, "name")
        stats = _tenants(shown.stats, "database")
        waiting = _waiting(pools)
        values |= {
            "databases": len(databases),
            "server_connections": _sum(pools, *_SERVERS),
            "server_connections_ceiling": _sum(databases, "max_connections"),
            "client_connections": _sum(databases, "current_client_connections"),
            "client_connections_ceiling": _sum(databases, "max_client_connections"),
            "waiting_clients": _sum(pools, "cl_waiting"),
            "waiting_seconds": max(waiting.values(), default=0),
            "transactions_total": _sum(stats, "total_xact_count"),
            "wait_seconds_total": _sum(stats, "total_wait_time") / _MICROSECONDS,
        }
    lines: list[str] = []
    for name, kind, text in _FAMILIES:
        if name in values:
            lines += [*_heading(name, kind, text), f"presence360_pool_{name} {values[name]:.15g}"]
    if waiting:
        lines += _heading(_WAITING, "gauge", "How long a client of a tenant has waited, while one waits.")
        for tenant, seconds in sorted(waiting.items()):
            lines.append(f'presence360_pool_{_WAITING}{{tenant="{tenant}"}} {seconds:g}')
    return "\n".join(lines) + "\n"


def _heading(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP presence360_pool_{name} {text}", f"# TYPE presence360_pool_{name} {kind}"]


def _tenants(rows: Iterable[Row], column: str) -> list[Row]:
    """Leave out the admin console, which is a database of its own."""
    return [row for row in rows if row[column].startswith("tenant_")]


def _sum(rows: Iterable[Row], *columns: str) -> float:
    return sum(float(row[column] or 0) for row in rows for column in columns)


def _waiting(pools: Iterable[Row]) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in pools:
        if int(row["cl_waiting"]):
            tenant = tenant_of(row["database"])
            seconds = int(row["maxwait"]) + int(row["maxwait_us"]) / _MICROSECONDS
            found[tenant] = max(found.get(tenant, 0), round(seconds, 3))
    return found
