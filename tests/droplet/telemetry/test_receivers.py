"""Which droplet receives: what several of them say, in any order."""

import itertools
import json
from datetime import UTC, datetime

from droplet.telemetry.receivers import choose

NOW = 1_795_700_000.0
VPC = "10.60.0.0/20"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def status(at: str, *, age: float = 0, phase: str = "serving", **more: object) -> str:
    when = datetime.fromtimestamp(NOW - age, UTC)
    receiver = {"address": at, "port": 9364, "certificate": PEM} | more
    value = {
        "name": f"app-{at}",
        "phase": phase,
        "time": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "receiver": receiver,
    }
    return json.dumps(value)


def chosen(*statuses: tuple[str, str]) -> str | None:
    """The address, the same in every order."""
    found = {choose(order, VPC, NOW) for order in itertools.permutations(statuses)}
    assert len(found) == 1
    (receiver,) = found
    return receiver.address if receiver else None


def test_nobody_receives_where_nobody_says_so() -> None:
    assert chosen() is None
    assert chosen(("1", "{}"), ("2", json.dumps({"name": "a", "phase": "serving", "time": "x"}))) is None


def test_the_newest_that_serves_receives() -> None:
    # Ids are numbers: 99 came before 100.
    assert chosen(("99", status("10.60.0.9")), ("100", status("10.60.0.10"))) == "10.60.0.10"
    # The successor is not there yet.
    assert chosen(("99", status("10.60.0.9")), ("100", status("10.60.0.10", phase="starting"))) == "10.60.0.9"


def test_one_that_is_silent_comes_last_and_is_better_than_none() -> None:
    silent = status("10.60.0.10", age=301)
    assert chosen(("99", status("10.60.0.9", phase="failed")), ("100", silent)) == "10.60.0.9"
    assert chosen(("100", silent)) == "10.60.0.10"


def test_one_that_is_not_in_the_private_network_or_not_whole_is_none() -> None:
    good = ("1", status("10.60.0.9"))
    for number, bad in enumerate(
        (
            status("203.0.113.7"),
            status("10.60.0.10", port=443),
            status("10.60.0.10", certificate="x"),
            status("10.60.0.10", certificate=f"{PEM}{PEM}"),
            status("10.60.0.10", address=None),
            *(
                status("10.60.0.10").replace("9364", port)
                for port in ("1e999", "NaN", "9" * 400, "9364.5", "null")
            ),
            "[" * 100_000,
            "\x00",
        )
    ):
        assert chosen(good, (f"9{number}", bad)) == "10.60.0.9"
