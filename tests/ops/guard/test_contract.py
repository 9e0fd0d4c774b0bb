"""What the guard takes for granted of the stacks is what the stacks are: kinds, protection, addresses."""

import pytest

from model.addresses import (
    DATABASE,
    DEDICATED,
    OBJECT,
    POOL,
    TENANT_DATABASES,
    USER,
    Address,
    configuration_of,
)
from model.naming import tenant_database
from model.services import CATALOGUE
from model.tenancy import Guard
from ops.change import Change
from ops.guard.kinds import DATA, REBUILT
from ops.guard.roles import Role, is_retired, role, tenant_in
from ops.guard.summary import CONFIGURATION, part_in_words
from tests.support import Stack

TENANT = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"


@pytest.fixture(params=["bootstrap", "production", "staging"])
def stack(request: pytest.FixtureRequest) -> Stack:
    found: Stack = request.getfixturevalue(request.param)
    return found


def a_change(kind: str, block: str) -> Change:
    return Change("staging", f"{kind}.{block}", kind, block, None, ("no-op",))


# A group that scales by itself has a pool; no environment that the tests read has one.
NOT_SYNTHESIZED = frozenset({POOL})


def test_the_tables_hold_the_kinds_of_the_stacks_and_no_others(
    bootstrap: Stack, production: Stack, staging: Stack, staging_lives: Stack, staging_cell_2: Stack
) -> None:
    stacks = (bootstrap, production, staging, staging_lives, staging_cell_2)
    kinds = {kind for stack in stacks for kind in stack.json["resource"]}
    assert DATA.keys() | REBUILT == kinds | NOT_SYNTHESIZED
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
        (OBJECT, "tenant-registry", Role.DIRECTORY),
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


def test_every_object_of_a_groups_configuration_has_words(production: Stack, staging: Stack) -> None:
    found = {
        part[1]
        for stack in (production, staging)
        for name in stack.json["resource"][OBJECT]
        if (part := configuration_of(name))
    }
    assert {"release-json", "settings-env", "secrets-worker-env"} <= found
    assert found - CONFIGURATION.keys() == {f"secrets-{service}-env" for service in CATALOGUE}
    assert part_in_words("secrets-tenant-api-env") == "secrets of tenant-api"
    # Of all services of a group, which the plan of an upgrade removes.
    assert part_in_words("secrets-env") == "secrets"


RETIRED = (
    TENANT_DATABASES[Guard.RETIRED],
    DEDICATED[Guard.RETIRED].database,
    DEDICATED[Guard.RETIRED].cluster,
)
KEPT = (TENANT_DATABASES[Guard.KEPT], DEDICATED[Guard.KEPT].database, DEDICATED[Guard.KEPT].cluster)


@pytest.mark.parametrize("address", RETIRED, ids=str)
def test_retired_addresses(address: Address) -> None:
    assert is_retired(address.instance(TENANT))
    assert tenant_in(address.instance(TENANT)) == TENANT


@pytest.mark.parametrize(
    "address",
    [
        *(address.instance(TENANT) for address in KEPT),
        RETIRED[0].instance("grace"),
        f"{RETIRED[0]}[0]",
        str(RETIRED[0]),
        f'{DATABASE}.{RETIRED[0].stem}["{TENANT}"]',
        f'{DATABASE}.{RETIRED[0].stem}_1A2B3C4D["{TENANT}"]',
        f'{USER}.{RETIRED[0].name}["{TENANT}"]',
        f'{DATABASE}.my_{RETIRED[0].name}["{TENANT}"]',
        f"module.x.{RETIRED[0].instance(TENANT)}",
        f"{RETIRED[0].instance(TENANT)}.x",
        RETIRED[0].instance(tenant_database(TENANT)),
    ],
)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_retired(address)
