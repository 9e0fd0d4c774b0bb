"""Faults on booted droplets, each until a message says so with the right words, and until one says that it is over."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from model.alert_receipt import RECEIPT, parse_receipt, request_json, request_key
from tests.droplets.conftest import Laboratory, observed
from tests.droplets.laboratory import Droplet, eventually
from tests.droplets.test_alerts import messages as messages  # a fixture  # noqa: PLC0414
from tests.droplets.test_telemetry import API, listens, send
from tests.observability.loop import Served, told
from tests.telemetry.otlp import counters, histogram

pytestmark = [observed, pytest.mark.usefixtures("messages")]

SECONDS = 90


def until(
    messages: Served,
    alert: str,
    status: str,
    do: Callable[[], object] = lambda: None,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Do something again and again until there is a message about an alert; return the alert."""

    def ask() -> dict[str, Any] | None:
        do()
        return told(messages, alert, status)

    found = eventually(f"{alert} is {status}", seconds, ask, pause=1)
    assert found
    return found


@pytest.fixture(scope="module")
def sender(laboratory: Laboratory) -> Droplet:
    """A droplet whose services' messages are forwarded."""
    droplet = laboratory.droplet
    eventually("it listens", 90, lambda: listens(droplet))
    eventually(
        "a store takes it", 90, lambda: send(droplet, "metrics", counters("probe", "a", {"b": 1}))[0] == 200
    )
    return droplet


def test_errors_of_a_service(laboratory: Laboratory, messages: Served) -> None:
    droplet = laboratory.droplet

    def ask(path: str, times: int) -> None:
        for _ in range(times):
            droplet.ask(API, path)

    found = until(messages, "ErrorsBurnFast", "firing", lambda: ask("/fails", 10))
    assert found["labels"]["severity"] == "critical"
    assert found["annotations"]["summary"] == (
        "tenant-api answers so many requests with 5xx that it would use up a month's allowance of errors in 2 days."
    )
    assert found["annotations"]["first"].startswith("`presence360 status staging`: was something released?")
    until(messages, "ErrorsBurnFast", "resolved", lambda: ask("/", 50))


def test_jobs_that_wait(sender: Droplet, messages: Served) -> None:
    counts = [0, 0, 0, 0]

    def wait(quick: int, slow: int) -> None:
        counts[0], counts[2] = counts[0] + quick, counts[2] + slow
        body = histogram(
            "presence360.job.wait.seconds",
            (1.0, 300.0, 900.0),
            counts,
            **{"service.name": "worker", "host.name": "x"},
        )
        assert send(sender, "metrics", body, "worker")[0] == 200

    found = until(messages, "QueueLag", "firing", lambda: wait(0, 5))
    assert (
        found["annotations"]["summary"]
        == "One job in 10 waits longer than 5 minutes before a worker takes it."
    )
    until(messages, "QueueLag", "resolved", lambda: wait(500, 0))


def test_a_provider_that_refuses(sender: Droplet, messages: Served) -> None:
    counts = {"success": 0, "error": 0}

    def call(outcome: str, times: int) -> None:
        counts[outcome] += times
        body = counters("presence360.mnotify.requests", "outcome", counts, **{"service.name": "worker"})
        assert send(sender, "metrics", body, "worker")[0] == 200

    found = until(messages, "MnotifyFails", "firing", lambda: call("error", 5))
    assert found["annotations"]["summary"] == "More than half of the requests to mNotify fail."
    assert found["annotations"]["first"].startswith(
        "Look at the balance and the key of the account at mNotify"
    )
    until(messages, "MnotifyFails", "resolved", lambda: call("success", 500))


def test_a_worker_that_hangs(laboratory: Laboratory, messages: Served) -> None:
    """Also after converge has restarted it: what a restart cures wakes nobody up."""
    droplet = laboratory.droplet

    def send_worker(number: str) -> None:
        # Its first process is Docker's init; the one below it is the service.
        inspect = "docker inspect --format '{{.State.Pid}}' presence360-worker-1"
        droplet.sh(f"kill -{number} $(cat /proc/$({inspect})/task/*/children)", check=False)

    try:
        found = until(messages, "WorkerHangs", "firing", lambda: send_worker("STOP"), 150)
    finally:
        send_worker("CONT")
    assert found["labels"]["instance"] == droplet.name
    assert found["annotations"]["summary"] == (
        f"The worker on {droplet.name} hangs again and again, or does not run: it has touched no heartbeat in 3 of the "
        "last 15 minutes."
    )
    until(messages, "WorkerHangs", "resolved")


def test_a_test_alert_leaves_a_receipt(laboratory: Laboratory, messages: Served) -> None:
    """As `presence360 alerts test` asks for it; both droplets are of the observability group here."""
    configuration = laboratory.configuration
    key = request_key("20261126-090000-1")
    content = request_json("ada@laptop", datetime.now(UTC)).decode()
    configuration.change(put={key: content}, whole=False)

    def receipt() -> bytes:
        def read() -> bytes:
            found = configuration.store().get_object(Bucket=laboratory.plan.config.status_bucket, Key=RECEIPT)
            return bytes(found["Body"].read())

        try:
            return laboratory.network.inside(read)
        except Exception as error:
            if "NoSuchKey" in str(error):
                return b""
            raise

    found = parse_receipt(eventually("a receipt", 120, receipt, pause=2))
    configuration.change(delete=[key], whole=False)
    assert (found.ways, found.reason, found.by) == ({"webhook": True}, "", "ada@laptop")
    assert found.name in {droplet.name for droplet in laboratory.droplets}
    alert = told(messages, "AlertTest", "firing")
    assert alert
    assert alert["annotations"]["summary"].startswith("This is only a test. ada@laptop asked for it")
    assert json.loads(content)["by"] == alert["labels"]["by"]


def test_a_droplet_that_is_switched_off(laboratory: Laboratory, messages: Served) -> None:
    """The last of all: it takes the other receiver of metrics along."""
    _, second = laboratory.droplets
    second.shut_down()
    try:

        def silent() -> bool:
            found = told(messages, "DropletSilent", "firing")
            return found is not None and found["labels"]["instance"] == second.name

        eventually("a message", SECONDS, silent)
        found = told(messages, "DropletSilent", "firing")
        assert found
        assert found["annotations"]["summary"] == f"{second.name} has not answered for 5 minutes."
    finally:
        second.boot()
    until(messages, "DropletSilent", "resolved")
