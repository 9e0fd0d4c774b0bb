"""The names that droplets work out are those that the model gives."""

import re
from uuid import UUID

import pytest

from droplet.names import ISOLATION_LOCK, MOVE_LOCK, TENANT_ID, Tenant
from model.naming import owner_role, tenant_database

ID = str(UUID(int=0x3F0A4C1E, version=4))


def test_a_tenants_names_are_the_models() -> None:
    assert Tenant(ID).database == tenant_database(ID)
    assert Tenant(ID).owner == owner_role(tenant_database(ID))


@pytest.mark.parametrize("text", ["", "grace", ID.upper(), ID[:-1], f"{ID}0", f"{ID}_g1", "control_plane"])
def test_what_is_no_tenants_id(text: str) -> None:
    assert re.fullmatch(TENANT_ID, ID)
    assert not re.fullmatch(TENANT_ID, text)


def test_each_program_has_a_lock_of_its_own() -> None:
    """The isolation job visits databases that are being copied; with one lock it would wait for the copy."""
    assert ISOLATION_LOCK != MOVE_LOCK
