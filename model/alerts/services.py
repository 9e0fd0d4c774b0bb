"""Alerts on services: errors, latency, queues, jobs, and the providers that they call."""

from model.alerts import limits
from model.alerts.alert import Alert, Severity

_CRITICAL, _WARNING = Severity.CRITICAL, Severity.WARNING
_DROPLET = "{{ $labels.instance }}"
_SERVICE = "{{ $labels.service }}"

_REQUESTS = "presence360_http_requests_total"
# What nginx answered itself, such as the page of a paused church, is no service's fault.
_FAILED = 'status_class="5xx",service!="nginx"'

# A long window and a short one, as in the table that limits.py names; the short one ends the alert soon after errors.
_BURN = (
    (
        "ErrorsBurnFast",
        "1h",
        "5m",
        limits.BURN_FAST,
        _CRITICAL,
        "would use up a month's allowance of errors in 2 days",
    ),
    (
        "ErrorsBurn",
        "6h",
        "30m",
        limits.BURN,
        _CRITICAL,
        "would use up a month's allowance of errors in 5 days",
    ),
    (
        "ErrorsBurnSlowly",
        "1d",
        "2h",
        limits.BURN_SLOWLY,
        _WARNING,
        "would use up a month's allowance of errors in 10 days",
    ),
)
LEAST_ERRORS = 10
"""In the long window: two errors of a quiet night wake nobody."""


def error_share(window: str) -> str:
    """Return by service the share of requests that it answers with 5xx."""
    failed = f"sum by (service) (rate({_REQUESTS}{{{_FAILED}}}[{window}]))"
    return f"{failed} / sum by (service) (rate({_REQUESTS}[{window}]))"


def _burning(name: str, long: str, short: str, factor: float, severity: Severity, words: str) -> Alert:
    limit = limits.burn_limit(factor)
    errors = f"sum by (service) (increase({_REQUESTS}{{{_FAILED}}}[{long}]))"
    return Alert(
        name,
        f"({error_share(long)} > {limit}) and ({error_share(short)} > {limit}) and {errors} > {LEAST_ERRORS}",
        "2m",
        severity,
        f"{_SERVICE} answers so many requests with 5xx that it {words}.",
        "`presence360 status <environment>`: was something released? If so, put the version before back. "
        "Otherwise see "
        "which alerts on its databases, Valkey or providers came with this one.",
    )


REQUESTS: tuple[Alert, ...] = (
    Alert(
        "ServiceDown",
        "presence360_service_up == 0 and on (instance) presence360_draining == 0",
        "5m",
        _CRITICAL,
        f"{_SERVICE} on {_DROPLET} does not answer 200 on its health path.",
        "Log in to the droplet; `docker ps` and `docker logs <container>` show what it says.",
        frozenset({"service:port", "health"}),
    ),
    # converge restarts what is unhealthy, and for a minute after that it counts as starting: a service that no restart
    # cures looks well from time to time, so it is the share of the time that tells.
    Alert(
        "ServiceUnhealthy",
        'avg_over_time(presence360_service_healthy{service!="worker"}[30m]) < 0.75',
        "1m",
        _CRITICAL,
        f"{_SERVICE} on {_DROPLET} fails its health check again and again, or does not run; restarts do not help.",
        "Log in to the droplet; `docker inspect <container>` has the last answers of the check, `docker logs` "
        "the rest.",
        frozenset({"service:port", "converge"}),
    ),
    Alert(
        "WorkerHangs",
        'avg_over_time(presence360_service_healthy{service="worker"}[15m]) < 0.8',
        "0m",
        _CRITICAL,
        f"The worker on {_DROPLET} hangs again and again, or does not run: it has touched no heartbeat in 3 of the "
        "last 15 minutes.",
        "converge restarts it, and that does not help. `docker logs` names the last task; take that task's release "
        "back. Without a task there: does it reach Valkey?",
        frozenset({"service:worker", "converge"}),
    ),
    *(_burning(*row) for row in _BURN),
    Alert(
        "RequestsSlow",
        "histogram_quantile(0.95, sum by (service, le) (rate(presence360_http_request_duration_seconds_bucket[10m])))"
        f" > {limits.SLOW_SECONDS}"
        " and sum by (service) (rate(presence360_http_request_duration_seconds_count[10m])) > 0.1",
        "15m",
        _WARNING,
        f"One request in 20 to {_SERVICE} takes longer than {limits.SLOW_SECONDS} s.",
        "Are connections or processors used up? Look for ConnectionsNearLimit, TenantWaits and DigitalOcean's "
        "alerts on CPU.",
    ),
)

