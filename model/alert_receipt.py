"""A test alert that operators ask for, and the receipt that it leaves: the contract with droplets.

An operator writes a request into the configuration bucket of the observability group (`presence360 alerts test`). Its
droplet lets an alert fire, waits until Alertmanager has handed it to every way that somebody is told by, and writes
what came of it into the group's status bucket (droplet/observability/receipt.py). docs/observability.md explains it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from model import runs
from model.contract import TIME, ContractError, line, moment

TEST_ALERT = "AlertTest"
TEST_RECEIVER = "test"
"""Alertmanager's receiver of this alert: every way, once."""

TEST_METRIC = "presence360_alert_test"

RECEIPT = "alert-test.json"
"""In the status bucket of the observability group: the receipt of the newest test."""

PREFIX = "alert-test-"
"""Of requests; beside those of runs, with which they expire."""

SECONDS = 360
"""How long a droplet waits for the alert to arrive: every step of its way takes up to half a minute."""

VALID_DAYS = 30
"""A test that is older shows nothing: passwords, channels and people change."""

_WAY = re.compile(r"[a-z]{1,20}")


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What came of a test alert.

    Attributes:
        id: the request's.
        by: who asked for it.
        asked: when.
        time: when it was over.
        name: of the droplet.
        reason: why it failed, or "".
        ways: whether Alertmanager's message was accepted, by way: email, slack, webhook.
        accepted_all: whether every way accepted it.
    """

    id: str
    by: str
    asked: datetime
    time: datetime
    name: str
    reason: str
    ways: Mapping[str, bool]

    @property
    def accepted_all(self) -> bool:
        """Whether every way accepted it."""
        return bool(self.ways) and all(self.ways.values()) and not self.reason

    def valid(self, now: datetime) -> bool:
        """Tell whether it shows that alerts arrive at present."""
        return self.accepted_all and now - self.time <= timedelta(days=VALID_DAYS)


def request_key(test_id: str) -> str:
    """Name a request's object."""
    return runs.request_key(f"{PREFIX}{test_id}")


def request_json(by: str, now: datetime) -> bytes:
    """Return a request."""
    return json.dumps({"by": by, "time": now.strftime(TIME)}, indent=1).encode()


def parse_receipt(content: bytes) -> Receipt:
    """Read a receipt. Members that this version does not know are ignored.

    Raises:
        ContractError: it is something else.
    """
    try:
        value: Any = json.loads(content)
        return Receipt(
            id=line(value["id"]),
            by=line(value["by"]),
            asked=moment(value["asked"]),
            time=moment(value["time"]),
            name=line(value["name"]),
            reason=line(value["reason"]),
            ways={name: accepted is True for name, accepted in value["ways"].items() if _WAY.fullmatch(name)},
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ContractError(f"receipt: {type(error).__name__}") from None
