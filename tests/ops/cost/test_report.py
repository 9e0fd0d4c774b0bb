"""Costs in words: for an environment, for programs, and as what a change makes of them."""

from decimal import Decimal

import pytest

from model import cost
from model.cost import Line
from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.prices import Price
from ops.api_client import ApiError, Client
from ops.cost import report
from ops.errors import OperationError
from tests.support import ENVIRONMENTS


@pytest.fixture(scope="module")
def staging() -> EnvironmentPlan:
    return next(
        plan_environment(one) for one in load_environments(ENVIRONMENTS) if one.file.environment == "staging"
    )


def test_an_environment_in_words(staging: EnvironmentPlan) -> None:
    said = list(report.lines(staging, report.DROPLETS))
    assert "1        droplet s-2vcpu-4gb of app                         $24.00   $24.00" in said
    assert "         together                                                    $42.00 + unknown" in said
    assert any(line.startswith("unknown: ") and line.count("load balancer node of app") for line in said)
    assert "grace   staging  none     $14.00 + unknown  $14.00 + unknown" in said
    assert not any("$0.00" in line for line in said)


def test_an_unknown_price_is_null_for_programs(staging: EnvironmentPlan) -> None:
    found = report.as_json(staging, report.DROPLETS)
    each = {line["what"]: line["each"] for line in found["lines"]}
    assert each["load balancer node of app"] is None
    assert each["droplet s-2vcpu-4gb of app"] == 24.0
    assert found["month"]["known"] == 42.0
    assert found["month"]["unknown"]["uptime check"] == 6


def test_what_a_change_makes_of_it() -> None:
    price = Price(Decimal(24), "a test", "2026")
    unknown = Price(None, "a test", "2026")
    before = [Line("droplet of app", 1, price), Line("Postgres node", 1, unknown)]
    after = [
        Line("droplet of app", 2, price, most=4),
        Line("Postgres node", 1, unknown),
        Line("node", 1, unknown),
    ]
    old, new, said = report.difference(before, after)
    assert (str(old), str(new)) == ("$24.00 + unknown", "$48.00 to $96.00 + unknown")
    assert said == ["droplet of app: 1 before, 2 after (at most 4)", "node: none before, 1 after"]
    assert report.difference(before, before)[2] == []


def test_digitalocean_can_be_asked(monkeypatch: pytest.MonkeyPatch, staging: EnvironmentPlan) -> None:
    answer = [{"slug": "s-2vcpu-4gb", "price_monthly": 25.5}]
    monkeypatch.setattr(
        Client, "all", lambda _self, path, key: answer if (path, key) == ("/v2/sizes", "sizes") else []
    )
    found = report.ask({"DIGITALOCEAN_TOKEN": "not-a-token"})
    assert found["s-2vcpu-4gb"].usd == Decimal("25.5")
    total = cost.total(cost.lines(staging, found))
    assert total.known == Decimal("25.5")
    assert total.unknown["droplet s-2vcpu-2gb of worker"] == 1


def test_it_says_why_digitalocean_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ApiError("403: you may not", 403)

    monkeypatch.setattr(Client, "all", refuse)
    with pytest.raises(
        OperationError, match="DigitalOcean does not say what droplets cost: 403: you may not"
    ):
        report.ask({"DIGITALOCEAN_TOKEN": "not-a-token"})
