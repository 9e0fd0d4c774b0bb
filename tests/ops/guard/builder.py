"""Plans as `terraform show -json` writes them, made without Terraform: what is there, what is wanted, what follows.

Only what the guard reads is made. test_real.py compares it with what Terraform writes, where it has a provider.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

PROVIDER = "registry.terraform.io/digitalocean/digitalocean"
SECRET = "hunter2-not-to-be-shown"

# ForceNew in the provider's source (2.99.1), as far as these kinds are made here.
FORCES_NEW: Mapping[str, frozenset[str]] = {
    "digitalocean_certificate": frozenset({"name", "type", "domains"}),
    "digitalocean_database_cluster": frozenset({"name", "engine", "private_network_uuid", "project_id"}),
    "digitalocean_database_db": frozenset({"name", "cluster_id"}),
    "digitalocean_database_firewall": frozenset({"cluster_id"}),
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
# What only DigitalOcean knows, beside the id, and which of it the provider marks sensitive.
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
# Attributes that are left to whoever changed them by hand: `ignore_changes` in constructs_lib/lifecycle.py.
IGNORED: Mapping[str, frozenset[str]] = {"digitalocean_database_cluster": frozenset({"project_id"})}


@dataclass(frozen=True)
class Ref:
    """Another resource's attribute."""

    address: str
    attribute: str = "id"


@dataclass(frozen=True)
class Needs:
    """A value that is computed from others': known when they are."""

    value: Any
    refs: tuple[Ref, ...]


@dataclass(frozen=True)
class Resource:
    """What is wanted, or there.

    Attributes:
        kind: its type.
        block: its name.
        attributes: a `Ref` or a `Needs` where it depends on others.
        key: of its `for_each`, or its number.
        create_before_destroy: whether a replacement comes first.
    """

    kind: str
    block: str
    attributes: Mapping[str, Any]
    key: str | int | None = None
    create_before_destroy: bool = False

    @property
    def address(self) -> str:
        if self.key is None:
            return f"{self.kind}.{self.block}"
        return f"{self.kind}.{self.block}[{self.key}]" if isinstance(self.key, int) else self._keyed

    @property
    def _keyed(self) -> str:
        return f'{self.kind}.{self.block}["{self.key}"]'

    def but(self, **attributes: Any) -> "Resource":
        """Return it with other attributes."""
        return replace(self, attributes={**self.attributes, **attributes})


Resources = dict[str, Resource]
"""By address."""
Tenants = Mapping[str, Mapping[str, str]]


def at(resources: Iterable[Resource]) -> Resources:
    """Return resources by address."""
    return {resource.address: resource for resource in resources}


def exist(wanted: Resources) -> Resources:
    """Return what is there once everything that is wanted was made."""
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


