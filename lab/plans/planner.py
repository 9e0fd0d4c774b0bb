"""Plans as `terraform show -json` writes them, made without Terraform from a state and a configuration.

Only what ops/plan_json.py reads is made. tests/ops/guard/test_real.py compares it with what Terraform writes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.plans.resources import (
    COMPUTED,
    FORCES_NEW,
    IGNORED,
    PROVIDER,
    SECRET,
    SENSITIVE,
    Needs,
    Ref,
    Resource,
    Resources,
    key_of,
)

Tenants = Mapping[str, Mapping[str, str]]


@dataclass
class Situation:
    """A state, and a configuration to plan against it.

    Attributes:
        there: the state.
        wanted: the configuration.
        moves: `moved` blocks: from, to.
        removed: blocks in `removed`.
        tainted: addresses.
        replaced: addresses, by -replace.
        deposed: addresses with a deposed object.
        drifted: the action that was done outside of Terraform, by address.
        empty_blocks: blocks whose `for_each` is empty.
        destroy: plan -destroy.
        tenants_there: the output `tenants`, as it is.
        tenants_wanted: as it will be.
        extra: keys of the plan that are added or replaced.
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
    """Makes one plan."""

    def __init__(self, situation: Situation) -> None:
        self._it = situation
        self._there = dict(situation.there)
        for address, what in situation.drifted.items():
            if what == "delete":
                del self._there[address]
        # The prior state is the state before moves.
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
        """Make it."""
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
            if there is None:
                wanted = self._wanted[address]
                entry = self._entry(wanted, address, ["create"], None, self._resolved(wanted, None))
            elif wanted is None:
                entry = self._gone(address, there)
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
        key = key_of(address)
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
        key = key_of(address)
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
