"""A test alert, from an operator's terminal: the request, the receipt, and how it ends without one."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from model.alert_receipt import RECEIPT, VALID_DAYS, parse_receipt
from model.config import config_bucket
from model.contract import ContractError
from model.loader import load_environments
from model.plan import plan_environment
from ops.alert_test import AlertTest
from ops.ci import settings
from ops.command import alerts
from ops.command.app import app
from ops.errors import OperationError, UsageError
from tests.ops.cloud import APP, NAMES, Cloud, Time
from tests.support import ENVIRONMENTS

CONFIG = config_bucket(NAMES, "app")
SAID: dict[str, Any] = {
    "version": 1,
    "id": "1",
    "by": "ada@laptop",
    "asked": "2026-11-26T09:00:00Z",
    "time": "2026-11-26T09:02:11Z",
    "name": "staging-app-1-3fa9c2",
    "reason": "",
    "ways": {"email": True, "slack": True},
}


@pytest.fixture
def asked(cloud: Cloud, time: Time) -> AlertTest:
    loaded = load_environments(ENVIRONMENTS)
    plan = next(plan_environment(one) for one in loaded if one.file.environment == "staging")
    return AlertTest.of(plan, cloud.environ, time.clock)


def answer(cloud: Cloud, **members: object) -> Callable[[], None]:
    """Let the droplet leave a receipt for the request that is there."""

    def write() -> None:
        (key,) = cloud.server.spaces.keys(CONFIG)
        request = json.loads(cloud.server.spaces.content(CONFIG, key) or b"")
        test_id = key.removeprefix("requests/alert-test-").removesuffix(".json")
        said = {**SAID, "id": test_id, "by": request["by"], **members}
        cloud.server.spaces.put(APP, RECEIPT, json.dumps(said).encode())

    return write


def test_the_receipt_of_this_test_is_waited_for(asked: AlertTest, cloud: Cloud, time: Time) -> None:
    cloud.server.spaces.put(APP, RECEIPT, json.dumps(SAID).encode())
    time.then = {5: answer(cloud)}
    notes: list[str] = []
    receipt = asked.send(by="grace@laptop", say=notes.append)
    assert (receipt.by, receipt.ways, receipt.accepted_all) == (
        "grace@laptop",
        {"email": True, "slack": True},
        True,
    )
    assert time.sleeps == 5
    assert notes == [f"{receipt.id}: asked for; messages arrive within about 3 minutes"]
    assert cloud.server.spaces.keys(CONFIG) == []
    assert asked.receipt() == receipt


def test_without_a_receipt_the_wait_ends_and_names_where_to_look(
    asked: AlertTest, cloud: Cloud, time: Time
) -> None:
    begin = time.seconds
    with pytest.raises(
        OperationError, match="no droplet of app left a receipt within 17 minutes: presence360 status"
    ):
        asked.send(by="x", say=lambda _: None)
    assert 1020 <= time.seconds - begin < 1030
    assert cloud.server.spaces.keys(CONFIG) == []


def test_spaces_that_stumble_are_asked_again(asked: AlertTest, cloud: Cloud, time: Time) -> None:
    time.then = {
        1: lambda: cloud.fail(f"GET /{RECEIPT} 503 1 1"),
        3: cloud.fail,
        4: answer(cloud),
    }
    assert asked.send(by="x", say=lambda _: None).accepted_all


@pytest.mark.parametrize(
    ("members", "accepted"),
    [
        ({}, True),
        ({"ways": {"email": True, "slack": False}}, False),
        ({"reason": "not accepted: slack (3 tries)"}, False),
        ({"ways": {}}, False),
        ({"ways": {"email": "yes"}}, False),
    ],
)
def test_a_receipt_is_valid_for_30_days_and_only_if_every_way_accepted(
    members: dict[str, Any], accepted: bool
) -> None:
    receipt = parse_receipt(json.dumps({**SAID, **members}).encode())
    assert receipt.accepted_all is accepted
    end = datetime(2026, 11, 26, 9, 2, 11, tzinfo=UTC) + timedelta(days=VALID_DAYS)
    assert receipt.valid(end) is accepted
    assert not receipt.valid(end + timedelta(seconds=1))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", json.dumps({**SAID, "ways": 1}).encode()])
def test_what_is_no_receipt_is_none(content: bytes) -> None:
    with pytest.raises(ContractError):
        parse_receipt(content)


@pytest.fixture
def call(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(settings, "load", lambda _: cloud.environ)
    monkeypatch.setattr(alerts, "SYSTEM_CLOCK", cloud.time.clock)
    root = ("--environments", str(ENVIRONMENTS))
    return lambda *arguments: CliRunner().invoke(
        app, ["alerts", "test", *arguments, *root], prog_name="presence360"
    )


def test_the_command_says_which_ways_accepted_it(call: Callable[..., Any], cloud: Cloud, time: Time) -> None:
    time.then = {1: answer(cloud)}
    result = call("staging")
    assert (result.exit_code, result.stdout) == (0, "email: accepted\nslack: accepted\n")
    assert result.stderr.count("Accepted is not read") == 1


def test_the_command_fails_where_a_way_did_not(call: Callable[..., Any], cloud: Cloud, time: Time) -> None:
    reason = "not accepted: slack (3 tries); journalctl -u prometheus-alertmanager has the answers"
    time.then = {1: answer(cloud, ways={"email": True, "slack": False}, reason=reason)}
    result = call("staging", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (said["accepted"], said["ways"], said["droplet"]) == (
        False,
        {"email": True, "slack": False},
        "staging-app-1-3fa9c2",
    )
    assert " ".join(result.stderr.split()).count(reason) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("503", "the request was not written: Spaces answered 503"),
        ("403", "the request was not written: Spaces answered 403: the key"),
        ("drop-answer", "nobody knows whether the request was written: Spaces did not answer"),
    ],
)
def test_only_a_request_that_may_be_there_is_removed(
    asked: AlertTest, cloud: Cloud, fault: str, told: str
) -> None:
    cloud.fail(f"PUT .*/requests/.* {fault}", "DELETE .* 503 1 9")
    notes: list[str] = []
    with pytest.raises(OperationError, match=told):
        asked.send(by="x", say=notes.append)
    assert [note.partition(": ")[2] for note in notes] == (
        ["the request was not removed; if it is there, it expires by itself"]
        if fault == "drop-answer"
        else []
    )


def test_without_keys_the_command_names_all(call: Callable[..., Any], cloud: Cloud) -> None:
    cloud.environ |= {"SPACES_ACCESS_KEY_ID": "", "SPACES_SECRET_ACCESS_KEY": ""}
    result = call("staging")
    assert result.exit_code == 2
    assert "SPACES_ACCESS_KEY_ID is not set: " in result.stderr
    assert "SPACES_SECRET_ACCESS_KEY is not set: " in result.stderr


def test_an_environment_that_tells_nobody_says_so(cloud: Cloud) -> None:
    loaded = load_environments(ENVIRONMENTS)
    plan = next(plan_environment(one) for one in loaded if one.file.environment == "staging")
    silent = replace(plan, groups=tuple(replace(group, observability=None) for group in plan.groups))
    with pytest.raises(UsageError) as raised:
        AlertTest.of(silent, cloud.environ)
    assert raised.value.problems == [
        "staging has no observability group, so nobody is told of anything. Add `observability:` to its "
        "environment.yaml (docs/observability.md)"
    ]
