"""Data that is gone at DigitalOcean already, and that a plan makes again, empty."""

from collections.abc import Iterator
from datetime import timedelta

from model.addresses import CLUSTER, DATABASE
from ops.change import Change
from ops.guard import shown
from ops.guard.accepted import LONGEST, Accepted
from ops.guard.finding import Finding, Rule, Severity, refused, warning
from ops.guard.kinds import holds_data
from ops.guard.known import environment_of
from ops.guard.roles import tenant_of
from ops.guard.text import quote
from ops.guard.world import World, listed
from ops.plan_json import Plan

_VALKEY = frozenset({"valkey", "redis"})
_PAGES = {
    CLUSTER: "docs/runbooks/restore-cluster.md",
    DATABASE: 'docs/runbooks/restore.md, "A whole database, into an empty one"',
}


def lost_outside(world: World, accepted: Accepted) -> Iterator[Finding]:
    """Find what was deleted outside of Terraform, and acceptances of what is not lost.

    Args:
        world: the plans.
        accepted: what people have accepted as lost.
    """
    lost: set[tuple[str, str]] = set()
    for plan in world.plans:
        for drift in _lost(plan):
            lost.add((environment_of(plan.stack), _name(drift, plan, world)))
            yield from _finding(drift, plan, world, accepted)
    yield from _not_lost(world, accepted, lost)


def _lost(plan: Plan) -> Iterator[Change]:
    return (one for one in plan.drift if one.deletes and holds_data(one.kind))


def _finding(drift: Change, plan: Plan, world: World, accepted: Accepted) -> Iterator[Finding]:
    made = {change.address for change in plan.changes if change.creates}
    gone, again = "was deleted outside of Terraform", ", and the plan makes an empty one"
    tenants = _at_stake(drift, plan, world)
    if drift.address not in made:
        yield warning(Rule.LOST_OUTSIDE, drift, world.data(drift), gone, "Find out who deleted it.", tenants)
    elif drift.before.get("engine") in _VALKEY:
        # It has no backup, and holds nothing that has to stay (docs/services-data.md): nothing can be restored first.
        yield warning(
            Rule.LOST_OUTSIDE,
            drift,
            world.data(drift),
            f"{gone}{again}: tasks that waited or ran, results and caches are gone",
            "Find out who deleted it. What has to be started again: docs/runbooks/lost.md, under Valkey.",
            tenants,
        )
    elif (cluster := _cluster_of(drift, plan)) is None or cluster.address not in made:
        yield _refused_unless_accepted(drift, plan, world, accepted, f"{gone}{again}")


def _at_stake(drift: Change, plan: Plan, world: World) -> list[str]:
    """Return the ids of the tenants whose data is lost: of a cluster, with what was lost in it."""
    inside = [tenant_of(one) for one in _inside(drift, plan)] if drift.kind == CLUSTER else []
    return sorted({*world.tenants_at_stake(drift), *filter(None, inside)})


def _refused_unless_accepted(
    drift: Change, plan: Plan, world: World, accepted: Accepted, why: str
) -> Finding:
    tenants = _at_stake(drift, plan, world)
    name, environment = _name(drift, plan, world), environment_of(plan.stack)
    what = world.data(drift)
    if drift.kind == CLUSTER and (inside := [one for one in _inside(drift, plan) if one.kind == DATABASE]):
        whose = sorted({world.who(plan.stack, tenant) for tenant in tenants})
        what = f"{what}, {len(inside)} in all{f', of {listed(whose)}' if whose else ''}"
    entry = accepted.entry(environment, name)
    fault = accepted.fault(entry) if entry else ""
    if entry and not fault:
        return warning(
            Rule.LOST_OUTSIDE,
            drift,
            what,
            f"{why}. That is accepted until {quote(entry.until)}: {quote(entry.reason)}",
            "Fill it before services write to it, and remove the entry of accepted_losses with the next edit.",
            tenants,
        )
    until = (accepted.today + timedelta(days=7)).isoformat()
    line = f'{{resource: {name}, until: "{until}", reason: ...}}'
    return refused(
        Rule.LOST_OUTSIDE,
        drift,
        what,
        f"{why}. Its loss was accepted {quote(fault)}" if fault else why,
        f"Restore it first: an empty one hides the loss, and services write to it. If it cannot come back at "
        f"DigitalOcean ({_PAGES.get(drift.kind, 'docs/runbooks/lost.md')}), accept the loss by a pull request: in "
        f"environments/{quote(environment)}/environment.yaml, `accepted_losses:` with an entry {quote(line)}, at most "
        f"{LONGEST.days} days ahead. It counts once it is committed.",
        tenants,
    )


def _not_lost(world: World, accepted: Accepted, lost: set[tuple[str, str]]) -> Iterator[Finding]:
    """Find acceptances that stayed: they would let the next loss of the same thing through."""
    planned: dict[str, list[Plan]] = {}
    for plan in world.plans:
        planned.setdefault(environment_of(plan.stack), []).append(plan)
    for environment, plans in planned.items():
        names = {
            _name(change, plan, world)
            for plan in plans
            for change in plan.changes
            if change.before and holds_data(change.kind) and not change.deposed
        }
        for entry in accepted.losses.get(environment, ()):
            if (environment, entry.resource) in lost:
                continue
            there = entry.resource in names
            yield Finding(
                Rule.LOST_OUTSIDE,
                Severity.REFUSED if there else Severity.WARNING,
                plans[0].stack,
                "",
                f"the accepted loss of {quote(entry.resource)}",
                "is of something that exists: an entry that stays would let its next loss through"
                if there
                else "is of nothing that these plans have lost or have",
                f"Remove the entry from accepted_losses in environments/{quote(environment)}/environment.yaml, and "
                "commit that.",
            )


def _inside(cluster: Change, plan: Plan) -> list[Change]:
    """Return what is lost with a lost cluster."""
    return [one for one in _lost(plan) if one.before.get("cluster_id") == cluster.before.get("id")]


def _cluster_of(drift: Change, plan: Plan) -> Change | None:
    """Return the cluster that a database was lost with; None if it is still there."""
    if drift.kind != DATABASE:
        return None
    return next(
        (one for one in _clusters(plan) if one.before.get("id") == drift.before.get("cluster_id")), None
    )


def _clusters(plan: Plan) -> Iterator[Change]:
    return (one for one in _lost(plan) if one.kind == CLUSTER)


def _name(change: Change, plan: Plan, world: World) -> str:
    """Return what an acceptance calls a resource: its name, and before that of a database the cluster's."""
    if change.kind != DATABASE:
        return shown.label(change)
    cluster = _cluster_of(change, plan) or world.cluster_of(change)
    return f"{shown.label(cluster)}/{shown.label(change)}" if cluster else shown.label(change)
