"""What a resource is to its tenant, by its address (model/addresses.py) and its physical name."""

import re
from dataclasses import dataclass
from enum import StrEnum

from model.addresses import (
    CLUSTER,
    DATABASE,
    DEDICATED,
    OBJECT,
    RESTORED_DATABASES,
    RETIRED_GENERATIONS,
    TENANT_CREDENTIALS,
    TENANT_DATABASES,
    TENANT_DIRECTORY,
    TENANT_USERS,
    USER,
    Address,
)
from model.naming import FIRST_GENERATION, TENANT_PREFIX
from model.tenancy import Guard
from ops.change import Change

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# A tenant's id, with the generation of its database, and for users with that of their credentials.
_TENANT = rf"(?P<tenant>{_UUID})(_r(?P<generation>\d+))?(_g\d+)?"
_KEY = re.compile(_TENANT)
_ADDRESS_KEY = re.compile(rf'\["{_TENANT}"\]')
_DATABASE_NAME = re.compile(rf"{TENANT_PREFIX}{_TENANT}")
# The attribute with the physical name, by kind, and where the tenant stands in it.
_NAMES = {
    DATABASE: ("name", _DATABASE_NAME),
    USER: ("name", _DATABASE_NAME),
    CLUSTER: ("name", re.compile(rf".+-pg-(?P<tenant>{_UUID})")),
    OBJECT: ("key", re.compile(rf"tenants/(?P<tenant>{_UUID})\.json")),
}


class Role(StrEnum):
    """What a resource is to its tenant."""

    DATABASE = "database"
    USER = "user"
    CREDENTIALS = "credentials"
    DIRECTORY = "directory entry"
    CLUSTER = "cluster of its own"
    PART_OF_CLUSTER = "part of its cluster"
    OTHER = "other"


@dataclass(frozen=True)
class _Place:
    """What is at an address.

    Attributes:
        role: what it is to its tenant.
        guard: whether it is kept, or retired and may be deleted.
        is_own: whether it belongs to a tenant's own cluster.
    """

    role: Role
    guard: Guard = Guard.KEPT
    is_own: bool = False


def _places() -> dict[Address, _Place]:
    places = {
        TENANT_USERS: _Place(Role.USER),
        RESTORED_DATABASES: _Place(Role.DATABASE),
        RETIRED_GENERATIONS: _Place(Role.DATABASE, Guard.RETIRED, is_own=True),
        TENANT_CREDENTIALS: _Place(Role.CREDENTIALS),
        TENANT_DIRECTORY: _Place(Role.DIRECTORY),
    }
    for guard, address in TENANT_DATABASES.items():
        places[address] = _Place(Role.DATABASE, guard)
    for guard, own in DEDICATED.items():
        for address, role in (
            (own.cluster, Role.CLUSTER),
            (own.config, Role.PART_OF_CLUSTER),
            (own.firewall, Role.PART_OF_CLUSTER),
            (own.database, Role.DATABASE),
            (own.restored, Role.DATABASE),
            (own.user, Role.USER),
        ):
            places[address] = _Place(role, guard, is_own=True)
    return places


_PLACES = _places()
# By the name without the digits at its end: what the guard protects must not depend on them.
_BY_STEM = {address.stem: place for address, place in _PLACES.items()}
# What may be deleted is known by the whole address.
_RETIRED = frozenset(str(address) for address, place in _PLACES.items() if place.guard is Guard.RETIRED)


def role(change: Change) -> Role:
    """Return what a resource is to its tenant."""
    place = _place(change)
    return place.role if place else Role.OTHER


def in_own_cluster(change: Change) -> bool:
    """Whether a resource belongs to a tenant's own cluster, retired or not."""
    place = _place(change)
    return place is not None and place.is_own


def is_kept_in_own_cluster(change: Change) -> bool:
    """Whether a resource belongs to a tenant's own cluster, and is not retired."""
    place = _place(change)
    return place is not None and place.is_own and place.guard is Guard.KEPT


def is_retired(address: str) -> bool:
    """Whether an address is one that retirement moves resources to; only there may they be deleted."""
    block, bracket, key = address.partition("[")
    return block in _RETIRED and _ADDRESS_KEY.fullmatch(bracket + key) is not None


def tenant_of(change: Change) -> str:
    """Return the tenant that a resource belongs to; empty if it belongs to none.

    The physical name decides, because the data is stored under it; the key decides where there is no such name.
    """
    return named_tenant(change) or keyed_tenant(change)


def named_tenant(change: Change) -> str:
    """Return the tenant in a resource's physical name, now or else after the apply."""
    if change.kind not in _NAMES:
        return ""
    attribute, pattern = _NAMES[change.kind]
    match = pattern.fullmatch(str((change.before or change.after).get(attribute, "")))
    return match["tenant"] if match else ""


def keyed_tenant(change: Change) -> str:
    """Return the tenant in a resource's key."""
    match = _KEY.fullmatch(str(change.key))
    return match["tenant"] if match else ""


def generation_of(change: Change) -> int:
    """Return which generation of its tenant's database a database is, by its physical name."""
    match = _DATABASE_NAME.fullmatch(str((change.before or change.after).get("name", "")))
    return int(match["generation"] or FIRST_GENERATION) if match else FIRST_GENERATION


def has_its_key(change: Change) -> bool:
    """Whether a tenant's database stands under its own key."""
    return str((change.before or change.after).get("name", "")) == f"{TENANT_PREFIX}{change.key}"


def tenant_in(address: str) -> str:
    """Return the tenant in an address's key."""
    match = _ADDRESS_KEY.search(address)
    return match["tenant"] if match else ""


def _place(change: Change) -> _Place | None:
    return _BY_STEM.get(_stem(change))


def _stem(change: Change) -> str:
    # cdktf ends a block's name with eight digits that it makes of the path.
    return re.sub(r"_[0-9A-F]{8}$", "", change.block)
