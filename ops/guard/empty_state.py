"""A plan that makes everything: a first deploy, a state that is lost, or a plan against the wrong state."""

from collections.abc import Iterator

from model.naming import is_disposable
from ops.guard.finding import Finding, Rule, Severity
from ops.guard.kinds import holds_data
from ops.guard.known import environment_of
from ops.guard.roles import tenant_of
from ops.guard.text import quote
from ops.guard.world import World
from ops.plan_json import Plan

_MOST = 5
"""How many of the things that exist are named."""


def makes_everything(plan: Plan) -> bool:
    """Tell whether a plan is of an empty state. The restore drill's always begins so, and does not count."""
    return (
        not is_disposable(plan.stack)
        and any(holds_data(change.kind) for change in plan.changes)
        and all(change.actions == ("create",) for change in plan.changes)
        and not plan.drift
    )


def empty_states(world: World, first_deploys: frozenset[str]) -> Iterator[Finding]:
    """Find plans that make everything.

    Args:
        world: the plans.
        first_deploys: stacks of which nothing exists yet, according to the operator.
    """
    for plan in world.plans:
        if makes_everything(plan) and plan.stack not in first_deploys:
            yield _finding(plan, world)


def _finding(plan: Plan, world: World) -> Finding:
    stack, known = plan.stack, world.known
    made = {tenant for change in plan.changes if holds_data(change.kind) and (tenant := tenant_of(change))}
    base = sorted(made & (known.lock(stack) or {}).keys())
    here = sorted(made & known.here.get(environment_of(stack), frozenset()))
    why = "has an empty state, so the plan creates everything"
    check = "Check the backend, the stack name and the state key"
    exists, asked = known.exists.get(stack, ()), stack in known.exists
    never = f"If this stack was never deployed: `presence360 guard` takes --first-deploy {quote(stack)}"
    severity, tenants, remedy = Severity.REFUSED, base, ""
    if exists:
        named = ", ".join(quote(one) for one in exists[:_MOST]) + (", ..." if len(exists) > _MOST else "")
        why = f"{why}, but {len(exists)} of it exist at DigitalOcean: {named}"
        remedy = (
            f"{check}. If they are right, the state is lost: put its last good version back, or take over what exists "
            f"with `presence360 adopt {quote(stack)}` (docs/runbooks/lost.md)."
        )
        tenants = here or base
    elif base:
        why = f"{why}, but the tenants.lock of the base lists {len(base)} of its tenants"
        remedy = (
            f"{check}. If this stack was never deployed, plan it without --base; `presence360 guard` takes "
            f"--first-deploy {quote(stack)}."
        )
    elif here and not asked:
        why = f"{why}, but its tenants.lock lists {len(here)} of its tenants, and nobody asked DigitalOcean what exists"
        remedy, tenants = f"{check}. `presence360 plan` asks DigitalOcean. {never}.", here
    else:
        severity = Severity.WARNING
        remedy = f"On a stack's first deploy this is normal. If it was deployed before, do not apply this. {check}."
    return Finding(
        Rule.EMPTY_STATE, severity, stack, "", f"stack {quote(stack)}", why, remedy, tuple(tenants)
    )
