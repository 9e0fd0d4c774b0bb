"""Resources of a made-up configuration or state, and what the provider's source says of their kinds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from model.addresses import Address

PROVIDER = "registry.terraform.io/digitalocean/digitalocean"
SECRET = "hunter2-not-to-be-shown"  # noqa: S105  (made up: tests look for it in what the guard says)

# ForceNew in the provider's source (2.99.1), as far as these kinds are made here.
FORCES_NEW: Mapping[str, frozenset[str]] = {
    "digitalocean_certificate": frozenset({"name", "type", "domains"}),
    "digitalocean_database_cluster": frozenset({"name", "engine", "private_network_uuid", "project_id"}),
    "digitalocean_database_db": frozenset({"name", "cluster_id"}),
    "digitalocean_database_firewall": frozenset({"cluster_id"}),
    "digitalocean_database_logsink_rsyslog": frozenset({"name", "cluster_id"}),
    "digitalocean_database_postgresql_config": frozenset({"cluster_id"}),
    "digitalocean_database_user": frozenset({"name", "cluster_id"}),
    "digitalocean_database_valkey_config": frozenset({"cluster_id"}),
    "digitalocean_domain": frozenset({"name"}),
    "digitalocean_droplet": frozenset({"image", "region", "user_data", "vpc_uuid", "ssh_keys"}),
    "digitalocean_loadbalancer": frozenset({"vpc_uuid", "region", "type"}),
    "digitalocean_record": frozenset({"domain", "type"}),
    "digitalocean_spaces_bucket": frozenset({"region"}),
    "digitalocean_spaces_bucket_object": frozenset({"bucket", "region", "key"}),
    "digitalocean_volume": frozenset({"name", "region"}),
    "digitalocean_vpc": frozenset({"region", "ip_range"}),
    "terraform_data": frozenset({"triggers_replace"}),
}
# Computed by DigitalOcean, beside the id; the second table says which of it the provider marks as sensitive.
COMPUTED: Mapping[str, frozenset[str]] = {
    "digitalocean_database_cluster": frozenset({"host", "password", "uri"}),
    "digitalocean_database_user": frozenset({"password"}),
    "digitalocean_spaces_key": frozenset({"access_key", "secret_key"}),
}
SENSITIVE: Mapping[str, frozenset[str]] = {
    "digitalocean_database_cluster": frozenset({"password", "private_uri", "ui_password", "ui_uri", "uri"}),
    "digitalocean_database_user": frozenset({"access_cert", "access_key", "password"}),
    "digitalocean_spaces_key": frozenset({"secret_key"}),
}
# Attributes in `ignore_changes` (constructs_lib/lifecycle.py).
IGNORED: Mapping[str, frozenset[str]] = {"digitalocean_database_cluster": frozenset({"project_id"})}


@dataclass(frozen=True)
class Ref:
    """A reference to another resource's attribute."""

    address: str
    attribute: str = "id"

    @classmethod
    def to(cls, address: Address, attribute: str = "id", *, key: str | None = None) -> Self:
        """Refer to what is at one of the stacks' addresses."""
        return cls(str(address) if key is None else address.instance(key), attribute)


@dataclass(frozen=True)
class Needs:
    """A value that depends on references: it is known when they are."""

    value: Any
    refs: tuple[Ref, ...]


@dataclass(frozen=True)
class Resource:
    """A resource of a configuration or of a state.

    Attributes:
        kind: its type.
        block: its name.
        attributes: values; `Ref` or `Needs` for those that depend on other resources.
        key: the key of `for_each`, or the number of `count`.
        create_before_destroy: whether a replacement is made before the old object goes.
    """

    kind: str
    block: str
    attributes: Mapping[str, Any]
    key: str | int | None = None
    create_before_destroy: bool = False

    @property
    def address(self) -> str:
        """Terraform's address."""
        if self.key is None:
            return f"{self.kind}.{self.block}"
        return f"{self.kind}.{self.block}[{json.dumps(self.key)}]"

    @classmethod
    def at(
        cls,
        address: Address,
        attributes: Mapping[str, Any],
        key: str | None = None,
        *,
        create_before_destroy: bool = False,
    ) -> Self:
        """Make a resource at one of the stacks' addresses."""
        return cls(address.kind, address.name, attributes, key, create_before_destroy)

    def but(self, **attributes: Any) -> "Resource":
        """Return it with other attributes."""
        return replace(self, attributes={**self.attributes, **attributes})


Resources = dict[str, Resource]
"""By address."""


def at(resources: Iterable[Resource]) -> Resources:
    """Return resources by address."""
    return {resource.address: resource for resource in resources}


def exist(wanted: Resources) -> Resources:
    """Return the state after an apply of a configuration."""
    there: Resources = {}

    def value(wish: Any) -> Any:
        if isinstance(wish, Ref):
            return make(wanted[wish.address]).attributes[wish.attribute]
        if isinstance(wish, Needs):
            return wish.value
        return [value(one) for one in wish] if isinstance(wish, list) else wish

    def make(resource: Resource) -> Resource:
        if resource.address not in there:
            known = {name: value(wish) for name, wish in resource.attributes.items()}
            computed = {
                name: f"{SECRET}-{resource.address}"
                if name in SENSITIVE.get(resource.kind, ())
                else f"{name} of it"
                for name in COMPUTED.get(resource.kind, ())
            }
            there[resource.address] = replace(
                resource, attributes={"id": f"id of {resource.address}", **computed, **known}
            )
        return there[resource.address]

    for resource in wanted.values():
        make(resource)
    return there


def key_of(address: str) -> str | int | None:
    """Return the key in an address."""
    _, bracket, rest = address.partition("[")
    if not bracket:
        return None
    key = rest[:-1]
    return key[1:-1] if key.startswith('"') else int(key)
