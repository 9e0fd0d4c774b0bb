"""What a Celery worker measures of its jobs: how many, how long they waited and took. Copy this file."""

import time
from datetime import datetime
from typing import Any

from celery import signals
from opentelemetry import metrics
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from .telemetry import set_up, shut_down

_meter = metrics.get_meter("presence360")
_jobs = _meter.create_counter("presence360.jobs", unit="{job}")
# In seconds: the SDK's own bounds are for milliseconds.
_duration = _meter.create_histogram(
    "presence360.job.duration",
    unit="s",
    explicit_bucket_boundaries_advisory=[0.1, 0.5, 1, 5, 15, 60, 300, 900],
)
_wait = _meter.create_histogram(
    "presence360.job.wait",
    unit="s",
    explicit_bucket_boundaries_advisory=[0.1, 1, 5, 15, 60, 300, 900, 3600],
)
_OUTCOMES = {"SUCCESS": "success", "FAILURE": "failure", "RETRY": "retry"}
_SENT = "presence360_sent"


@signals.worker_process_init.connect
def _begin(**_: Any) -> None:
    """In each process of the pool: exporters have threads, which do not survive a fork."""
    set_up()


@signals.worker_process_shutdown.connect
def _end(**_: Any) -> None:
    shut_down()


@signals.before_task_publish.connect
def _send(headers: dict[str, Any], **_: Any) -> None:
    headers[_SENT] = time.time()


@signals.task_prerun.connect
def _start(task: Any, **_: Any) -> None:
    request = task.request
    due = max(float(getattr(request, _SENT, None) or 0), _seconds(request.eta))
    if due:
        _wait.record(max(0.0, time.time() - due), {"queue_class": queue_class(request.delivery_info)})
    request.presence360_began = time.monotonic()


@signals.task_postrun.connect
def _finish(task: Any, state: str | None, **_: Any) -> None:
    _jobs.add(1, {"task": task.name, "outcome": _OUTCOMES.get(state or "", "failure")})
    _duration.record(time.monotonic() - task.request.presence360_began, {"task": task.name})


def queue_class(delivery: dict[str, Any] | None) -> str:
    """Return what kind of queue it is: each church has its own, `<prefix>:<class>`, and 1,000 names are too many."""
    return str((delivery or {}).get("routing_key") or "celery").rpartition(":")[2]


def _seconds(eta: str | None) -> float:
    """Return when a job was to begin, in seconds since 1970; 0 for at once."""
    return datetime.fromisoformat(eta).timestamp() if eta else 0.0


def measure() -> None:
    """Begin, in the worker and in each service that gives it jobs.

    The trace of a request goes on in its jobs, as a header of the message (W3C Trace Context).
    """
    CeleryInstrumentor().instrument()
