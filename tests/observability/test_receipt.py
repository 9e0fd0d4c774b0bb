"""`presence360 alerts test` on the droplet: from a metric to a relay, Slack and a webhook, and to the receipt."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from droplet.converge.errors import CommandError
from droplet.jobs.contract import read_request
from droplet.observability import receipt
from droplet.observability.receipt import RENEW_SECONDS, AlertTest
from lab.metrics_programs import MissingError, metrics_programs
from model import alert_receipt
from model.alert_receipt import RECEIPT, Receipt, parse_receipt, request_json, request_key
from tests.observability import receivers
from tests.observability.loop import Loop, Served, eventually
from tests.observability.test_messages import PASSWORD, plan

WAIT_SECONDS = 60.0


@dataclass
class Droplet:
    """The group's buckets, and the program that looks into them."""

    folder: Path
    served: Served
    ask: Callable[[str], str]
    configuration: Path
    flush: Callable[[], object] = lambda: None
    status: dict[str, str] = field(default_factory=dict)
    spaces_answer: bool = True

    def __post_init__(self) -> None:
        (self.folder / "requests").mkdir(parents=True)
        (self.folder / "state").mkdir()
        self.program = AlertTest(
            self._rclone,
            self.configuration,
            self.folder / "state",
            requests=self.folder / "requests",
            published=self.folder / "alert-test.prom",
            ask=self.ask,
            sleep=self._sleep,
            wait_seconds=WAIT_SECONDS,
        )

    def _sleep(self, _seconds: float) -> None:
        """The health daemon serves the file, as long as it is there."""
        published = self.program.published
        self.served.pages["/metrics"] = published.read_text() if published.exists() else ""
        self.flush()
        time.sleep(0.5)

    def _rclone(self, command: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        if not self.spaces_answer:
            raise CommandError("rclone: exit 1")
        match [word for word in command if not word.startswith("--")]:
            case [*_, "cat", "262144", place]:
                return self.status.get(place, "")
            case [*_, "copyto", file, place]:
                self.status[place] = Path(file).read_text()
                return ""
        raise AssertionError(command)

    def request(self, test_id: str, by: str = "ada@laptop", at: datetime | None = None) -> None:
        """As `presence360 alerts test` writes it."""
        content = request_json(by, at or datetime.now(UTC))
        (self.folder / request_key(test_id)).write_bytes(content)

    def receipt(self) -> Receipt:
        return parse_receipt(self.status[f"status:{RECEIPT}"].encode())


@dataclass
class World:
    loop: Loop
    relay: receivers.Relay
    slack: receivers.Slack
    folder: Path

    def droplet(self, name: str) -> Droplet:
        configuration = self.loop.folder / "alertmanager.yaml"
        ask, served = self.loop.ask_alertmanager, self.loop.droplet
        return Droplet(self.folder / name, served, ask, configuration, self.loop.flush)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    try:
        programs = metrics_programs()
    except MissingError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("receipt")
    relay, slack = receivers.Relay(folder / "relay", "alerts", PASSWORD), receivers.Slack()
    loop = Loop(folder / "loop", programs, plan(relay), environment={"SSL_CERT_FILE": str(relay.authorities)})
    (loop.secrets / "alert_email_password").write_text(PASSWORD)
    (loop.secrets / "alert_slack_url").write_text(slack.url)
    for path in ("/metrics", "/metrics/node", "/metrics/requests"):
        loop.droplet.pages[path] = ""
    try:
        loop.start()
        eventually("the droplet is asked", lambda: loop.query('up{job="droplet"} == 1'))
        yield World(loop, relay, slack, folder)
    finally:
        loop.end()
        relay.stop()
        slack.stop()


def test_it_arrives_every_way_and_leaves_a_receipt(world: World) -> None:
    droplet = world.droplet("good")
    droplet.request("20261126-0900-1", by='ada@laptop "}\\')
    assert droplet.program.look() == 0
    found = droplet.receipt()
    assert (found.id, found.by, found.reason) == ("20261126-0900-1", 'ada@laptop "}\\', "")
    assert found.ways == {"email": True, "slack": True, "webhook": True}
    assert found.valid(datetime.now(UTC))
    said = "This is only a test. ada@laptop     asked for it, and this message shows that alerts arrive here."
    (mail,) = (mail for mail in world.relay.mails if "only a test" in mail["Subject"])
    assert mail["Subject"] == f"[staging] test: {said}"
    assert (f"[staging] test: {said}") in {title for title, _ in world.slack.shown}
    posted = world.loop.told("AlertTest", "firing")
    assert posted
    assert posted["annotations"]["summary"] == said
    # It is over, nobody is told a second time, and a request is answered once.
    assert not droplet.program.published.exists()
    before = droplet.status.copy()
    assert droplet.program.look() == 0
    assert droplet.status == before


@contextmanager
def refusing(one: Any) -> Iterator[None]:
    one.refuses = True
    yield
    one.refuses = False


def test_a_way_that_refuses_is_named(world: World) -> None:
    droplet = world.droplet("refused")
    droplet.program = replace(droplet.program, wait_seconds=8)
    droplet.request("20261126-0901-1")
    with refusing(world.slack), refusing(world.relay):
        assert droplet.program.look() == 0
    found = droplet.receipt()
    assert found.ways == {"email": False, "slack": False, "webhook": True}
    assert found.reason.startswith("not accepted: email (")
    assert found.reason.endswith(" tries); journalctl -u prometheus-alertmanager has the answers")
    assert not found.valid(datetime.now(UTC))


def test_an_alert_that_comes_no_further_than_the_metrics_is_told(world: World) -> None:
    droplet = world.droplet("stuck")
    droplet.request("20261126-0902-1")
    # As where nothing asks the droplet for its metrics.
    droplet.served = Served()
    droplet.program = replace(droplet.program, wait_seconds=1)
    try:
        assert droplet.program.look() == 0
    finally:
        droplet.served.stop()
    assert droplet.receipt().reason == (
        "the alert did not reach Alertmanager within 0 minutes: see victoria-metrics and vmalert"
    )


def test_what_an_earlier_test_sends_again_is_not_this_ones(alone: Droplet) -> None:
    """Its way was repaired, and Alertmanager tries again: this one's alert never came."""
    count = itertools.count()

    def ask(path: str) -> str:
        if path == "/api/v2/alerts":
            return json.dumps([{"labels": {"test": "earlier-1"}}])
        return f'alertmanager_notification_requests_total{{integration="email",receiver_name="test"}} {next(count)}\n'

    alone.program = replace(alone.program, ask=ask, sleep=lambda _: None, wait_seconds=0.2)
    alone.request("1")
    assert alone.program.look() == 0
    assert alone.receipt().ways == {"email": False}
    assert "did not reach Alertmanager" in alone.receipt().reason


def silent(_path: str) -> str:
    raise ConnectionRefusedError("refused")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Droplet]:
    """A droplet on which nothing runs."""
    configuration = tmp_path / "alertmanager.yaml"
    configuration.write_text(json.dumps({"receivers": [{"name": "test", "email_configs": [{}]}]}))
    served = Served()
    yield Droplet(tmp_path / "droplet", served, silent, configuration)
    served.stop()


