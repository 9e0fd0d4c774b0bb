"""What the guard takes for granted of the stacks is what the stacks are: kinds, protection, addresses."""

import re

import pytest

from model.naming import tenant_database
from ops.guard.change import Change
from ops.guard.kinds import DATA, DATABASE, OBJECT, REBUILT, USER
from ops.guard.roles import Role, configuration_of, is_retired, role, tenant_in
from tests.support import Stack

TENANT = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"


@pytest.fixture(params=["bootstrap", "production", "staging"])
def stack(request: pytest.FixtureRequest) -> Stack:
    found: Stack = request.getfixturevalue(request.param)
    return found


def a_change(kind: str, block: str) -> Change:
    return Change("staging", f"{kind}.{block}", kind, block, None, ("no-op",), {}, {}, {}, frozenset())


def test_every_kind_is_decided(stack: Stack) -> None:
    assert stack.json["resource"].keys() <= DATA.keys() | REBUILT


def test_no_kind_is_decided_twice() -> None:
    assert not DATA.keys() & REBUILT


def test_what_terraform_protects_is_what_the_guard_refuses(stack: Stack) -> None:
    """But for what was retired, which has to go some day."""
    for kind, blocks in stack.json["resource"].items():
        for name, body in blocks.items():
            protected = bool(body.get("lifecycle", {}).get("prevent_destroy"))
            assert protected == (kind in DATA and "retired" not in name), f"{kind}.{name}"


@pytest.mark.parametrize(
    ("kind", "what", "expected"),
    [
        (DATABASE, "for_each", Role.DATABASE),
        (USER, "for_each", Role.USER),
        (OBJECT, "tenant-credentials", Role.CREDENTIALS),
        (OBJECT, "tenant-registry", Role.REGISTRY),
    ],
)
def test_tenants_blocks_are_known_by_their_names(
    kind: str, what: str, expected: Role, staging: Stack
) -> None:
    blocks = [
        name
        for name, body in staging.json["resource"][kind].items()
        if "for_each" in body and (what == "for_each" or what in str(staging.follow(body["bucket"])["name"]))
    ]
    assert blocks
    assert {role(a_change(kind, name)) for name in blocks} == {expected}


def test_configuration_is_known_by_its_names(staging: Stack) -> None:
    found = {configuration_of(a_change(OBJECT, name)) for name in staging.json["resource"][OBJECT]}
    assert {("app", "release-json"), ("worker", "settings-env"), ("app", "secrets-env")} <= found
    assert ("app", "programs-json") in found
    # A name of a group is what an operator wrote, whatever its objects are called.
    assert {group for group, _ in filter(None, found)} == {"app", "worker"}


@pytest.mark.parametrize(
    "address",
    [
        f'{DATABASE}.tenant-plane_databases_retired_1A2B3C4D["{TENANT}"]',
        f'{DATABASE}.tenant-plane_retired-dedicated_database_1A2B3C4D["{TENANT}"]',
        f'digitalocean_database_cluster.tenant-plane_retired-dedicated_cluster_1A2B3C4D["{TENANT}"]',
    ],
)
def test_retired_addresses(address: str) -> None:
    assert is_retired(address)
    assert tenant_in(address) == TENANT


@pytest.mark.parametrize(
    "address",
    [
        f'{DATABASE}.tenant-plane_databases_database_1A2B3C4D["{TENANT}"]',
        f'{DATABASE}.tenant-plane_dedicated_database_1A2B3C4D["{TENANT}"]',
        f'{DATABASE}.tenant-plane_databases_retired_1A2B3C4D["grace"]',
        f"{DATABASE}.tenant-plane_databases_retired_1A2B3C4D[0]",
        f"{DATABASE}.tenant-plane_databases_retired_1A2B3C4D",
        f'{DATABASE}.tenant-plane_databases_retired["{TENANT}"]',
        f'{DATABASE}.my_tenant-plane_databases_retired_1A2B3C4D["{TENANT}"]',
        f'module.x.{DATABASE}.tenant-plane_databases_retired_1A2B3C4D["{TENANT}"]',
        f'{DATABASE}.tenant-plane_databases_retired_1A2B3C4D["{TENANT}"].x',
        f'{DATABASE}.tenant-plane_databases_retired_1A2B3C4D["{tenant_database(TENANT)}"]',
    ],
)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_retired(address)


def test_the_hash_is_what_cdktf_makes(staging: Stack) -> None:
    names = [name for name in staging.json["resource"][DATABASE] if name.startswith("tenant-plane_")]
    assert names
    assert all(re.fullmatch(r"tenant-plane_.+_[0-9A-F]{8}", name) for name in names)
