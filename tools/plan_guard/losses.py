"""What a plan would lose for good, and whether the tenants' lifecycle asked for it."""

from collections.abc import Iterator

from tools.plan_guard.finding import Finding, Rule, Severity, refused, warning
from tools.plan_guard.kinds import DATA, DATABASE, REBUILT, in_words
from tools.plan_guard.known import RETIRED, Entry
from tools.plan_guard.plan import Change, Plan
from tools.plan_guard.roles import Role, is_retired, keyed_tenant, named_tenant, tenant_in, tenant_of
from tools.plan_guard.text import quote
from tools.plan_guard.world import World

# Terraform's action_reason, in words that end a sentence (its jsonplan package, plan.go).
_REASONS = {
    "delete_because_each_key": "its key has left the map",
    "delete_because_count_index": "its number is beyond the count",
    "delete_because_no_resource_config": "its block has left the configuration",
    "delete_because_no_module": "its module has left the configuration",
    "delete_because_wrong_repetition": "its block repeats in another way (count, for_each)",
    "delete_because_no_move_target": "a moved block leads to a block that is not there",
    "replace_because_tainted": "it is marked as tainted",
    "replace_by_request": "-replace asks for it",
    "replace_by_triggers": "something that it follows changes",
}
_RETIRE_FIRST = (
    "Put the entry back. A tenant goes in two edits: `status: retired`, deployed; then the entry is removed."
)
_KEEP_ADDRESS = (
    "Keep address and name as they are, or move with a `moved` block; data that moves needs dump and restore."
)


def losses(world: World, first_deploys: frozenset[str]) -> Iterator[Finding]:
    """Find what goes, or is given up, and cannot be brought back.

    Args:
        world: the plans.
        first_deploys: stacks of which an operator says that nothing of them exists.
    """
    for change in world.changes:
        if change.deletes or change.forgets:
            yield from _gone(change, world)
        if change.previous_address and change.kind in DATA:
            yield from _moved(change, world)
    for plan in world.plans:
        yield from _lost_outside(plan, world)
        yield from _empty_state(plan, world, first_deploys)


def _gone(change: Change, world: World) -> Iterator[Finding]:
    if change.kind not in DATA:
        if change.kind not in REBUILT:
            yield refused(
                Rule.UNKNOWN_KIND,
                change,
                f"{quote(in_words(change.kind))} {quote(change.address)}",
                "goes, and the guard does not know whether this kind holds data",
                "Add the kind to tools/plan_guard/kinds.py, where it belongs.",
            )
        return
    tenants = world.tenants_at_stake(change)
    if change.forgets:
        yield refused(
            Rule.FORGOTTEN,
            change,
            world.data(change),
            "would be given up: it stays at DigitalOcean, unprotected and in nobody's plan",
            "Leave out the `removed` block.",
            tenants,
        )
    elif change.deposed:
        yield refused(
            Rule.DEPOSED,
            change,
            world.data(change),
            f"a replacement left it behind (deposed {quote(change.deposed)}), and it would go with {DATA[change.kind]}",
            "Find out which of the two objects holds the data before anything is deleted.",
            tenants,
        )
    elif why := _not_asked_for(change, world):
        again = world.created_again(change)
        if again:
            why = f"{why}; an empty one is created in its place at {quote(again.address)}"
        elif change.creates:
            why = f"{why}; an empty one is created in its place"
        yield refused(
            Rule.RECREATED if again or change.creates else Rule.LOSS,
            change,
            world.data(change),
            f"would be deleted, with {DATA[change.kind]}: {why}",
            _remedy(change, again),
            tenants,
        )


def _remedy(change: Change, again: Change | None) -> str:
    if change.reason == "replace_because_tainted":
        return f"Unmark it: terraform untaint {quote(repr(change.address))}"
    if change.reason == "replace_by_request":
        return "Plan without -replace."
    if again:
        return f"A `moved` block from {quote(change.address)} to {quote(again.address)} keeps it."
    if tenant_of(change) and not change.creates:
        return _RETIRE_FIRST
    return _KEEP_ADDRESS


def _not_asked_for(change: Change, world: World) -> str:
    """Say why the tenants' lifecycle did not ask for a delete; empty if it did."""
    tenant = tenant_of(change)
    if change.creates:
        forced = (
            f"{quote(', '.join(change.replace_paths))} cannot be changed in place"
            if change.replace_paths
            else ""
        )
        return forced or _REASONS.get(change.reason, "Terraform replaces it")
    reason = _REASONS.get(
        change.reason, "everything is to be destroyed" if not change.reason else quote(change.reason)
    )
    if not is_retired(change.address):
        return f"{reason}, and it is not retired" if tenant else reason
    if change.previous_address:
        return "it is retired and removed in one edit"
    if keyed_tenant(change) != tenant:
        return f"it stands under the key of {world.who(change.stack, keyed_tenant(change))}"
    if again := world.created_again(change):
        return (
            f"a database of the same name comes at {quote(again.address)}"
            if change.kind == DATABASE
            else reason
        )
    return _still_wanted(change, tenant, world)