def test_without_alertmanager_there_is_a_receipt_that_says_so(alone: Droplet) -> None:
    alone.request("1")
    assert alone.program.look() == 0
    assert (alone.receipt().ways, alone.receipt().reason) == (
        {"email": False},
        "Alertmanager does not answer: refused",
    )


def test_an_old_request_and_what_is_none_are_left(alone: Droplet) -> None:
    alone.request("old", at=datetime(2026, 11, 26, 9, tzinfo=UTC).replace(year=2020))
    (alone.folder / request_key("bad")).write_text('{"by": 1')
    (alone.folder / "requests/20261126-090000-1.json").write_bytes(request_json("a run's", datetime.now(UTC)))
    assert alone.program.look() == 0
    assert alone.status == {}


def test_a_receipt_does_not_expire_with_its_bucket(alone: Droplet) -> None:
    """A droplet that takes over writes the receipt again that it finds, and so does each day."""
    alone.status[f"status:{RECEIPT}"] = "the receipt"
    now = time.time()
    program = replace(alone.program, clock=lambda: now)
    written: list[str] = []
    run = program.run

    def counted(command: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        written.extend(word for word in command if word == "copyto")
        return run(command, env, timeout)

    replace(program, run=counted).look()
    replace(program, run=counted).look()
    assert len(written) == 1
    replace(program, run=counted, clock=lambda: now + RENEW_SECONDS + 1).look()
    assert len(written) == 2
    assert alone.status[f"status:{RECEIPT}"] == "the receipt"


def counting(alone: Droplet) -> list[str]:
    """Let Alertmanager accept what is sent; return the tests that people are told of, as they come."""
    sent: list[str] = []

    # Each test asks once before its metric is there.
    before = False

    def ask(path: str) -> str:
        nonlocal before
        there = alone.program.published.exists()
        attempt = (
            alone.program.published.read_text().partition('test="')[2].partition('"')[0] if there else ""
        )
        if path == "/api/v2/alerts":
            return json.dumps([{"labels": {"test": attempt}}])
        if there and not before:
            sent.append(attempt.partition("-")[0])
        before = there
        labels = '{integration="email",receiver_name="test"}'
        return f"alertmanager_notification_requests_total{labels} {next(count)}\n"

    count = itertools.count()
    alone.program = replace(alone.program, ask=ask, sleep=lambda _: None)
    return sent


def test_spaces_that_do_not_answer_are_a_failure_that_shows_and_the_receipt_comes_later(
    alone: Droplet,
) -> None:
    sent = counting(alone)
    alone.request("1")
    alone.spaces_answer = False
    for _ in range(3):
        assert alone.program.look() == 1
    alone.spaces_answer = True
    assert alone.program.look() == 0
    assert (alone.receipt().id, alone.receipt().ways) == ("1", {"email": True})
    # People were told once.
    assert sent == ["1"]


def test_requests_that_nobody_removed_are_answered_once_each(alone: Droplet) -> None:
    sent = counting(alone)
    now = datetime.now(UTC)
    for number in (1, 2, 3):
        alone.request(str(number), at=now + timedelta(seconds=number))
    for _ in range(8):
        assert alone.program.look() == 0
    assert sent == ["3", "2", "1"]


def test_a_test_that_was_interrupted_is_not_done_again_and_says_so(alone: Droplet) -> None:
    """As by a power cut: nobody knows who was told."""
    sent = counting(alone)
    program = alone.program

    def cut(_seconds: float) -> None:
        program.ask("/metrics")
        raise KeyboardInterrupt

    alone.request("1")
    with pytest.raises(KeyboardInterrupt):
        replace(program, sleep=cut).look()
    for _ in range(2):
        assert program.look() == 0
    assert sent == ["1"]
    assert (alone.receipt().id, alone.receipt().ways) == ("1", {"email": False})
    assert alone.receipt().reason == "it was interrupted: ask for another one"


def test_both_sides_say_the_same() -> None:
    """droplet/ imports nothing of model/."""
    assert (receipt.PREFIX, receipt.RECEIPT, receipt.METRIC, receipt.ALERT, receipt.RECEIVER) == (
        alert_receipt.PREFIX,
        alert_receipt.RECEIPT,
        alert_receipt.TEST_METRIC,
        alert_receipt.TEST_ALERT,
        alert_receipt.TEST_RECEIVER,
    )
    assert receipt.WAIT_SECONDS == alert_receipt.SECONDS


def test_a_request_is_no_run_of_a_command() -> None:
    """They share a folder, and with it the rule by which they expire."""
    key = Path(request_key("20261126-0900-1"))
    assert read_request(key.stem, request_json("ada@laptop", datetime.now(UTC))) is None


def test_the_alert_ends_after_a_test(world: World) -> None:
    world.loop.droplet.pages["/metrics"] = ""
    eventually("it is over", lambda: world.loop.state("AlertTest") is None)
