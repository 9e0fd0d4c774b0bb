"""Whether what a plan orders is sold where it is ordered."""

from typing import Any

import pytest

from lab.local_digitalocean.server import Server
from model import addresses
from model.addresses import DROPLET, POOL
from ops.api_client import Client
from ops.preflight import place
from tests.ops.preflight.conftest import made, plan

SOLD: dict[str, Any] = {"size": "s-1vcpu-1gb", "region": "fra1"}


@pytest.mark.parametrize("kind", [DROPLET, POOL])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"size": "s-3vcpu-5gb"}, "does not sell droplets of s-3vcpu-5gb in fra1 now"),
        ({"region": "mars1"}, "in mars1 now"),
    ],
)
def test_a_size_is_sold_in_its_region(
    api: Client, kind: str, changed: dict[str, Any], said: str | None
) -> None:
    asked = {**SOLD, **changed}
    one = made(kind, **(asked if kind == DROPLET else {"droplet_template": [asked]}))
    found = place.check(plan(one), api).problems
    assert bool(found) == bool(said)
    assert said is None or said in found[-1]


def test_what_runs_already_may_be_of_a_size_that_is_not_sold_any_more(api: Client) -> None:
    assert place.check(plan(made(DROPLET, "update", size="old", region="old1")), api).problems == ()


def test_an_unknown_region_is_answered_with_those_that_take_orders(api: Client) -> None:
    (problem,) = place.check(plan(made("digitalocean_project", region="mars1")), api).problems
    assert "takes no orders in the region mars1. It does in ams2, " in problem


def test_the_first_network_of_a_region_should_not_be_ours(api: Client, server: Server) -> None:
    first = plan(made(addresses.VPC.kind, region="fra1"))
    (problem,) = place.check(first, api).problems
    assert "make one called default-fra1" in problem
    server.account.tables["vpcs"]["x"] = {
        "id": "x",
        "name": "default-fra1",
        "region": "fra1",
        "default": True,
    }
    assert place.check(first, api).problems == ()


def test_what_cannot_be_asked_for_is_a_note(api: Client, server: Server) -> None:
    server.faults.set({"faults": ["GET /v2/sizes 403"]})
    found = place.check(plan(made(DROPLET, **SOLD)), api)
    assert found.problems == ()
    assert found.notes == (
        "staging: the sizes of droplets could not be asked for: the API answered 403 to /v2/sizes",
    )
