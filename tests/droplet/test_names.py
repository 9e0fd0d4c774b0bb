"""The names that droplets work out are those that the model gives."""

import re
from uuid import UUID

import pytest

from droplet.names import (
    DATABASE_KEY,
    ISOLATION_LOCK,
    MOVE_LOCK,
    TENANT_DATABASE,
    TENANT_ID,
    Place,
    tenant_of,
)
from model.naming import database_key, owner_role, tenant_database, tenant_of_database, tenant_user

ID = str(UUID(int=0x3F0A4C1E, version=4))


@pytest.mark.parametrize("generation", [1, 2, 9, 10, 99])
def test_a_databases_names_are_the_models(generation: int) -> None:
    database = tenant_database(ID, generation)
    assert re.fullmatch(TENANT_DATABASE, database)
    assert re.fullmatch(DATABASE_KEY, database_key(ID, generation))
    assert Place(database).owner == owner_role(database)
    assert tenant_of(database) == tenant_of_database(database) == ID
    # By its name alone, a login belongs to one database (droplet/isolation/views.sql).
    assert re.sub("_g[1-9][0-9]*$", "", tenant_user(database_key(ID, generation), 3)) == database


@pytest.mark.parametrize("text", ["", "grace", ID.upper(), ID[:-1], f"{ID}0", f"{ID}_g1", "control_plane"])
def test_what_is_no_tenants_id(text: str) -> None:
    assert re.fullmatch(TENANT_ID, ID)
    assert not re.fullmatch(TENANT_ID, text)


@pytest.mark.parametrize("end", ["_r1", "_r0", "_r02", "_r", "_r2_g1", "_r2_owner", "_r2_r3"])
def test_what_is_no_tenants_database(end: str) -> None:
    assert not re.fullmatch(TENANT_DATABASE, f"tenant_{ID}{end}")
    assert not tenant_of(f"tenant_{ID}{end}")


def test_each_program_has_a_lock_of_its_own() -> None:
    """The isolation job visits databases that are being copied; with one lock it would wait for the copy."""
    assert ISOLATION_LOCK != MOVE_LOCK
