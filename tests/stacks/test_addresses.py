"""model/addresses.py against what is synthesized: a construct whose id changes fails here."""

from collections.abc import Iterator
from dataclasses import fields

import pytest

from model import addresses
from model.addresses import Address, DedicatedAddresses
from model.tenancy import Guard
from tests.support import Stack

OF_EVERY_STACK = {
    "databases": addresses.TENANT_DATABASES[Guard.KEPT],
    "retired databases": addresses.TENANT_DATABASES[Guard.RETIRED],
    "users": addresses.TENANT_USERS,
    "credentials": addresses.TENANT_CREDENTIALS,
    "directory": addresses.TENANT_DIRECTORY,
    "dedicated clusters": addresses.DEDICATED[Guard.KEPT].cluster,
}
OF_CELLS = {
    addresses.CELL_POSTGRES,
    addresses.CELL_POSTGRES_CONFIG,
    addresses.CELL_POSTGRES_FIREWALL,
}


def constants() -> Iterator[Address]:
    """Every address that the module names, whatever it is kept in."""
    for value in vars(addresses).values():
        for one in value.values() if isinstance(value, dict) else [value]:
            if isinstance(one, Address):
                yield one
            elif isinstance(one, DedicatedAddresses):
                yield from (getattr(one, field.name) for field in fields(one))


@pytest.mark.parametrize("stack", ["staging_lives", "staging_cell_2", "staging", "production"])
def test_every_stack_with_tenants_has_these(stack: str, request: pytest.FixtureRequest) -> None:
    synthesized: Stack = request.getfixturevalue(stack)
    missing = {what for what, address in OF_EVERY_STACK.items() if str(address) not in synthesized.addresses}
    assert missing == set()


def test_every_named_address_is_there(staging_lives: Stack, staging_cell_2: Stack) -> None:
    # A retired tenant has no users.
    never = {addresses.DEDICATED[Guard.RETIRED].user}
    named = set(constants()) - never
    assert len(named) > 25
    missing = {
        str(address)
        for address in named
        if str(address) not in (staging_cell_2 if address in OF_CELLS else staging_lives).addresses
    }
    assert missing == set()


def test_what_belongs_to_a_group_or_a_cluster(production: Stack) -> None:
    for group in ("tenant", "control", "worker"):
        expected = [
            addresses.group_tag(group),
            addresses.firewall(group),
            addresses.config_bucket(group),
            addresses.group_key(group),
            *(addresses.config_object(group, key) for key in ("release.json", "settings.env", "nginx.conf")),
        ]
        assert {str(address) for address in expected} <= production.addresses
        assert addresses.user_data(group).name in production.json["locals"]
    found = {
        str(addresses.load_balancer("tenant")),
        str(addresses.droplet("control", 1)),
        str(addresses.postgres("shared")),
        str(addresses.postgres_config("shared")),
        str(addresses.postgres_firewall("shared")),
        str(addresses.config_object("control", "isolation/environment.json")),
    }
    assert found - production.addresses == set()


def test_the_objects_of_a_configuration_are_recognized_and_nothing_else_is(production: Stack) -> None:
    objects = {name for name in production.all("spaces_bucket_object") if name.startswith("config-")}
    assert {addresses.configuration_of(name) for name in objects} >= {
        ("tenant", "release-json"),
        ("control", "isolation-environment-json"),
    }
    assert None not in {addresses.configuration_of(name) for name in objects}
    elsewhere = {addresses.TENANT_DIRECTORY.name, "config-tenant_release-json_00000000", "config-tenant"}
    assert {addresses.configuration_of(name) for name in elsewhere} == {None}


def test_an_instance_has_its_key() -> None:
    assert (
        addresses.TENANT_DATABASES[Guard.KEPT].instance("a")
        == 'digitalocean_database_db.tenant-plane_databases_database_9CF76D82["a"]'
    )
    # Directly on a stack there are no digits, and an id that the one above ends in is not said twice.
    assert Address(addresses.BUCKET, "staging-state").name == "staging-state"
    assert addresses.PROJECT.name == "project_22F52B9F"
