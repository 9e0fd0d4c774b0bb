"""The worker in maintenance: it takes nothing from the queues of those that are closed (docs/maintenance.md)."""

import json
from pathlib import Path
from typing import Any

from celery import bootsteps

TOLD = Path("/etc/presence360/maintenance.json")
EVERY_SECONDS = 5.0


class Maintenance(bootsteps.StartStopStep):
    """Takes nothing from the queues of those in maintenance, and begins again when it is over."""

    requires = {"celery.worker.consumer.tasks:Tasks"}  # noqa: RUF012  Celery reads it of the class

    def start(self, consumer: Any) -> None:
        """Look before the first task, and then in the worker's own loop: a consumer belongs to one thread."""
        self.look(consumer)
        look_soon = (consumer.call_soon, (self.look, consumer))
        self.timer = consumer.timer.call_repeatedly(EVERY_SECONDS, *look_soon)

    def stop(self, _consumer: Any) -> None:
        """Look no more; after a lost connection Celery starts it again."""
        self.timer.cancel()

    def look(self, consumer: Any) -> None:
        """Leave the queues of those that are closed, and take again those that are not."""
        try:
            told = json.loads(TOLD.read_text())
        except FileNotFoundError:  # on a laptop
            return
        prefixes = tuple(one["queue_prefix"] for one in told["tenants"])
        taken = {queue.name for queue in consumer.task_consumer.queues}
        for name in list(consumer.app.amqp.queues):
            closed = told["environment"] or name.startswith(prefixes)
            if closed and name in taken:
                consumer.cancel_task_queue(name)
            elif not closed and name not in taken:
                consumer.add_task_queue(name)
