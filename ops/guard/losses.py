"""Data that a plan would lose, unless the lifecycle of a tenant requests it."""

from collections.abc import Iterator

from model.addresses import DATABASE
from model.naming import FIRST_GENERATION, Names, is_disposable
from ops.change import Change
from ops.guard.finding import Finding, Rule, Severity, refused, warning
from ops.guard.kinds import contents, holds_data, is_known
from ops.guard.lifecycle import not_requested
from ops.guard.roles import generation_of, named_tenant, tenant_in, tenant_of
from ops.guard.text import quote
from ops.guard.world import World
from ops.plan_json import Plan

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


def losses(world: World, first_deploys: frozenset[str]) -> Iterator[Finding]:
    """Find what is deleted, or leaves the state, and cannot be restored.

    Args:
        world: the plans.
        first_deploys: stacks of which nothing exists yet, according to the operator.
    """
    for change in world.changes:
        if change.deletes or change.forgets:
            yield from _gone(change, world)
        if change.previous_address and holds_data(change.kind):
            yield from _moved(change, world)
    for plan in world.plans:
        yield from _lost_outside(plan, world)
        yield from _empty_state(plan, world, first_deploys)


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


def _lost_outside(plan: Plan, world: World) -> Iterator[Finding]:
    created = {change.address for change in plan.changes if change.creates}
    for drift in plan.drift:
        if not holds_data(drift.kind) or not drift.deletes:
            continue
        again = drift.address in created
        make = refused if again else warning
        yield make(
            Rule.LOST_OUTSIDE,
            drift,
            world.data(drift),
            "was deleted outside of Terraform" + (", and the plan makes an empty one" if again else ""),
            "Restore it first: an empty one hides the loss, and services write to it."
            if again
            else "Find out who deleted it.",
            world.tenants_at_stake(drift),
        )


def _empty_state(plan: Plan, world: World, first_deploys: frozenset[str]) -> Iterator[Finding]:
    """Find a plan that creates everything: a first deploy, or a plan against the wrong state."""
    data = [change for change in plan.changes if holds_data(change.kind)]
    # The restore drill's always begins so.
    if (
        is_disposable(plan.stack)
        or not data
        or not all(change.actions == ("create",) for change in plan.changes)
        or plan.drift
    ):
        return
    if plan.stack in first_deploys:
        return
    lock = world.known.lock(plan.stack) or {}
    known = sorted({tenant for change in data if (tenant := tenant_of(change)) in lock})
    why = "has an empty state, so the plan creates everything"
    check = "Check the backend, the stack name and the state key"
    if known:
        why = f"{why}, but the tenants.lock of the base lists {len(known)} of its tenants"
    yield Finding(
        Rule.EMPTY_STATE,
        Severity.REFUSED if known else Severity.WARNING,
        plan.stack,
        "",
        f"stack {quote(plan.stack)}",
        why,
        f"{check}. If this stack was never deployed, plan it without --base; `presence360 guard` takes "
        f"--first-deploy {quote(plan.stack)}."
        if known
        else f"On a stack's first deploy this is normal. If it was deployed before, do not apply this. {check}.",
        tuple(known),
    )