JOBS: tuple[Alert, ...] = (
    Alert(
        "QueueLag",
        "histogram_quantile(0.9, sum by (le) (rate(presence360_job_wait_seconds_bucket[10m]))) > "
        f"{limits.QUEUE_LAG_SECONDS}",
        "10m",
        _CRITICAL,
        "One job in 10 waits longer than 5 minutes before a worker takes it.",
        "Do workers run (WorkerHangs)? If they do, and one church has sent much, it passes; more `replicas` of the "
        "worker's group help.",
        frozenset({"service:worker"}),
    ),
    Alert(
        "JobsStand",
        "sum(redis_key_size) > 0 unless on () sum(rate(presence360_jobs_total[10m])) > 0",
        "15m",
        _CRITICAL,
        "Jobs wait in Valkey, and no worker has finished one for 10 minutes.",
        "`presence360 status <environment>` for the worker's group; then `docker logs` of a worker: can it reach "
        "Valkey?",
        frozenset({"service:worker"}),
    ),
    Alert(
        "QueuesLong",
        f"sum(redis_key_size) > {limits.QUEUES_LONG}",
        "15m",
        _WARNING,
        "More than 50,000 jobs wait in Valkey.",
        "See whose they are: `redis_key_size` by `key`. Valkey evicts nothing, so what waits takes every "
        "church's memory.",
    ),
    Alert(
        "JobsFail",
        'sum by (task) (rate(presence360_jobs_total{outcome="failure"}[30m])) / '
        f"sum by (task) (rate(presence360_jobs_total[30m])) > {limits.JOBS_FAIL} and "
        'sum by (task) (increase(presence360_jobs_total{outcome="failure"}[30m])) > 10',
        "5m",
        _WARNING,
        "More than 10 percent of the jobs {{ $labels.task }} fail.",
        "`docker logs` of a worker has the exception. Was the worker released? Then put the version before back.",
        frozenset({"service:worker"}),
    ),
)

SCHEDULED: tuple[Alert, ...] = (
    Alert(
        "ScheduledJobFails",
        "max by (name) (presence360_scheduled_job_success == bool 0) == 1",
        "5m",
        _WARNING,
        "The last run of the job {{ $labels.name }} failed.",
        "`presence360 status <environment>`; `journalctl -u presence360-jobs -n 50` on the droplet that ran it.",
        frozenset({"jobs"}),
    ),
    Alert(
        "JobsNotLookedAt",
        f"time() - presence360_jobs_timestamp_seconds > {limits.STALE_SECONDS}",
        "0m",
        _WARNING,
        f"Scheduled jobs have not been looked at on {_DROPLET} for 15 minutes.",
        "Log in to the droplet: `systemctl status presence360-jobs.timer presence360-jobs`.",
        frozenset({"jobs"}),
    ),
    Alert(
        "MaintenanceLong",
        "max(presence360_maintenance) == 1",
        "4h",
        _WARNING,
        "The environment has been in maintenance for 4 hours: no church is served, and alerts on names are silent.",
        "If the work is done, remove `maintenance:` from environment.yaml and apply.",
        frozenset({"jobs"}),
    ),
)


def _provider(name: str, metric: str, what: str, first: str) -> tuple[Alert, ...]:
    bad = f'sum(rate({metric}{{outcome!="success"}}[10m])) / sum(rate({metric}[10m]))'
    enough = f'sum(increase({metric}{{outcome!="success"}}[10m])) > 5'
    return (
        Alert(
            f"{name}Errors", f"{bad} > {limits.PROVIDER_ERRORS} and {enough}", "10m", _WARNING,
            f"More than 10 percent of the requests to {what} fail.", first,
        ),
        Alert(
            f"{name}Fails", f"{bad} > {limits.PROVIDER_FAILS} and {enough}", "5m", _CRITICAL,
            f"More than half of the requests to {what} fail.", first,
        ),
    )  # fmt: skip


PROVIDERS: tuple[Alert, ...] = (
    *_provider(
        "Rekognition",
        "presence360_rekognition_requests_total",
        "Rekognition",
        "Look at AWS's status page, and at the label `outcome`: throttled means that the account's limit is reached, "
        "error often a key that no longer works.",
    ),
    *_provider(
        "Mnotify",
        "presence360_mnotify_requests_total",
        "mNotify",
        "Look at the balance and the key of the account at mNotify; rejected means that it answered and sent "
        "nothing.",
    ),
)
