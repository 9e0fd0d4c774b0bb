"""Valkey is lost and an empty one comes: what is lost with it, and how workers go on (docs/services-data.md)."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import clients, valkey
from lab.debian import MissingError
from ops.paths import ROOT
from tests.recovery.workers import Workers, until

LONG = 12.0
"""Of a task that runs when Valkey is lost, in seconds: longer than the worker takes to notice."""

GIVES_UP = 20.0
"""Seconds: what `task_publish_retry_policy` comes to, about one, and much for a slow machine. Celery's own would be
without an end where Valkey does not answer."""


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        valkey.unpacked()
        return clients.python(ROOT / "lab/services/backend/requirements.lock")
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def lost(python: Path, tmp_path: Path) -> Iterator[Workers]:
    """A Valkey with a worker's queue; each test has an address of loopback of its own."""
    made = Workers(tmp_path, python, f"127.{os.getpid() % 250 + 1}.{time.time_ns() // 1000 % 250 + 1}.9")
    made.new_valkey()
    yield made
    made.stop()


@pytest.mark.nightly("recovery")
def test_what_was_in_valkey_is_gone_and_workers_go_on_by_themselves(lost: Workers) -> None:
    with lost.worker() as worker, lost.sender() as sender:
        sender.send("before")
        until("a task ran", lambda: lost.lines("ended", "before"))
        assert sender.ask("result", "before", 30)[0] == "before"
        sender.send("with-result")
        until("its result is there", lambda: worker.said("succeeded in") == 2)
        # Taken by the worker, and kept in its memory until it is due: not acknowledged either.
        sender.send("timed", countdown=20)
        until("the worker has it", lambda: sender.ask("length")[0] == 0)
        for number in range(2):
            sender.send(f"running-{number}", LONG)
        until("both processes are at work", lambda: len(lost.lines("began", "running")) == 2)
        for number in range(5):
            sender.send(f"queued-{number}")
        assert sender.ask("length")[0] == 5
        lost.lose_valkey()
        gone = time.monotonic()

        # Who gives work learns it within seconds, and does not hang; so does who asks for a result.
        answer, seconds = sender.ask("send", "while away", 0.0, 0.0)
        assert (answer, seconds < GIVES_UP) == ("kombu.exceptions.OperationalError", True), seconds
        answer, seconds = sender.ask("result", "with-result", 3)
        assert (answer, seconds < GIVES_UP) == ("redis.exceptions.ConnectionError", True), seconds
        until("the worker has noticed", lambda: worker.said("Connection to broker lost"))
        # It tries again, or it ends, and Docker starts it again: Celery 5.6 was seen to do either.
        until("it tries again", lambda: worker.said("Cannot connect to"))

        lost.new_valkey()
        back = time.monotonic()
        sender.send("after")
        until("the worker goes on", lambda: lost.lines("ended", "after"))
        figures(
            f"lost for {back - gone:.1f} s; a task ran {time.monotonic() - back:.1f} s after the new one answered"
        )
        # Longer than each of them would have taken, and than the countdown: nobody begins them any more.
        until("their time is over", lambda: time.monotonic() > gone + 25)
        sender.send("last")
        until("and still works", lambda: lost.lines("ended", "last"))
        assert lost.lines("began", "queued") == []
        assert lost.lines("began", "timed") == []
        assert lost.lines("began", "while away") == []
        # Ended in the middle, as what cannot be acknowledged is: it would run twice. This time nobody repeats it.
        assert lost.lines("ended", "running") == []
        assert len(lost.lines("began", "running")) == 2
        assert sender.ask("result", "with-result", 1)[0] == "celery.exceptions.TimeoutError"


def test_a_worker_without_its_valkey_ends_when_it_is_told_to(lost: Workers) -> None:
    """A new cluster has another address, so that the worker is started anew with it: the old one must not hang."""
    with lost.worker() as worker, lost.sender() as sender:
        sender.send("before")
        until("a task ran", lambda: worker.said("succeeded in"))
        lost.lose_valkey()
        until("the worker tries again", lambda: worker.said("Cannot connect to"))
        worker.tell(signal.SIGTERM)
        # Docker kills it 10 s after these.
        took = until("it ended", lambda: worker.ended, 50)
        figures(f"it ended {took:.1f} s after SIGTERM")
    lost.address = lost.address.rpartition(".")[0] + ".10"
    lost.password = "another"
    lost.new_valkey()
    with lost.worker(), lost.sender() as sender:
        sender.send("new-address")
        until("it ran", lambda: lost.lines("ended", "new-address"))


def figures(line: str) -> None:
    """Show what was measured, with `pytest -s`; no test rests on it."""
    sys.stdout.write(f"{line}\n")
