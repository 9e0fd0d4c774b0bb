"""Whether the tenants' lifecycle asked for a delete: its entry left the file after it was retired, and nothing else.

Retirement moves what a tenant has to an address without `prevent_destroy` (docs/plan-guard.md has the contract). So a
delete is asked for if it is a plain delete at such an address; and everything else that the plans, the operators' files
and the base's lock file say has to agree.
"""

from model.tenancy import Guard
from ops.change import Change
from ops.guard.known import Entry
from ops.guard.roles import Role, in_own_cluster, is_retired, keyed_tenant, tenant_of
from ops.guard.text import quote
from ops.guard.world import World

EACH_KEY = "delete_because_each_key"
NO_BLOCK = "delete_because_no_resource_config"

# Terraform's action_reason, in words that end a sentence (its jsonplan package, plan.go).
_REASONS = {
    "": "everything is to be destroyed",
    EACH_KEY: "its key has left the map",
    NO_BLOCK: "its block has left the configuration",
    "delete_because_count_index": "its number is beyond the count",
    "delete_because_no_module": "its module has left the configuration",
    "delete_because_wrong_repetition": "its block repeats in another way (count, for_each)",
    "delete_because_no_move_target": "a moved block leads to a block that is not there",
    "replace_because_tainted": "it is marked as tainted",
    "replace_by_request": "-replace asks for it",
    "replace_by_triggers": "something that it follows changes",
}


def not_asked_for(change: Change, world: World) -> str:
    """Say why nobody asked for the delete of something that holds data; empty if the lifecycle did."""
    if change.creates:
        if change.replace_paths:
            return f"{quote(', '.join(change.replace_paths))} cannot be changed in place"
        return _reason(change)
    tenant = tenant_of(change)
    if not is_retired(change.address):
        return f"{_reason(change)}, and it is not retired" if tenant else _reason(change)
    return _not_so(change, tenant, world) or _still_wanted(change, tenant, world)


def _not_so(change: Change, tenant: str, world: World) -> str:
    """Say why this is not how something at a retired address goes; empty if it is."""
    if change.previous_address:
        return "it is retired and removed in one edit"
    if change.reason not in {EACH_KEY, NO_BLOCK}:
        return _reason(change)
    if keyed_tenant(change) != tenant:
        return f"it stands under the key of {world.who(change.stack, keyed_tenant(change))}"
    again = world.created_again(change)
    return f"one of the same name comes at {quote(again.address)}" if again else ""


def _still_wanted(change: Change, tenant: str, world: World) -> str:
    """Say why something at a retired address is still wanted; empty if it is not."""
    entries = world.known.entries(change.stack)
    lock = world.known.lock(change.stack)
    entry = (entries or {}).get(tenant)
    directory = tuple(world.of_tenant(change.stack, tenant, Role.DIRECTORY))
    place = "dedicated" if in_own_cluster(change) else "shared"
    if lock is not None and not (tenant in lock and getattr(lock[tenant].homes, place) is Guard.RETIRED):
        said = f"{quote(lock[tenant].status)} in" if tenant in lock else "unknown to"
        return f"it was not retired before: it is {said} the tenants.lock of the base"
    if entry or any(one.after for one in directory):
        if _is_a_copy(change, tenant, entry, world):
            return ""
        return (
            "its entry is still in tenants.yaml"
            if entry
            else "its directory entry stays, so its entry is there"
        )
    # With the last of them the block itself goes, which says nothing of the tenant: something else has to.
    left = entries is not None or lock is not None or any(one.reason == EACH_KEY for one in directory)
    return "" if change.reason == EACH_KEY or left else _reason(change)


def _is_a_copy(change: Change, tenant: str, entry: Entry | None, world: World) -> bool:
    """Whether a tenant that stays left it behind when it moved: it is served from its other home, which stays."""
    leaves_shared = not in_own_cluster(change)
    if leaves_shared and change.reason != EACH_KEY:
        return False
    tier = entry.tier if entry else world.tier(change.stack, tenant)
    if tier != ("dedicated" if leaves_shared else "shared"):
        return False
    if entry and (entry.shared_copy if leaves_shared else entry.has_cluster):
        return False
    return any(
        one.stays
        for one in world.of_tenant(change.stack, tenant, Role.DATABASE)
        if in_own_cluster(one) is leaves_shared
    )


def _reason(change: Change) -> str:
    return _REASONS.get(change.reason) or f"for the reason {quote(change.reason)}"
