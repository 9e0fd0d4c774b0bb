"""Which values of a plan the guard repeats. All others stay unsaid, whether they are marked as sensitive or not."""

from collections.abc import Mapping

from model.addresses import (
    BUCKET,
    CLUSTER,
    CLUSTER_FIREWALL,
    DATABASE,
    DROPLET,
    FIREWALL,
    LOAD_BALANCER,
    OBJECT,
    POOL,
    USER,
    ZONE,
)
from ops.change import Change
from ops.guard.kinds import RECORD

# User data and the contents of objects hold keys that no mark follows, so this is a list of what may be shown. Of the
# blocks in it, only prefixes, addresses, protocols and ports are.
SHOWN: Mapping[str, frozenset[str]] = {
    CLUSTER: frozenset({"name", "engine", "version", "region", "size", "node_count", "eviction_policy"}),
    DATABASE: frozenset({"name"}),
    USER: frozenset({"name"}),
    CLUSTER_FIREWALL: frozenset({"rule"}),
    BUCKET: frozenset({"name", "region", "acl", "lifecycle_rule"}),
    OBJECT: frozenset({"bucket", "key", "acl"}),
    ZONE: frozenset({"name"}),
    RECORD: frozenset({"domain", "name", "type"}),
    DROPLET: frozenset({"name", "size"}),
    POOL: frozenset({"name"}),
    FIREWALL: frozenset({"name", "inbound_rule"}),
    LOAD_BALANCER: frozenset({"name"}),
}


def may_show(change: Change, attribute: str) -> bool:
    """Whether an attribute's value may be repeated."""
    return attribute in SHOWN.get(change.kind, ()) and attribute not in change.hidden


def before(change: Change, attribute: str) -> str:
    """Return an attribute's value now; empty if it has none, or if it must not be shown."""
    return _text(change, attribute, change.before)


def after(change: Change, attribute: str) -> str:
    """Return an attribute's value after the apply; empty if it has none, or if it must not be shown."""
    return _text(change, attribute, change.after)


def either(change: Change, attribute: str) -> str:
    """Return an attribute's value now, or else after the apply."""
    return before(change, attribute) or after(change, attribute)


def label(change: Change) -> str:
    """Return a resource's physical name, or its address where it has no name that may be shown."""
    return either(change, "name") or change.address


def _text(change: Change, attribute: str, attributes: Mapping[str, object]) -> str:
    value = attributes.get(attribute) if may_show(change, attribute) else None
    return str(value) if isinstance(value, (str, int)) else ""
