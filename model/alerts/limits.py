"""The numbers at which alerts fire. Dashboards draw the same ones (cloud_init/dashboards), so that both say the same.

Shares are from 0 to 1, times in seconds.
"""

from typing import Final

CONNECTIONS_NEAR: Final = 0.8
CONNECTIONS_USED_UP: Final = 0.95
POOL_WAITS_SECONDS: Final = 10
TENANT_WAITS_SECONDS: Final = 5

VALKEY_MEMORY_NEAR: Final = 0.8
VALKEY_MEMORY_USED_UP: Final = 0.95
QUEUES_LONG: Final = 50_000
"""Jobs that wait, of all churches."""
QUEUE_LAG_SECONDS: Final = 300
JOBS_FAIL: Final = 0.1
PROVIDER_ERRORS: Final = 0.1
PROVIDER_FAILS: Final = 0.5

OBJECTIVE: Final = 0.995
"""The share of requests that no service answers with 5xx, over 30 days: the budget is 1 - 0.995."""
# Google, "The Site Reliability Workbook", chapter 5, table 5-8: how many times faster than allowed the budget is used.
BURN_FAST: Final = 14.4
BURN: Final = 6
BURN_SLOWLY: Final = 3
SLOW_SECONDS: Final = 2.5

DISK_FREE_LITTLE: Final = 0.15
DISK_FREE_LEAST: Final = 0.05
INODES_FREE_LITTLE: Final = 0.1
MEMORY_FREE_LITTLE: Final = 0.1
CONTAINER_MEMORY_NEAR: Final = 0.9
CONTAINER_RESTARTS: Final = 3
"""Within an hour."""
STALE_SECONDS: Final = 900
"""A run of converge that changes a release may take several minutes (cloud_init/compose.py, Timing)."""

ISOLATION_STALE_SECONDS: Final = 600
"""The job runs each minute; a run on a large cluster may take several (presence360-isolation.service)."""
MIGRATIONS_STALE_SECONDS: Final = 1800
DUMP_OLD_SECONDS: Final = 30 * 3600
"""A night begins every 24 hours. 250 small databases took 3 to 5 minutes, two at a time (docs/proof.md); at the default
`rate_mib`, two dumps of 32 MiB/s each, six hours are over a terabyte of dumps."""
DUMPS_STALE_SECONDS: Final = 6 * 3600
DRILL_OLD_SECONDS: Final = 9 * 86_400
"""A week, and a day for one that failed and was done again."""
DUMP_TRIES: Final = 2
"""What fails more often is told."""
METRICS_BACKUP_OLD_SECONDS: Final = 6 * 3600

CERTIFICATE_DAYS_LITTLE: Final = 21
CERTIFICATE_DAYS_LEAST: Final = 3
SERIES_NEAR: Final = 0.8


def burn_limit(factor: float) -> float:
    """Return the share of errors at which a month's budget is used so many times faster than allowed."""
    return round(factor * (1 - OBJECTIVE), 4)
