"""Celery with one queue for each church, taken in turns, so that no church waits for another's backlog.

    address = os.environ["VALKEY_URL"].partition("?")[0]
    app = Celery("worker", broker=address, backend=address)
    app.conf.update(SETTINGS)
    follow_churches(app, churches_of_the_bucket())          # in the worker alone

    work.apply_async(args, queue=queue_of(credentials["queue_prefix"]))
    app.send_task("reports.weekly", queue=queue_of(credentials["queue_prefix"]))

A church's `queue_prefix` is in its credentials object. Its queue is `<queue_prefix>tasks`, and every other key of it in
Valkey begins with the same prefix. Nobody takes from the queue of a church that is suspended or in maintenance.

kombu asks for all queues in one BRPOP, and puts the queue that it took a message from at the end of its list for the
next one (kombu 5.7, kombu/transport/redis.py, `_brpop_start`, and kombu/utils/scheduling.py, `round_robin_cycle`).
"""

import json
import logging
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from kombu import Exchange, Queue

log = logging.getLogger(__name__)

LONGEST_TASK_SECONDS = 600

MAINTENANCE = Path("/etc/presence360/maintenance.json")
"""Who is not served for a while (docs/maintenance.md)."""

# docs/services-data.md, "Celery".
_TLS = {
    "ssl_cert_reqs": ssl.CERT_REQUIRED,
    "ssl_check_hostname": True,
    "ssl_ca_certs": "/etc/presence360/ca.pem",
    "ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT],
}

SETTINGS: dict[str, Any] = {
    "broker_use_ssl": _TLS,
    "redis_backend_use_ssl": _TLS,
    # A process holds the one message that it works on. More would be kept from other processes, and from churches.
    "worker_prefetch_multiplier": 1,
    # A message leaves Valkey when its task is done: one that was under way on a droplet that is gone is done again, so
    # tasks are idempotent.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    # A task without `queue=` is the platform's own, such as the start of a schedule; never a church's.
    "task_default_queue": "platform",
    "task_time_limit": LONGEST_TASK_SECONDS,
    "task_soft_time_limit": LONGEST_TASK_SECONDS * 0.9,
    # Results are for a caller that waits, and they fill the memory that queues need.
    "result_expires": 3600,
    "task_ignore_result": True,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {
        "queue_order_strategy": "round_robin",
        # One list for each queue. The default makes four, so that BRPOP would name four times as many.
        "priority_steps": [0],
        # What nobody acknowledged is given out again: after the longest task, and before anybody complains.
        "visibility_timeout": LONGEST_TASK_SECONDS + 300,
    },
}


def queue_of(queue_prefix: str) -> str:
    """Return the name of a church's queue."""
    return f"{queue_prefix}tasks"


def follow_churches(app: Celery, churches: Callable[[], Mapping[str, str]], every: float = 30) -> None:
    """Let the worker of an app take from the queues of the churches that are served, and of no others.

    It leaves those in maintenance alone as well, and in maintenance of the environment every queue.

    Args:
        app: whose worker it is.
        churches: returns the prefix of each church's names by its id. It may take long and may fail: then the worker
            goes on with those that it knows.
        every: seconds from one question to the next.
    """
    app.steps["consumer"].add(_Follow)
    app.conf.church_queues = (churches, every)


class _Follow(bootsteps.StartStopStep):
    """Asks in a thread of its own, and changes the queues in the worker's, which reads from Valkey."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._ended = threading.Event()

    def start(self, consumer: Any) -> None:
        """Begin; again after each loss of the connection."""
        self._ended = ended = threading.Event()
        arguments = (consumer, ended, *consumer.app.conf.church_queues)
        threading.Thread(target=self._ask, args=arguments, daemon=True).start()

    def stop(self, consumer: Any) -> None:  # noqa: ARG002  (Celery's interface)
        """End."""
        self._ended.set()

    def _ask(
        self, consumer: Any, ended: threading.Event, churches: Callable[[], Mapping[str, str]], every: float
    ) -> None:
        while not ended.is_set():
            try:
                wanted = _wanted(set(churches().values()), consumer.app.conf.task_default_queue)
            except Exception:
                log.exception(
                    "the list of churches cannot be read; the worker goes on with those that it knows"
                )
            else:
                consumer.call_soon(_take_from, consumer, ended, wanted)
            ended.wait(every)


def _wanted(prefixes: set[str], own: str) -> set[str]:
    """Return the queues to take from: those of the churches that are not in maintenance, and the platform's own."""
    try:
        told = json.loads(MAINTENANCE.read_text(encoding="utf-8"))
    except FileNotFoundError:  # on a laptop
        told = {"environment": False, "tenants": []}
    if told["environment"]:
        return set()
    closed = {one["queue_prefix"] for one in told["tenants"]}
    return {own} | {queue_of(prefix) for prefix in prefixes - closed}


def _take_from(consumer: Any, ended: threading.Event, wanted: set[str]) -> None:
    if ended.is_set():
        return
    tasks, queues = consumer.task_consumer, consumer.app.amqp.queues
    known = {queue.name for queue in tasks.queues}
    for name in sorted(known - wanted):
        consumer.cancel_task_queue(name)
    for name in sorted(wanted - known):
        queue = Queue(name, Exchange(name, "direct"), name)
        tasks.add_queue(queues.select_add(queue))
    if wanted - known:
        tasks.consume()
    if known != wanted:
        log.info("takes from %s queues", len(wanted))


def churches_of_the_bucket() -> Callable[[], Mapping[str, str]]:
    """Return how to read the churches that are served: those that have a credentials object.

    A suspended church has none, so its queue stays as it is. An object is read once, and again when it has changed.
    """
    import boto3  # noqa: PLC0415  only the worker needs it

    bucket, prefix = os.environ["TENANT_CREDENTIALS_BUCKET"], "tenants/"
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["TENANT_CREDENTIALS_ENDPOINT"],
        aws_access_key_id=os.environ["TENANT_CREDENTIALS_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["TENANT_CREDENTIALS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    read: dict[tuple[str, str], str] = {}

    def queue_prefix(version: tuple[str, str]) -> str:
        content = client.get_object(Bucket=bucket, Key=version[0])["Body"].read()
        return str(json.loads(content)["queue_prefix"])

    def churches() -> Mapping[str, str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        versions = [(entry["Key"], entry["ETag"]) for page in pages for entry in page.get("Contents", [])]
        new = [version for version in versions if version not in read]
        with ThreadPoolExecutor(8) as pool:
            found = dict(zip(new, pool.map(queue_prefix, new), strict=True))
        kept = {version: read[version] for version in versions if version in read}
        read.clear()
        read.update(kept | found)
        return {key.removeprefix(prefix).removesuffix(".json"): name for (key, _), name in read.items()}

    return churches
