"""The clusters: connections of Postgres, droplets' pools, Valkey."""

from typing import Final

from cloud_init.dashboards.churches import CHURCH_COLUMN, with_church
from cloud_init.dashboards.parts import (
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
from cloud_init.dashboards.variables import chosen
from model.alerts import limits
from model.alerts.data import CONNECTIONS_SHARE, VALKEY_MEMORY_SHARE
from model.dashboards import DashboardsPlan

_CLUSTER: Final = 'cluster=~"$cluster"'
_CONNECTIONS: Final = "presence360_postgres_connections"


# Behind a church's prefix (docs/services-data.md, "Queues").
_QUEUES: Final = 'label_replace(topk(10, redis_key_size), "queue", "$1", "key", ".*:(.+)")'


def content(_plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    return Content(
        [Section("Postgres", _POSTGRES), Section("Pools on droplets", _POOLS), Section("Valkey", _VALKEY)],
        [chosen("cluster", "Cluster", f"label_values({_CONNECTIONS}_limit, cluster)", several=True)],
    )


def _counted(by: str, matcher: str) -> str:
    """Every control droplet counts all connections, so of several counts the largest."""
    return f"max by (cluster, {by}) (sum by (cluster, instance, {by}) ({_CONNECTIONS}{{{matcher}}}))"


_POSTGRES: Final = [
    lines(
        "Connections in use", "The share of each cluster's connections. When they are used up, queries are refused.",
        Query(f"({CONNECTIONS_SHARE}) and on (cluster) {_CONNECTIONS}_limit{{{_CLUSTER}}}", "{{cluster}}"),
        unit=SHARE, highest=1, limits=Limits(limits.CONNECTIONS_NEAR, limits.CONNECTIONS_USED_UP),
        alerts=["ConnectionsNearLimit", "ConnectionsUsedUp"],
    ),
    lines(
        "Connections by state", "Many `idle in transaction` are a service that does not end them.",
        Query(_counted("state", _CLUSTER), "{{cluster}} {{state}}"), stacked=True,
    ),
    rows(
        "Whose connections", "The 10 roles with the most connections.",
        with_church(f"topk(10, {_counted('role', _CLUSTER)})", "role"),
        CHURCH_COLUMN, Column("role", "Role"), Column("Value", "Connections"), width=8,
    ),
]  # fmt: skip

_POOLS: Final = [
    lines(
        "Connections held", "The share of what a droplet's PgBouncer may hold, of the 10 droplets with the most.",
        Query(
            "topk(10, presence360_pool_server_connections / presence360_pool_server_connections_ceiling)",
            "{{instance}}",
        ),
        unit=SHARE, highest=1,
    ),
    lines(
        "Wait for a connection", "How long the first client has waited, of the 10 droplets where it is longest.",
        Query("topk(10, presence360_pool_waiting_seconds)", "{{instance}}"), unit=SECONDS,
        limits=Limits(red=limits.POOL_WAITS_SECONDS), alerts=["PoolWaits", "TenantWaits"],
    ),
    lines(
        "Transactions", "Transactions a second through PgBouncer.",
        Query(f"sum by (group) (rate(presence360_pool_transactions_total[{RATE}]))", "{{group}}"), unit="ops",
    ),
    number(
        "Pools that answer", "PgBouncers that answer; the others' services reach no church's database.",
        "sum(presence360_pool_up) / count(presence360_pool_up)", unit=SHARE, limits=Limits(red=1, below=True),
        alerts=["PoolDown", "PoolNotConfigured", "PoolNotRun"],
    ),
    number(
        "Clients that wait", "On all droplets, now.", "sum(presence360_pool_waiting_clients)", limits=Limits(yellow=1),
        alerts=["PoolWaits"],
    ),
    rows(
        "Churches that wait", "The 10 churches whose services wait longest for a connection.",
        "topk(10, max by (tenant) (presence360_pool_tenant_waiting_seconds))",
        Column("tenant", "Church", link=CHURCH_COLUMN.link),
        Column("Value", "Waits", unit=SECONDS, limits=Limits(yellow=limits.TENANT_WAITS_SECONDS)),
        empty="nobody waits", width=16, height=4, alerts=["TenantWaits"],
    ),
]  # fmt: skip

_VALKEY: Final = [
    lines(
        "Memory in use", "The share of Valkey's memory. When it is full, new jobs are refused: nothing is evicted.",
        Query(VALKEY_MEMORY_SHARE, "memory"), unit=SHARE, highest=1,
        limits=Limits(limits.VALKEY_MEMORY_NEAR, limits.VALKEY_MEMORY_USED_UP),
        alerts=["ValkeyMemoryNearlyUsedUp", "ValkeyMemoryUsedUp", "ValkeyDown"],
    ),
    lines(
        "Jobs that wait", "Jobs of all churches.", Query("sum(redis_key_size)", "jobs"),
        limits=Limits(red=limits.QUEUES_LONG), alerts=["QueuesLong", "JobsStand"],
    ),
    rows(
        "Longest queues", "The 10 queues with the most jobs.",
        with_church(_QUEUES, "key"),
        CHURCH_COLUMN, Column("queue", "Queue"), Column("Value", "Jobs"), width=8, empty="all are empty",
    ),
    lines(
        "Commands", "Commands a second.",
        Query(f"rate(redis_commands_processed_total[{RATE}])", "commands"), unit="ops",
    ),
    lines(
        "Clients", "Connections of services.", Query("redis_connected_clients", "connected"),
        Query("redis_blocked_clients", "wait for a job"),
    ),
    lines(
        "Keys", "Keys with an end go by themselves; the others are queues, or a mistake.",
        Query("sum(redis_db_keys)", "all"), Query("sum(redis_db_keys_expiring)", "with an end"),
    ),
]  # fmt: skip
