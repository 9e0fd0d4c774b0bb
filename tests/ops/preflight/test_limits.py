"""What an apply would need more than the account may have."""

from typing import Any

import pytest

from lab.local_digitalocean.server import Server
from model import addresses
from model.addresses import BUCKET, CLUSTER, DROPLET, LOAD_BALANCER, POOL
from model.environment import Account
from ops.api_client import Client
from ops.change import Change
from ops.preflight import limits
from ops.preflight.spaces import Key
from tests.ops.preflight.conftest import LIMIT, made, plan


def droplet(group: str, number: int, *actions: str) -> Change:
    at = addresses.droplet(group, number)
    return Change("staging", str(at), at.kind, at.name, None, actions, {}, {})


def replaced(**groups: int) -> list[Change]:
    return [
        droplet(group, number, "create", "delete")
        for group, count in groups.items()
        for number in range(1, count + 1)
    ]


def pool(most: int) -> dict[str, Any]:
    return {"config": [{"max_instances": most}]}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ([], 0),
        ([droplet("app", 1, "delete")], 0),
        ([droplet("app", 1, "create"), droplet("app", 2, "create")], 2),
        # One group after another: never the sum.
        (replaced(app=3, worker=2), 3),
        # What is new comes with the last group.
        ([*replaced(app=3, worker=2), droplet("batch", 1, "create"), droplet("batch", 2, "create")], 4),
        ([made(POOL, **pool(4))], 4),
        ([made(POOL, "update", before=pool(4), **pool(6))], 2),
    ],
)
def test_the_most_droplets_at_a_time(changes: list[Change], more: int) -> None:
    assert limits.most_droplets(plan(*changes)) == more


def test_a_group_that_does_not_fit_is_refused_with_the_numbers(server: Server, api: Client) -> None:
    for number in (1, 2):
        server.account.tables["droplets"][str(number)] = {"id": number, "name": f"d{number}", "tags": []}
    problems = limits.check(plan(*replaced(app=2)), Account(), api, None).problems
    assert problems == (
        f"staging: the account may have {LIMIT} droplets and has 2; this apply needs 2 more at a time; the largest "
        "group has 2. Ask DigitalOcean for more (control panel, Resource Limits), or let the environment have less",
    )
    assert limits.check(plan(*replaced(app=1, worker=1)), Account(), api, None).problems == ()
    # The file may know of a lower limit than the API tells.
    assert limits.check(plan(*replaced(app=1)), Account(droplets=2), api, None).problems != ()


@pytest.mark.parametrize(
    ("kind", "limit", "what"),
    [
        (LOAD_BALANCER, "load_balancers", "load balancers"),
        (CLUSTER, "clusters", "database clusters"),
        ("digitalocean_spaces_key", "spaces_keys", "Spaces keys"),
        (BUCKET, "buckets", "buckets"),
    ],
)
def test_what_the_file_limits_is_counted_with_what_the_account_has(
    api: Client, environ: dict[str, str], kind: str, limit: str, what: str
) -> None:
    spaces = Key.of_provider(environ, "fra1")
    two = plan(made(kind), made(kind), made(DROPLET, "update"))
    (problem,) = limits.check(two, Account(**{limit: 1}), api, spaces).problems
    assert problem.startswith(f"staging: the account may have 1 {what} and has 0; this apply makes 2 more.")
    for account in (Account(**{limit: 2}), Account()):
        assert limits.check(two, account, api, spaces).problems == ()


def test_what_cannot_be_counted_is_a_note(server: Server, api: Client) -> None:
    server.faults.set({"faults": ["GET /v2/droplets 403", "GET /v2/volumes 403"]})
    volume = made("digitalocean_volume")
    found = limits.check(plan(*replaced(app=9), volume), Account(volumes=1), api, None)
    assert found.problems == ()
    assert len(found.notes) == 2
