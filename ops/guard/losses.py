"""Data that a plan would lose, unless the lifecycle of a tenant requests it."""

from collections.abc import Iterator

from model.addresses import DATABASE
from model.naming import FIRST_GENERATION, Names, is_disposable
from ops.change import Change
from ops.guard.finding import Finding, Rule, refused
from ops.guard.kinds import contents, holds_data, is_known
from ops.guard.lifecycle import not_requested
from ops.guard.roles import generation_of, named_tenant, tenant_in, tenant_of
from ops.guard.text import quote
from ops.guard.world import World

_RETIRE_FIRST = (
    "Put the entry back. Removing a tenant takes two edits: "
    "set `status: retired` and deploy; then remove the entry."
)
_FINISH_FIRST = (
    "Put the line back. A database beside the one that is served leaves in two edits: "
    "`presence360 restore finish` or `abandon`, a deploy, and the same once more."
)
_KEEP_ADDRESS = (
    "Keep its address and name, or move it with a `moved` block. "
    "Data that has to move needs a dump and a restore."
)


def losses(world: World) -> Iterator[Finding]:
    """Find what a plan deletes, or drops from the state, and cannot be restored."""
    for change in world.changes:
        if change.deletes or change.forgets:
            yield from _gone(change, world)
        if change.previous_address and holds_data(change.kind):
            yield from _moved(change, world)


def is_thrown_away(change: Change) -> bool:
    """Tell whether a resource is the restore drill's own: in its stack, under its name. An import makes nothing so."""
    return (
        is_disposable(change.stack)
        and not change.creates
        and str(change.before.get("name")) in {change.stack, Names(change.stack).project}
    )


def _gone(change: Change, world: World) -> Iterator[Finding]:
    if not holds_data(change.kind) or is_thrown_away(change):
        return
    tenants = world.tenants_at_stake(change)
    if change.forgets:
        yield refused(
            Rule.FORGOTTEN,
            change,
            world.data(change),
            "would leave Terraform's state: it stays at DigitalOcean, unprotected, and no plan shows it",
            "Remove the `removed` block.",
            tenants,
        )
    elif change.deposed:
        yield refused(
            Rule.DEPOSED,
            change,
            world.data(change),
            f"an unfinished replacement left it behind (deposed {quote(change.deposed)}); it would be deleted, with "
            f"{contents(change.kind)}",
            "Find out which of the two objects holds the data before either is deleted.",
            tenants,
        )
    elif not is_known(change.kind) and not change.creates and not world.created_again(change):
        yield refused(
            Rule.UNKNOWN_KIND,
            change,
            world.data(change),
            "would be deleted, and the guard does not know whether this kind holds data",
            "Add the kind to the right table in ops/guard/kinds.py.",
            tenants,
        )
    elif why := not_requested(change, world):
        again = world.created_again(change)
        if again:
            why = f"{why}; an empty one is created in its place at {quote(again.address)}"
        elif change.creates:
            why = f"{why}; an empty one is created in its place"
        yield refused(
            Rule.RECREATED if again or change.creates else Rule.LOSS,
            change,
            world.data(change),
            f"would be deleted, with {contents(change.kind)}: {why}",
            _remedy(change, again),
            tenants,
        )


def _remedy(change: Change, again: Change | None) -> str:
    if change.reason == "replace_because_tainted":
        return f"Remove the mark: terraform untaint {quote(repr(change.address))}"
    if change.reason == "replace_by_request":
        return "Plan without -replace."
    if again:
        return f"A `moved` block from {quote(change.address)} to {quote(again.address)} keeps it."
    if tenant_of(change) and not change.creates:
        return (
            _FINISH_FIRST
            if change.kind == DATABASE and generation_of(change) > FIRST_GENERATION
            else _RETIRE_FIRST
        )
    return _KEEP_ADDRESS


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
        f"it would belong to {world.who(change.stack, target) if target else 'no tenant'}",
        "Move it only between addresses of one tenant.",
        [tenant for tenant in (source, target, owner) if tenant],
    )
