"""Celery: how the worker and those who give it work are set up."""

import os
import ssl
from pathlib import Path
from typing import Any

from celery import Celery, signals
from opentelemetry import trace

from . import jobs, logs, maintenance

HEARTBEAT = Path("/tmp/heartbeat")  # noqa: S108  in the container
TASK_SECONDS = int(os.environ.get("TASK_SECONDS", "600"))
"""The longest that a task may take; a setting."""

# From Python 3.13 on a context is strict about the form of certificates, and that of DigitalOcean's own authority fails
# (its basic constraints are not critical). Authority and name are checked all the same. The address has most of this as
# well, but not the flag, and kombu prefers what the address has.
TLS = {
    "ssl_cert_reqs": ssl.CERT_REQUIRED,
    "ssl_check_hostname": True,
    "ssl_ca_certs": "/etc/presence360/ca.pem",
    "ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT],
}
valkey = os.environ["VALKEY_URL"].partition("?")[0]
celery = Celery("church", broker=valkey, backend=valkey)
celery.conf.update(
    broker_use_ssl=TLS,
    redis_backend_use_ssl=TLS,
    include=["church.tasks"],
    # A message is taken from its queue when its task has ended, so that a worker that dies loses none: tasks may run
    # twice and must be written for that.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # With one process each, others may take what this one has not begun.
    worker_prefetch_multiplier=1,
    # A process that hangs is killed and replaced. Nothing else would notice: the main process, which touches the
    # heartbeat, goes on. Below, with room to tidy up, an exception in the task.
    task_time_limit=TASK_SECONDS,
    task_soft_time_limit=TASK_SECONDS * 0.9,
    # A message that is not acknowledged within this time is delivered again, while its task may still run. Above the
    # longest task, the longest countdown or ETA, and a shutdown.
    broker_transport_options={
        "visibility_timeout": TASK_SECONDS + 300,
        # A Valkey that is gone without a word, as after a failover, is noticed.
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    },
    redis_socket_timeout=10,
    redis_socket_connect_timeout=5,
    redis_socket_keepalive=True,
    redis_backend_health_check_interval=25,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # A request that gives work fails within seconds while Valkey is away, and does not hold its thread.
    task_publish_retry_policy={
        "max_retries": 2,
        "interval_start": 0.2,
        "interval_step": 0.5,
        "interval_max": 1,
    },
    # After a lost connection a task cannot be acknowledged and will run again: it ends now, not beside its twin.
    worker_cancel_long_running_tasks_on_connection_loss=True,
    # On SIGTERM (REMAP_SIGTERM=SIGQUIT in the Dockerfile): so long for tasks to end, then the rest goes back to its
    # queue. Docker kills 10 s later, and what is killed comes back only after visibility_timeout.
    worker_soft_shutdown_timeout=float(os.environ["PRESENCE360_STOP_SECONDS"]),
    # Valkey evicts nothing: results that nobody asks for must not stay for Celery's default of a day.
    result_expires=3600,
    task_ignore_result=True,
    # A process that leaks is replaced; KiB. Two processes and the main one have 1024 MiB.
    worker_max_memory_per_child=300_000,
    worker_max_tasks_per_child=1000,
)


jobs.measure()
celery.steps["consumer"].add(maintenance.Maintenance)


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    """Take Celery's place: with a receiver here, it sets up no logging of its own."""
    logs.set_up()


@signals.heartbeat_sent.connect
def _beat(**_: Any) -> None:
    """Every 2 s, from the main process's loop, while it reaches Valkey."""
    HEARTBEAT.touch()


@signals.before_task_publish.connect
def _hand_on(headers: dict[str, Any], **_: Any) -> None:
    """Give the message the request and the tenant that it comes from."""
    headers["request_id"] = logs.request_id.get()
    headers["tenant"] = logs.tenant.get()


@signals.task_prerun.connect
def _take_over(task: Any, **_: Any) -> None:
    """Write the task's log lines and its span with them."""
    logs.request_id.set(getattr(task.request, "request_id", None) or "")
    logs.tenant.set(getattr(task.request, "tenant", None) or "")
    trace.get_current_span().set_attribute("presence360.tenant", logs.tenant.get())
