"""Alerts on data: connections, pools, isolation, migrations, Valkey."""

from model.alerts import limits
from model.alerts.alert import Alert, Severity, is_old

_CRITICAL, _WARNING = Severity.CRITICAL, Severity.WARNING
_CLUSTER = "{{ $labels.cluster }}"
_DROPLET = "{{ $labels.instance }}"
_ON_CONTROL = "Log in to a droplet of the control group:"

# Every control droplet counts all connections, so of several counts the largest.
CONNECTIONS_SHARE = (
    "max by (cluster) (sum by (cluster, instance) (presence360_postgres_connections))"
    " / max by (cluster) (presence360_postgres_connections_limit)"
)
"""Of what a cluster takes, how much is in use."""

CONNECTIONS: tuple[Alert, ...] = (
    Alert(
        "ConnectionsNearLimit",
        f"{CONNECTIONS_SHARE} > {limits.CONNECTIONS_NEAR}",
        "5m",
        _WARNING,
        f"The cluster {_CLUSTER} has more than 80 percent of its connections in use.",
        "`presence360_postgres_connections` by `role` shows whose they are. docs/connections.md says what to change: "
        "`limits.connections`, `postgres.overcommit`, or the size.",
        frozenset({"digitalocean_database_cluster"}),
    ),
    Alert(
        "ConnectionsUsedUp",
        f"{CONNECTIONS_SHARE} > {limits.CONNECTIONS_USED_UP}",
        "1m",
        _CRITICAL,
        f"The cluster {_CLUSTER} has more than 95 percent of its connections in use: soon queries are refused.",
        "`presence360_postgres_connections` by `role` and `state`: many `idle in transaction` are a service that "
        "does "
        "not end them; restart it. Then choose a larger size.",
        frozenset({"digitalocean_database_cluster"}),
    ),
    Alert(
        "PoolDown",
        "presence360_pool_up == 0",
        "3m",
        _CRITICAL,
        f"PgBouncer on {_DROPLET} does not answer, so its services reach no church's database.",
        "Log in to the droplet: `systemctl status pgbouncer presence360-pool`.",
        frozenset({"pool"}),
    ),
    Alert(
        "PoolNotConfigured",
        "presence360_pool_configured == 0",
        "15m",
        _WARNING,
        f"PgBouncer on {_DROPLET} does not know all credentials: new and rotated ones do not work there.",
        "Log in to the droplet: `journalctl -u presence360-pool -n 50`.",
        frozenset({"pool", "digitalocean_database_user"}),
    ),
    Alert(
        "PoolNotRun",
        is_old("presence360_pool_timestamp_seconds", limits.ISOLATION_STALE_SECONDS),
        "0m",
        _WARNING,
        f"presence360-pool has not ended on {_DROPLET} for 10 minutes.",
        "Log in to the droplet: `systemctl status presence360-pool.timer presence360-pool`.",
        frozenset({"pool"}),
    ),
    Alert(
        "TenantWaits",
        f"max by (tenant) (presence360_pool_tenant_waiting_seconds) > {limits.TENANT_WAITS_SECONDS}",
        "3m",
        _WARNING,
        "The services of the church {{ $labels.tenant }} wait for connections: its pool is exhausted.",
        "Is a query of this church slow or stuck? If it is only busy, raise its `limits.connections`.",
        frozenset({"pool"}),
    ),
    Alert(
        "PoolWaits",
        f"presence360_pool_waiting_seconds > {limits.POOL_WAITS_SECONDS}",
        "3m",
        _CRITICAL,
        f"On {_DROPLET} services wait longer than 10 s for a connection to Postgres.",
        "If ConnectionsUsedUp came too, begin there. Otherwise one church's pool is exhausted: see TenantWaits.",
        frozenset({"pool"}),
    ),
)

ISOLATION: tuple[Alert, ...] = (
    Alert(
        "IsolationFails",
        "min by (cluster) (presence360_isolation_success) == 0",
        "5m",
        _CRITICAL,
        f"Churches of the cluster {_CLUSTER} are not known to be kept apart.",
        f"{_ON_CONTROL} `journalctl -u presence360-isolation -n 50` names the role, the database and what is wrong.",
        frozenset({"isolation", "digitalocean_database_db"}),
    ),
    Alert(
        "IsolationNotRun",
        is_old("presence360_isolation_timestamp_seconds", limits.ISOLATION_STALE_SECONDS, "cluster"),
        "0m",
        _CRITICAL,
        f"The isolation job has not looked at the cluster {_CLUSTER} for 10 minutes: new churches may stand open.",
        f"{_ON_CONTROL} `systemctl status presence360-isolation.timer presence360-isolation`.",
        frozenset({"isolation"}),
    ),
    Alert(
        "IsolationMissing",
        "absent(presence360_isolation_success)",
        "15m",
        _CRITICAL,
        "No droplet runs the isolation job.",
        f"{_ON_CONTROL} `systemctl status presence360-isolation.timer`; `presence360 status <environment>`.",
        frozenset({"isolation"}),
    ),
    Alert(
        "IsolationNotConfigured",
        "presence360_isolation_configuration_valid == 0",
        "10m",
        _CRITICAL,
        "The isolation job cannot read what the stack {{ $labels.configuration }} says of its clusters.",
        "Apply that stack again. The journal of presence360-isolation says what is wrong with the object.",
        frozenset({"isolation", "digitalocean_spaces_bucket_object"}),
    ),
)