@dataclass
class Situation:
    """A state, and a configuration that is planned on it.

    Attributes:
        there: what exists.
        wanted: what is wanted.
        moves: `moved` blocks: from, to.
        removed: blocks that `removed` gives up.
        tainted: addresses.
        replaced: addresses, by -replace.
        deposed: addresses with an object that a replacement left behind.
        drifted: addresses that somebody changed outside, by what they did.
        empty_blocks: blocks whose `for_each` is empty.
        destroy: plan -destroy.
        tenants_there: the output `tenants`, as it is.
        tenants_wanted: as it will be.
        extra: more keys of the plan, or others instead.
    """

    there: Resources
    wanted: Resources
    moves: list[tuple[str, str]] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    tainted: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    deposed: set[str] = field(default_factory=set)
    drifted: dict[str, str] = field(default_factory=dict)
    empty_blocks: Collection[str] = ()
    destroy: bool = False
    tenants_there: Tenants = field(default_factory=dict)
    tenants_wanted: Tenants = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def plan(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return _Planner(self).plan()


class _Planner:
    def __init__(self, situation: Situation) -> None:
        self._it = situation
        self._there = dict(situation.there)
        for address, what in situation.drifted.items():
            if what == "delete":
                del self._there[address]
        # What is there before moves is what the prior state shows.
        self._prior = dict(self._there)
        self._moved: dict[str, str] = {}
        for source, target in situation.moves:
            if source in self._there and target not in self._there:
                self._there[target] = self._there.pop(source)
                self._moved[target] = self._moved.pop(source, source)
        self._wanted = {} if situation.destroy else situation.wanted
        self._blocks = {f"{one.kind}.{one.block}": one for one in self._wanted.values()}
        self._changes: dict[str, dict[str, Any]] = {}

    def plan(self) -> dict[str, Any]:
        for address in sorted(self._there.keys() | self._wanted.keys()):
            self._change(address)
        changes = [self._changes[address] for address in sorted(self._changes)]
        changes += [self._deposed(address) for address in sorted(self._it.deposed)]
        return {
            "format_version": "1.2",
            "terraform_version": "1.11.4",
            "planned_values": self._values(self._wanted, self._it.tenants_wanted),
            "resource_drift": [
                self._drift(address, what) for address, what in sorted(self._it.drifted.items())
            ],
            "resource_changes": changes,
            "prior_state": {
                "format_version": "1.0",
                "terraform_version": "1.11.4",
                "values": self._values(self._prior, self._it.tenants_there),
            },
            "configuration": {"root_module": {}},
            "timestamp": "2026-01-01T00:00:00Z",
            "applyable": True,
            "complete": True,
            "errored": False,
            **self._it.extra,
        }

    def _change(self, address: str) -> dict[str, Any]:
        if address not in self._changes:
            there, wanted = self._there.get(address), self._wanted.get(address)
            if wanted is None:
                assert there is not None
                entry = self._gone(address, there)
            elif there is None:
                entry = self._entry(wanted, address, ["create"], None, self._resolved(wanted, None))
            else:
                entry = self._both(address, there, wanted)
            if address in self._moved:
                entry["previous_address"] = self._moved[address]
            self._changes[address] = entry
        return self._changes[address]

    def _gone(self, address: str, there: Resource) -> dict[str, Any]:
        block = f"{there.kind}.{there.block}"
        forgotten = block in self._it.removed
        entry = self._entry(there, address, ["forget" if forgotten else "delete"], there.attributes, None)
        if not self._it.destroy:
            entry["action_reason"] = self._why(address, there)
        return entry

    def _why(self, address: str, there: Resource) -> str:
        block = f"{there.kind}.{address.partition('.')[2].partition('[')[0]}"
        key = there_key(address)
        if block in self._blocks:
            if type(self._blocks[block].key) is not type(key):
                return "delete_because_wrong_repetition"
            return "delete_because_each_key" if isinstance(key, str) else "delete_because_count_index"
        if block in self._it.empty_blocks:
            return "delete_because_each_key"
        return (
            "delete_because_no_move_target" if address in self._moved else "delete_because_no_resource_config"
        )

    def _both(self, address: str, there: Resource, wanted: Resource) -> dict[str, Any]:
        known, unknown = self._resolved(wanted, there)
        before = there.attributes
        ignored = IGNORED.get(wanted.kind, frozenset())
        known.update({name: before.get(name) for name in ignored if name in known})
        unknown -= ignored
        differing = {
            name for name in wanted.attributes if name in unknown or known.get(name) != before.get(name)
        }
        differing -= ignored
        forced = sorted(differing & FORCES_NEW.get(wanted.kind, frozenset()))
        reason = (
            "replace_because_tainted"
            if address in self._it.tainted
            else "replace_because_cannot_update"
            if forced
            else "replace_by_request"
            if address in self._it.replaced
            else ""
        )
        if reason:
            actions = ["create", "delete"] if wanted.create_before_destroy else ["delete", "create"]
            entry = self._entry(wanted, address, actions, before, self._resolved(wanted, None))
            entry["action_reason"] = reason
            if forced:
                entry["change"]["replace_paths"] = [[name] for name in forced]
            return entry
        action = "update" if differing else "no-op"
        return self._entry(wanted, address, [action], before, ({**before, **known}, unknown))

    def _resolved(self, wanted: Resource, there: Resource | None) -> tuple[dict[str, Any], set[str]]:
        """Return what is known of a wish, and what is not; what is new gets its id later."""
        known: dict[str, Any] = {}
        unknown = set() if there else {"id", *COMPUTED.get(wanted.kind, ())}
        for name, wish in wanted.attributes.items():
            try:
                known[name] = self._value(wish)
            except _UnknownError:
                unknown.add(name)
        return known, unknown

    def _value(self, wish: Any) -> Any:
        if isinstance(wish, Needs):
            for ref in wish.refs:
                self._value(ref)
            return wish.value
        if isinstance(wish, list):
            return [self._value(one) for one in wish]
        if not isinstance(wish, Ref):
            return wish
        target = self._change(wish.address)["change"]
        after = target["after"] or {}
        if wish.attribute in after and not target["after_unknown"].get(wish.attribute):
            return after[wish.attribute]
        raise _UnknownError

    def _entry(
        self,
        resource: Resource,
        address: str,
        actions: list[str],
        before: Mapping[str, Any] | None,
        resolved: tuple[dict[str, Any], set[str]] | None,
    ) -> dict[str, Any]:
        key = there_key(address)
        after, unknown = resolved if resolved else (None, set[str]())
        marks = dict.fromkeys(SENSITIVE.get(resource.kind, ()), True)
        return {
            "address": address,
            "mode": "managed",
            "type": resource.kind,
            "name": address.partition(".")[2].partition("[")[0],
            **({} if key is None else {"index": key}),
            "provider_name": PROVIDER,
            "change": {
                "actions": actions,
                "before": None if before is None else dict(before),
                "after": after,
                "after_unknown": dict.fromkeys(sorted(unknown), True),
                "before_sensitive": False if before is None else marks,
                "after_sensitive": False if after is None else marks,
            },
        }

    def _deposed(self, address: str) -> dict[str, Any]:
        there = self._there[address]
        return {**self._entry(there, address, ["delete"], there.attributes, None), "deposed": "deadbeef"}

    def _drift(self, address: str, what: str) -> dict[str, Any]:
        there = self._it.there[address]
        after = None if what == "delete" else ({**there.attributes, "by_hand": SECRET}, set[str]())
        return self._entry(there, address, [what], there.attributes, after)

    def _values(self, resources: Resources, tenants: Tenants) -> dict[str, Any]:
        return {
            "outputs": {"tenants": {"sensitive": False, "type": "map", "value": tenants}} if tenants else {},
            "root_module": {
                "resources": [
                    {
                        "address": address,
                        "mode": "managed",
                        "type": resource.kind,
                        "name": resource.block,
                        "values": {
                            name: value
                            for name, value in resource.attributes.items()
                            if not isinstance(value, (Ref, Needs, list))
                        },
                    }
                    for address, resource in sorted(resources.items())
                ]
            },
        }


class _UnknownError(Exception):
    """A value is known after the apply only."""


def there_key(address: str) -> str | int | None:
    """Return the key in an address."""
    _, bracket, rest = address.partition("[")
    if not bracket:
        return None
    key = rest[:-1]
    return key[1:-1] if key.startswith('"') else int(key)
