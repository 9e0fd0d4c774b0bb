"""What an address means: the contract between the stacks and this guard (docs/plan-guard.md)."""

import re
from enum import StrEnum

from model.naming import TENANT_PREFIX
from ops.change import Change
from ops.guard.kinds import CLUSTER, DATABASE, OBJECT, USER

# cdktf ends a resource's name with eight digits that are made of its construct's path.
_HASH = r"_[0-9A-F]{8}"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KEY = re.compile(rf"(?P<tenant>{_UUID})(_g\d+)?")
_DATABASE_NAME = re.compile(rf"{TENANT_PREFIX}(?P<tenant>{_UUID})(_g\d+)?")
_CLUSTER_NAME = re.compile(rf".+-pg-(?P<tenant>{_UUID})")
_OBJECT_KEY = re.compile(rf"tenants/(?P<tenant>{_UUID})\.json")
_ADDRESS_KEY = re.compile(rf'\["(?P<tenant>{_UUID})(_g\d+)?"\]')


class Role(StrEnum):
    """What a resource is to its tenant."""

    DATABASE = "database"
    USER = "user"
    CREDENTIALS = "credentials"
    REGISTRY = "registry entry"
    CLUSTER = "cluster of its own"
    PART_OF_CLUSTER = "part of its cluster"
    OTHER = "other"


_ROLES = {
    "tenant-plane_databases_database": Role.DATABASE,
    "tenant-plane_databases_retired": Role.DATABASE,
    "tenant-plane_databases_user": Role.USER,
    "tenant-plane_credentials_tenant": Role.CREDENTIALS,
    "control-plane_registry_tenant": Role.REGISTRY,
}
_DEDICATED = re.compile(r"tenant-plane_(?P<retired>retired-)?dedicated_(?P<what>[a-z-]+)")
_DEDICATED_ROLES = {"cluster": Role.CLUSTER, "database": Role.DATABASE, "user": Role.USER}


def role(change: Change) -> Role:
    """Say what a resource is to its tenant."""
    path = _path(change)
    if dedicated := _DEDICATED.fullmatch(path):
        return _DEDICATED_ROLES.get(dedicated["what"], Role.PART_OF_CLUSTER)
    return _ROLES.get(path, Role.OTHER)


def is_retired(address: str) -> bool:
    """Whether an address is one where retirement puts things, from which alone they may go."""
    return (
        re.fullmatch(
            rf'[a-z_]+\.tenant-plane_(databases_retired|retired-dedicated_[a-z-]+){_HASH}\["{_UUID}(_g\d+)?"\]',
            address,
        )
        is not None
    )


def is_dedicated(change: Change) -> bool:
    """Whether it belongs to a tenant's own cluster, and the tenant is not retired."""
    match = _DEDICATED.fullmatch(_path(change))
    return match is not None and not match["retired"]


def tenant_of(change: Change) -> str:
    """Return the id of the one tenant that a resource belongs to; empty if it is nobody's or everybody's.

    The physical name decides, for that is what the data lies under; the key serves where there is no such name.
    """
    return named_tenant(change) or keyed_tenant(change)


def named_tenant(change: Change) -> str:
    """Return the tenant in a resource's physical name, as it is now or else will be."""
    attributes = change.before or change.after
    patterns = {
        DATABASE: ("name", _DATABASE_NAME),
        USER: ("name", _DATABASE_NAME),
        CLUSTER: ("name", _CLUSTER_NAME),
        OBJECT: ("key", _OBJECT_KEY),
    }
    if change.kind not in patterns:
        return ""
    attribute, pattern = patterns[change.kind]
    match = pattern.fullmatch(str(attributes.get(attribute, "")))
    return match["tenant"] if match else ""


def keyed_tenant(change: Change) -> str:
    """Return the tenant in a resource's key."""
    match = _KEY.fullmatch(str(change.key))
    return match["tenant"] if match else ""


def tenant_in(address: str) -> str:
    """Return the tenant in an address's key."""
    match = _ADDRESS_KEY.search(address)
    return match["tenant"] if match else ""


def configuration_of(change: Change) -> tuple[str, str] | None:
    """Return group and object of a part of a group's configuration; None if it is none."""
    match = re.fullmatch(rf"config-(?P<group>[a-z0-9-]+)_(?P<object>[a-z0-9_-]+){_HASH}", change.block)
    return (match["group"], match["object"]) if match and change.kind == OBJECT else None


def _path(change: Change) -> str:
    return re.sub(rf"{_HASH}$", "", change.block)
