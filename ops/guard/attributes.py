"""The types of the attributes that the rules read, as the provider's schemas have them (2.99.1).

A rule that meets another type would judge something that it does not understand: a text of tags, for example, is taken
for a list of letters. A plan with one is not judged.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

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
from ops.guard.kinds import CERTIFICATE, RECORD, VALKEY_CONFIG
from ops.plan_json import Plan

BUCKET_POLICY = "digitalocean_spaces_bucket_policy"

Shape = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(one is None or isinstance(one, str) for one in value)


def _blocks(**shapes: Shape) -> Shape:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(one, dict) and not list(_wrong(one, shapes)) for one in value
        )

    return fits


_NAMED: Mapping[str, Shape] = {"id": _text, "name": _text}
_IN_CLUSTER: Mapping[str, Shape] = {**_NAMED, "cluster_id": _text}
_EXPIRY = _blocks(days=_number, date=_text)

SHAPES: Mapping[str, Mapping[str, Shape]] = {
    CLUSTER: {
        **_NAMED,
        **dict.fromkeys(
            ("engine", "version", "region", "size", "eviction_policy", "private_network_uuid"), _text
        ),
        "node_count": _number,
        "backup_restore": _blocks(),
        "tags": _texts,
    },
    CLUSTER_FIREWALL: {"cluster_id": _text, "rule": _blocks(type=_text, value=_text)},
    DATABASE: _IN_CLUSTER,
    USER: _IN_CLUSTER,
    VALKEY_CONFIG: {"cluster_id": _text, "persistence": _text},
    BUCKET: {
        **_NAMED,
        "region": _text,
        "acl": _text,
        "force_destroy": _switch,
        "versioning": _blocks(enabled=_switch),
        "lifecycle_rule": _blocks(
            id=_text,
            prefix=_text,
            enabled=_switch,
            expiration=_EXPIRY,
            noncurrent_version_expiration=_EXPIRY,
        ),
    },
    OBJECT: dict.fromkeys(("id", "bucket", "key", "acl", "content", "region"), _text),
    BUCKET_POLICY: {"policy": _text},
    ZONE: _NAMED,
    RECORD: {**_NAMED, "domain": _text, "type": _text},
    CERTIFICATE: _NAMED,
    LOAD_BALANCER: _NAMED,
    DROPLET: {**_NAMED, "size": _text, "tags": _texts},
    POOL: {**_NAMED, "droplet_template": _blocks(tags=_texts)},
    FIREWALL: {
        **_NAMED,
        "tags": _texts,
        "inbound_rule": _blocks(protocol=_text, port_range=_text, source_addresses=_texts),
    },
}


def unknown_types(plan: Plan) -> Iterator[str]:
    """Yield the addresses and attributes of a plan whose values have another type, each as a sentence."""
    for change in plan.changes:
        shapes = SHAPES.get(change.kind, {})
        for attributes in (change.before, change.after):
            for name in _wrong(attributes, shapes):
                yield f"{plan.source}: `{name}` of {change.address} has a type that the provider does not write"


def _wrong(attributes: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Iterator[str]:
    for name, fits in shapes.items():
        value = attributes.get(name)
        if value is not None and not fits(value):
            yield name
