"""A resource that Terraform may not make protects nothing: `count` and `for_each` can come to none."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from policies.judge import broken, judge
from policies.pack import PACK
from policies.stack import Resource, make_stack
from tests.policies import good

Json = dict[str, Any]
STAGING = "staging"


def failing(stack: Json) -> set[int]:
    """The policies that a stack breaks by itself."""
    ours = [policy for policy in PACK.values() if policy.topic != "across"]
    read = make_stack(stack, f"{STAGING}/cdk.tf.json", group="account")
    return {finding.policy.number for finding in broken(judge([read], ours))}


def repeat(kind: str, **over: Any) -> Callable[[Json], None]:
    """Put an argument on all resources of a kind."""

    def edit(stack: Json) -> None:
        for body in stack["resource"][f"digitalocean_{kind}"].values():
            body.update(over)

    return edit


NONE: tuple[Json, ...] = ({"for_each": {}}, {"for_each": "${local.nothing}"}, {"count": 0}, {"count": "0"})
UNKNOWN: tuple[Json, ...] = (
    {"for_each": "${toset([])}"},
    {"for_each": "${var.nothing}"},
    {"count": "${var.number}"},
)


@pytest.mark.parametrize("over", [*NONE, *UNKNOWN], ids=str)
@pytest.mark.parametrize(
    ("kind", "policies"),
    [
        ("firewall", {32, 34, 40, 41}),
        ("uptime_alert", {74, 75}),
        ("database_valkey_config", {47}),
        ("database_postgresql_config", {49}),
    ],
)
def test_what_may_not_exist_protects_nothing(kind: str, policies: set[int], over: Json) -> None:
    stack = good.stacks()[STAGING]
    stack.setdefault("locals", {})["nothing"] = {}
    before = failing(stack)
    repeat(kind, **over)(stack)
    assert policies <= failing(stack) - before


@pytest.mark.parametrize("over", NONE, ids=str)
@pytest.mark.parametrize(
    ("kind", "policies"), [("uptime_check", {73}), ("monitor_alert", {76, 77, 78}), ("droplet", {40})]
)
def test_what_does_not_exist_watches_nothing(kind: str, policies: set[int], over: Json) -> None:
    stack = good.stacks()[STAGING]
    stack.setdefault("locals", {})["nothing"] = {}
    stack["resource"].pop("digitalocean_droplet_autoscale", None)
    before = failing(stack)
    repeat(kind, **over)(stack)
    assert policies <= failing(stack) - before


@pytest.mark.parametrize(
    "over", [{"for_each": "${var.groups}"}, {"count": "${var.number}"}, {"count": 2}], ids=str
)
def test_what_is_repeated_over_the_same_is_there_together(over: Json) -> None:
    stack = json.loads(json.dumps(good.stacks()[STAGING]))
    for kind in ("firewall", "droplet", "loadbalancer"):
        repeat(kind, **over)(stack)
    assert failing(stack).isdisjoint({32, 40, 41})


def test_a_resource_repeated_over_another_is_there_with_it() -> None:
    made = Resource("digitalocean_droplet", "app", {"for_each": "${var.groups}"})
    around = Resource("digitalocean_firewall", "app", {"for_each": "${digitalocean_droplet.app}"})
    assert around.is_there_with(made)
    assert not around.is_there_with(Resource("digitalocean_droplet", "other", {}))
    assert Resource("digitalocean_firewall", "app", {}).is_there_with(made)
