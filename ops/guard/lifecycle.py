"""Whether the lifecycle of a tenant requests a delete: its entry left the file after it was retired.

Retirement moves what a tenant has to an address without `prevent_destroy` (docs/plan-guard.md has the contract). So a
delete is requested if it is a plain delete at such an address, and if nothing in the plans, in the operators' files and
in the lock of the base contradicts it.
"""

from model.addresses import DATABASE
from model.known_tenants import KnownTenant
from model.tenancy import Guard
from ops.change import Change
from ops.guard.known import Entry
from ops.guard.roles import (
    Role,
    generation_of,
    has_its_key,
    in_own_cluster,
    is_retired,
    keyed_tenant,
    tenant_of,
)
from ops.guard.text import quote
from ops.guard.world import World

EACH_KEY = "delete_because_each_key"
NO_BLOCK = "delete_because_no_resource_config"

# Terraform's action_reason, in words that end a sentence (its jsonplan package, plan.go).
_REASONS = {
    "": "the plan destroys everything",
    EACH_KEY: "its key is no longer in the map",
    NO_BLOCK: "its block is no longer in the configuration",
    "delete_because_count_index": "its number is not below the count",
    "delete_because_no_module": "its module is no longer in the configuration",
    "delete_because_wrong_repetition": "its block changed between count and for_each",
    "delete_because_no_move_target": "a moved block points to a block that does not exist",
    "replace_because_tainted": "it is tainted",
    "replace_by_request": "-replace requests it",
    "replace_by_triggers": "something that triggers its replacement changes",
}


def not_requested(change: Change, world: World) -> str:
    """Return why a delete of something that holds data is not requested; empty if the lifecycle requests it."""
    if change.creates:
        if change.replace_paths:
            return f"{quote(', '.join(change.replace_paths))} cannot be changed in place"
        return _reason(change)
    tenant = tenant_of(change)
    if not is_retired(change.address):
        return f"{_reason(change)}, and it is not retired" if tenant else _reason(change)
    return _not_plain(change, tenant, world) or _still_used(change, tenant, world)


def _not_plain(change: Change, tenant: str, world: World) -> str:
    """Return why a delete at a retired address is not a plain one; empty if it is."""
    if change.previous_address:
        return "it is retired and removed in one edit"
    if change.reason not in {EACH_KEY, NO_BLOCK}:
        return _reason(change)
    if keyed_tenant(change) != tenant:
        return f"it has the key of {world.who(change.stack, keyed_tenant(change))}"
    if change.kind == DATABASE and not has_its_key(change):
        return "it has the key of another generation"
    again = world.created_again(change)
    return f"a resource of the same name is created at {quote(again.address)}" if again else ""


def _still_used(change: Change, tenant: str, world: World) -> str:
    """Return why something at a retired address is still in use; empty if it is not."""
    entries = world.known.entries(change.stack)
    lock = world.known.lock(change.stack)
    entry = (entries or {}).get(tenant)
    directory = tuple(world.of_tenant(change.stack, tenant, Role.DIRECTORY))
    place = "dedicated" if in_own_cluster(change) else "shared"
    if lock is not None and not (tenant in lock and _was_retired(change, lock[tenant], place)):
        said = f"{quote(lock[tenant].status)} in" if tenant in lock else "unknown to"
        return f"it was not retired before: it is {said} the tenants.lock of the base"
    if entry or any(one.after for one in directory):
        if _is_a_copy(change, tenant, entry, world) or _is_left_behind(change, tenant, entry, world):
            return ""
        return (
            "its entry is still in tenants.yaml"
            if entry
            else "its directory entry stays, so the tenant still exists"
        )
    # With the last entry the block itself leaves the configuration, which does not prove that this tenant was removed.
    left = entries is not None or lock is not None or any(one.reason == EACH_KEY for one in directory)
    return "" if change.reason == EACH_KEY or left else _reason(change)


def _was_retired(change: Change, known: KnownTenant, place: str) -> bool:
    """Whether what is at a retired address was agreed on as retired: with its home, or its generation alone."""
    if getattr(known.homes, place) is Guard.RETIRED:
        return True
    return change.kind == DATABASE and known.database.retired == generation_of(change)


def _is_left_behind(change: Change, tenant: str, entry: Entry | None, world: World) -> bool:
    """Whether it is the database that a restore left behind: another generation serves, and stays in the same place."""
    if entry is None or change.kind != DATABASE or generation_of(change) in entry.database.there:
        return False
    return any(
        one.stays and generation_of(one) == entry.database.current
        for one in world.of_tenant(change.stack, tenant, Role.DATABASE)
        if in_own_cluster(one) is in_own_cluster(change)
    )


def _is_a_copy(change: Change, tenant: str, entry: Entry | None, world: World) -> bool:
    """Whether it is the copy that a moved tenant left behind: the tenant is served from its other home, which stays."""
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
