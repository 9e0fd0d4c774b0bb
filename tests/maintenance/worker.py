"""A Celery worker with the bootstep of lab/services, and tasks for two churches and for the platform.

Argument: the file that the bootstep reads. Prints which tasks were done when, as JSON.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.contrib.testing.worker import start_worker
from kombu import Queue

TOLD = Path(sys.argv[1])
QUEUES = ("tenant-a:work", "tenant-b:work", "platform")
LOOKS = 2.5
"""Seconds in which a worker with nothing to do comes round (celery/worker/loops.py, `drain_events`), and looks."""

app = Celery("maintenance", broker="memory://")
app.conf.update(task_queues=[Queue(name) for name in QUEUES], worker_prefetch_multiplier=1)
maintenance = importlib.import_module("church.maintenance")
maintenance.TOLD, maintenance.EVERY_SECONDS = TOLD, 0.2  # type: ignore[attr-defined]  # constants of the module
app.steps["consumer"].add(maintenance.Maintenance)

done: list[str] = []


@app.task  # type: ignore[untyped-decorator]  # Celery is not installed where types are checked
def work(queue: str) -> None:
    """Be done."""
    done.append(queue)


def tell(*prefixes: str, environment: bool = False) -> None:
    """Write who is in maintenance, as a droplet does."""
    tenants = [{"queue_prefix": prefix} for prefix in prefixes]
    draft = TOLD.with_name("draft")
    draft.write_text(json.dumps({"environment": environment, "tenants": tenants}))
    draft.replace(TOLD)
    time.sleep(LOOKS)


def send() -> None:
    """Add a task to each queue."""
    for name in QUEUES:
        work.apply_async((name,), queue=name)


def were_done() -> list[str]:
    """Wait, and return what was done meanwhile."""
    time.sleep(LOOKS)
    found = sorted(done)
    done.clear()
    return found


def main() -> dict[str, Any]:
    """Close and open."""
    found = {}
    tell(environment=True)
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        send()
        found["closed before the start"] = were_done()
        tell("tenant-a:")
        found["but for one"] = were_done()
        tell(environment=True)
        send()
        found["closed"] = were_done()
        tell()
        found["open"] = were_done()
    return found


sys.stdout.write(json.dumps(main()) + "\n")
