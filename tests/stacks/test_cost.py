"""What an environment costs: every kind is priced, free or unknown; counts are the stacks'; unknown is never 0."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from model import cost, prices
from model.cost import Cost, Line
from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.prices import Price
from model.sold import DROPLET_SIZES, POSTGRES_SIZES, VALKEY_SIZES
from tests.support import ENVIRONMENTS, Stack, write_lives

ONE = Price(Decimal(1), "a test", "2026-11-26")
NONE = Price(None, "a test", "2026-11-26")


@pytest.fixture(scope="module")
def plans() -> dict[str, EnvironmentPlan]:
    return {one.file.environment: plan_environment(one) for one in load_environments(ENVIRONMENTS)}


def test_every_kind_of_our_stacks_is_priced_or_free_or_unknown(
    staging: Stack,
    production: Stack,
    bootstrap: Stack,
    staging_lives: Stack,
    staging_cell_2: Stack,
    edited: Callable[..., Stack],
) -> None:
    pool = edited(
        ("size: s-2vcpu-2gb\n    replicas: 1", "size: s-2vcpu-2gb\n    autoscale: {min: 2, max: 3, cpu: 0.5}")
    )
    stacks = (staging, production, bootstrap, staging_lives, staging_cell_2, pool)
    used = {kind for stack in stacks for kind in stack.json["resource"]}
    tables = (prices.PRICED, prices.FREE, prices.UNKNOWN)
    declared = [kind for table in tables for kind in table]
    assert used == set(declared), "add new kinds to model/prices.py, with a source"
    assert len(declared) == len(set(declared)), "a kind is in one table"
    assert all(len(source) > 20 for source in prices.FREE.values())
    meant = {name for text in prices.PRICED.values() for name in re.findall(r"\b[A-Z][A-Z_]+\b", text)}
    assert meant == {
        "DROPLETS",
        "LOAD_BALANCER_NODE",
        "POSTGRES_NODES",
        "SPACES",
        "UPTIME_CHECK",
        "VALKEY_NODES",
        "VOLUME_GIB",
    }
    assert all(hasattr(prices, name) for name in meant)


def test_every_price_has_a_source_and_a_date_and_none_is_zero_for_want_of_one() -> None:
    every = [
        *prices.DROPLETS.values(),
        *prices.POSTGRES_NODES.values(),
        *prices.VALKEY_NODES.values(),
        *prices.REGISTRY_TIERS.values(),
        *prices.UNKNOWN.values(),
        prices.LOAD_BALANCER_NODE,
        prices.SPACES,
        prices.TRANSFER_GIB,
        prices.UNKNOWN_CLUSTER,
        prices.UNKNOWN_DROPLET,
        prices.UPTIME_CHECK,
        prices.VOLUME_GIB,
    ]
    assert all(price.source and price.seen.startswith("20") for price in every)
    free = {tier for tier, price in prices.REGISTRY_TIERS.items() if price.usd == 0}
    assert free == {"starter"}
    assert [price for price in every if price.usd == 0] == [prices.REGISTRY_TIERS["starter"]]
    assert prices.DROPLETS.keys() <= set(DROPLET_SIZES)
    assert prices.POSTGRES_NODES.keys() <= set(POSTGRES_SIZES)
    assert prices.VALKEY_NODES.keys() <= set(VALKEY_SIZES)


@pytest.mark.parametrize("name", ["staging", "production"])
def test_what_is_counted_is_what_the_stacks_make(
    name: str, plans: dict[str, EnvironmentPlan], staging: Stack, production: Stack
) -> None:
    stack = {"staging": staging, "production": production}[name]
    counted: dict[str, int] = {}
    for line in cost.lines(plans[name]):
        kind = line.what.partition(" ")[0]
        counted[kind] = counted.get(kind, 0) + line.count
    clusters = [one for one in stack.all("database_cluster").values() if "for_each" not in one]
    made = {
        "droplet": len(stack.all("droplet")),
        "load": sum(one["size_unit"] for one in stack.all("loadbalancer").values()),
        "Postgres": sum(one["node_count"] for one in clusters if one["engine"] == "pg"),
        "Valkey": sum(one["node_count"] for one in clusters if one["engine"] == "valkey"),
        "uptime": len(stack.all("uptime_check")),
    }
    if stack.all("volume"):
        made["GiB"] = sum(one["size"] for one in stack.all("volume").values())
    assert counted == made


def test_sums_say_what_they_do_not_know() -> None:
    two = Line("droplet", 2, ONE)
    pool = Line("pool", 2, ONE, most=5)
    unknown = Line("cluster", 3, NONE)
    assert str(cost.total([two])) == "$2.00"
    assert str(cost.total([two, pool])) == "$4.00 to $7.00"
    assert str(cost.total([two, unknown])) == "$2.00 + unknown"
    assert str(cost.total([unknown])) == "unknown"
    assert cost.total([unknown, unknown]).unknown == {"cluster": 6}
    assert str(cost.total([])) == "$0.00"
    assert str(Cost(Decimal(10), Decimal(10), {"cluster": 1}).share(4)) == "$2.50 + unknown"


def test_production_costs_what_its_droplets_cost_and_the_rest_is_unknown(
    plans: dict[str, EnvironmentPlan],
) -> None:
    found = cost.total(cost.lines(plans["production"]))
    # 2 of 24, 1 of 18, 3 of 48, 2 of 48.
    assert found.known == found.most == Decimal(306)
    assert found.unknown == {
        "GiB of the volume for metrics": 50,
        "Postgres node db-s-4vcpu-8gb of production-pg-shared": 2,
        "Valkey node db-s-2vcpu-4gb of production-valkey": 2,
        "load balancer node of control": 1,
        "load balancer node of tenant": 2,
        "uptime check": 5,
    }


def test_churches_parts_are_the_whole_and_a_cluster_is_its_churchs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = dict.fromkeys(POSTGRES_SIZES, Price(Decimal(60), "a test", "2026"))
    monkeypatch.setattr(prices, "POSTGRES_NODES", sizes)
    monkeypatch.setattr(prices, "VALKEY_NODES", dict.fromkeys(VALKEY_SIZES, ONE))
    for name in ("LOAD_BALANCER_NODE", "UPTIME_CHECK", "VOLUME_GIB"):
        monkeypatch.setattr(prices, name, ONE)
    (environment,) = load_environments(write_lives(tmp_path / "environments"))
    plan = plan_environment(environment)
    found = cost.lines(plan)
    churches = cost.churches(plan, found)
    total = cost.total(found)
    assert not total.unknown
    parts = sum((church.cost.known for church in churches), Decimal(0))
    assert round(parts, 6) == total.known
    own = {church.slug: church.own.known for church in churches if church.own.known}
    assert own == {
        "large-and-retired": Decimal(120),
        "preparing": Decimal(60),
        "moved": Decimal(120),
        "settled": Decimal(120),
        "changed-its-mind": Decimal(60),
        "large-and-restored": Decimal(120),
        "restored-and-retired": Decimal(120),
    }
    assert {church.slug for church in churches if church.shared == Cost()} == {
        "far-suspended",
        "large-and-retired",
        "restored-and-retired",
        "retired",
        "suspended",
    }
    shared = {church.cell: church.shared.known for church in churches if church.shared != Cost()}
    # The further cell has a cluster of two nodes for its one active church.
    assert shared["cell-2"] > shared["staging"]