def _still_wanted(change: Change, tenant: str, world: World) -> str:
    """Say why something at a retired address is still wanted; empty if it is not."""
    entries = world.known.entries(change.stack)
    lock = world.known.lock(change.stack)
    entry = (entries or {}).get(tenant)
    registered = any(
        one.after or one.actions == ("no-op",)
        for one in world.of_tenant(change.stack, tenant, Role.REGISTRY)
        if not one.deposed
    )
    if entry or registered:
        return (
            ""
            if _is_a_copy(change, tenant, entry, world)
            else (
                "its entry is still in tenants.yaml"
                if entry
                else "its registry entry stays, so its entry is still there"
            )
        )
    if lock is not None and lock.get(tenant) != RETIRED:
        said = f"{quote(lock[tenant])} in" if tenant in lock else "unknown to"
        return f"it was not retired before: it is {said} the tenants.lock of the base"
    if change.reason == "delete_because_each_key":
        return ""
    # The block itself is gone, which says nothing of the tenant: something else has to.
    if change.reason == "delete_because_no_resource_config" and (entries is not None or lock is not None):
        return ""
    return _REASONS.get(
        change.reason, "everything is to be destroyed" if not change.reason else quote(change.reason)
    )


def _is_a_copy(change: Change, tenant: str, entry: Entry | None, world: World) -> bool:
    """Whether it is what a tenant that stays left behind when it moved: its data is in its other home by now."""
    leaves_shared = "_databases_retired_" in change.address
    tier = entry.tier if entry else world.tier(change.stack, tenant)
    if tier != ("dedicated" if leaves_shared else "shared"):
        return False
    if entry and (entry.shared_copy if leaves_shared else entry.has_cluster):
        return False
    return any(
        one.stays
        for one in world.of_tenant(change.stack, tenant, Role.DATABASE)
        if ("dedicated_" in one.block) is leaves_shared
    )


def _moved(change: Change, world: World) -> Iterator[Finding]:
    source, target = tenant_in(change.previous_address), tenant_in(change.address)
    owner = named_tenant(change)
    if source == target and owner in {"", target}:
        return
    yield refused(
        Rule.FOREIGN_MOVE,
        change,
        world.data(change),
        f"a moved block takes it from {quote(change.previous_address)} to {quote(change.address)}: "
        f"{world.who(change.stack, target) if target else 'nobody'} would have it",
        "Move between addresses of one tenant only.",
        [tenant for tenant in (source, target, owner) if tenant],
    )


def _lost_outside(plan: Plan, world: World) -> Iterator[Finding]:
    created = {change.address for change in plan.changes if change.creates}
    for drift in plan.drift:
        if drift.kind not in DATA or not drift.deletes:
            continue
        again = drift.address in created
        make = refused if again else warning
        yield make(
            Rule.LOST_OUTSIDE,
            drift,
            world.data(drift),
            "was deleted outside of Terraform" + (", and an empty one would take its place" if again else ""),
            "Restore it first: an empty one hides the loss, and services write to it."
            if again
            else "Find out who deleted it.",
            world.tenants_at_stake(drift),
        )


def _empty_state(plan: Plan, world: World, first_deploys: frozenset[str]) -> Iterator[Finding]:
    """Find a plan that makes everything anew: a first deploy, or another state than the one that has it all."""
    data = [change for change in plan.changes if change.kind in DATA]
    if not data or not all(change.actions == ("create",) for change in plan.changes) or plan.drift:
        return
    if plan.stack in first_deploys:
        return
    lock = world.known.lock(plan.stack) or {}
    known = sorted({tenant for change in data if (tenant := tenant_of(change)) in lock})
    why = "its state is empty: everything would be made anew"
    if known:
        why = f"{why}, though the tenants.lock of the base knows {len(known)} of its tenants"
    yield Finding(
        Rule.EMPTY_STATE,
        Severity.REFUSED if known else Severity.WARNING,
        plan.stack,
        "",
        f"stack {quote(plan.stack)}",
        why,
        "Check backend, stack name and state key. If nothing of it was ever deployed: "
        f"--first-deploy {quote(plan.stack)}.",
        tuple(known),
    )
