"""A worker: its jobs are measured, and so are the requests that they make."""

import os
import sys

from celery import Celery
from church import jobs, telemetry
from church.outbound import asking
from kombu import Exchange, Queue

jobs.measure()
app = Celery("church", broker=os.environ["BROKER"])
app.conf.update(
    # In the tests the broker is a folder. A service has VALKEY_URL, and the options that docs/services.md gives.
    broker_transport_options={
        f"{kind}_folder{way}": os.environ["QUEUES"]
        for kind, way in (("data", "_in"), ("data", "_out"), ("control", ""))
    },
    # Each church's queues begin with its prefix.
    task_queues=[Queue("tenant-1:notifications", Exchange("church"), routing_key="tenant-1:notifications")],
    task_default_queue="tenant-1:notifications",
    task_default_exchange="church",
    task_default_routing_key="tenant-1:notifications",
    worker_hijack_root_logger=False,
)


class RejectedError(Exception):
    """mNotify takes no such message."""


def outcome_of(error: Exception) -> str:
    """Name what went wrong with mNotify."""
    return "rejected" if isinstance(error, RejectedError) else "error"


@app.task
def send(text: str) -> None:
    """Send a message."""
    sys.stderr.write(f"job {text} trace {telemetry.trace_id()}\n")
    with asking("mnotify", outcome_of):
        if text == "refused":
            raise RejectedError(text)
        if text == "broken":
            raise TimeoutError
    with asking("rekognition", lambda _: "error", operation="SearchFacesByImage"):
        pass