MIGRATIONS: tuple[Alert, ...] = (
    Alert(
        "MigrationsFail",
        "max by (database) (presence360_migrations_failing) > 0",
        "10m",
        _CRITICAL,
        "The schema of the database {{ $labels.database }} could not be brought to the release.",
        "`presence360 migrations <environment>` has the reason. Its church goes on with the code of before where the "
        "release is held; release a version whose migration works.",
        frozenset({"migrate", "digitalocean_database_db"}),
    ),
    Alert(
        "MigrationsDue",
        "min by (group) (presence360_migrations_success) == 0",
        "30m",
        _WARNING,
        "Databases have waited for half an hour for the schema of the release.",
        "`presence360 migrations <environment>` shows how far it is, and what it waits for.",
        frozenset({"migrate"}),
    ),
    Alert(
        "MigrationsNotRun",
        is_old("presence360_migrations_timestamp_seconds", limits.MIGRATIONS_STALE_SECONDS, "group"),
        "0m",
        _WARNING,
        "Migrations have not been looked at for half an hour: a new church gets no schema.",
        f"{_ON_CONTROL} `systemctl --failed`, and the journal of the unit that it names.",
        frozenset({"migrate"}),
    ),
)

BACKUPS: tuple[Alert, ...] = (
    Alert(
        "DumpFails",
        f"max by (cluster, database) (presence360_dump_failing) > {limits.DUMP_TRIES}",
        "0m",
        _WARNING,
        f"The database {{{{ $labels.database }}}} in the cluster {_CLUSTER} could not be dumped three times.",
        "`presence360 backups show <environment>` has the reason. The dumps of the nights before are there.",
        frozenset({"backup", "digitalocean_database_db"}),
    ),
    Alert(
        "DumpOld",
        is_old("presence360_dump_timestamp_seconds", limits.DUMP_OLD_SECONDS, "cluster", "database"),
        "0m",
        _CRITICAL,
        f"The last good dump of the database {{{{ $labels.database }}}} in the cluster {_CLUSTER} is older than 30 "
        "hours: what was written since would be lost with the cluster.",
        f"`presence360 backups show <environment>`. {_ON_CONTROL} `journalctl -u presence360-backup -n 50`.",
        frozenset({"backup", "digitalocean_database_db"}),
    ),
    Alert(
        "DumpMissing",
        "min by (group) (presence360_dump_never) > 0",
        "3h",
        _WARNING,
        "A database has never been dumped, for three hours.",
        f"`presence360 backups show <environment>` names it. {_ON_CONTROL} `journalctl -u presence360-backup -n 50`: "
        "before the isolation job has visited a database, it is not dumped.",
        frozenset({"backup"}),
    ),
    Alert(
        "DumpsNotRun",
        is_old("presence360_dump_run_timestamp_seconds", limits.DUMPS_STALE_SECONDS, "group"),
        "0m",
        _WARNING,
        "No run of the dumps has ended for six hours.",
        f"{_ON_CONTROL} `systemctl status presence360-backup`, and the journal of the unit.",
        frozenset({"backup"}),
    ),
)

_DRILL = (
    "`presence360 drill <environment> --show` has what was wrong, and docs/drill.md what each check means."
)

DRILLS: tuple[Alert, ...] = (
    Alert(
        "DrillFailed",
        "max by (group) (presence360_drill_success) == 0",
        "0m",
        _CRITICAL,
        "The last restore drill found something wrong: a church may not come back from its backup or its dump.",
        _DRILL,
        frozenset({"drill"}),
    ),
    Alert(
        "DrillOld",
        is_old("presence360_drill_timestamp_seconds", limits.DRILL_OLD_SECONDS, "group"),
        "0m",
        _WARNING,
        "No restore drill has ended for nine days: nobody knows whether backups and dumps can be restored.",
        "The workflow `Restore drill` on GitHub says why; `presence360 drill <environment>` does one now.",
        frozenset({"drill"}),
    ),
    Alert(
        "DrillMissing",
        "min by (group) (presence360_drill_never) == 1",
        "24h",
        _WARNING,
        "There was no restore drill yet.",
        "`presence360 drill <environment>` (docs/drill.md).",
        frozenset({"drill"}),
    ),
)
VALKEY_MEMORY_SHARE = "redis_memory_used_bytes / (redis_memory_max_bytes > 0)"

VALKEY: tuple[Alert, ...] = (
    Alert(
        "ValkeyDown",
        'redis_up == 0 or up{job="valkey"} == 0',
        "3m",
        _CRITICAL,
        "Valkey does not answer: queues and rate limits stand still.",
        "Look at the cluster in DigitalOcean's control panel: a maintenance window, or a node that is replaced?",
        frozenset({"digitalocean_database_cluster"}),
    ),
    Alert(
        "ValkeyMemoryNearlyUsedUp",
        f"{VALKEY_MEMORY_SHARE} > {limits.VALKEY_MEMORY_NEAR}",
        "10m",
        _WARNING,
        "Valkey uses more than 80 percent of its memory. When it is full, new jobs are refused.",
        "Are queues long (QueuesLong)? If not, look for keys without an end: `redis_db_keys` and "
        "`redis_db_keys_expiring`.",
        frozenset({"digitalocean_database_cluster"}),
    ),
    Alert(
        "ValkeyMemoryUsedUp",
        f"{VALKEY_MEMORY_SHARE} > {limits.VALKEY_MEMORY_USED_UP}",
        "2m",
        _CRITICAL,
        "Valkey uses more than 95 percent of its memory: it is about to refuse new jobs.",
        "Raise `valkey.size` and apply, and see what fills it: queues (QueuesLong) or keys without an end.",
        frozenset({"digitalocean_database_cluster"}),
    ),
)
