"""Changes in place that delete nothing now but cannot be undone later."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from model.addresses import BUCKET, CLUSTER
from ops.change import Change
from ops.guard import shown
from ops.guard.finding import Finding, Rule, refused, warning
from ops.guard.kinds import VALKEY_CONFIG
from ops.guard.text import quote
from ops.guard.world import World

_SIZE = re.compile(r"(\d+)vcpu-(\d+)gb")
# Attributes that decide which data a cluster holds, and where. DigitalOcean changes `region` in place, by a migration
# (the provider's resource_database_cluster.go); the others force a replacement today.
_IDENTITY = ("name", "engine", "region", "private_network_uuid")


def quiet_dangers(world: World) -> Iterator[Finding]:
    """Find harmful updates."""
    for change in world.changes:
        if change.kind == BUCKET and change.updates:
            yield from _bucket(change, world)
        elif change.kind == CLUSTER and not change.deposed:
            yield from _cluster(change, world)
        elif change.kind == VALKEY_CONFIG and change.updates:
            yield from _persistence(change, world)


def _bucket(change: Change, world: World) -> Iterator[Finding]:
    what = world.data(change)
    if _enabled(change.before) and not _enabled(change.after):
        yield refused(
            Rule.NO_WAY_BACK,
            change,
            what,
            "would keep no earlier versions of objects",
            "Keep versioning on: it is the only way to undo a mistake.",
        )
    if change.after.get("force_destroy") and not change.before.get("force_destroy"):
        yield refused(
            Rule.NO_WAY_BACK,
            change,
            what,
            "would be deleted with all its objects by the next delete (force_destroy)",
            "Leave force_destroy off, and empty a bucket by hand.",
        )
    if change.changed("name"):
        yield refused(
            Rule.NO_WAY_BACK,
            change,
            what,
            "would get another name in the state only: the provider renames no bucket",
            "Keep the name. To move objects, make a new bucket and copy them.",
        )
    yield from _expiry(change, what)


def _enabled(bucket: Mapping[str, Any]) -> bool:
    return any(one.get("enabled") for one in bucket.get("versioning") or ())


def _expiry(change: Change, what: str) -> Iterator[Finding]:
    for block, objects in (("expiration", "objects"), ("noncurrent_version_expiration", "earlier versions")):
        before, after = _days(change.before, block), _days(change.after, block)
        for prefix, days in sorted(after.items()):
            covering = [was for start, was in before.items() if prefix.startswith(start)]
            if covering and min(covering) <= days:
                continue
            sooner = (
                f"after {days} days instead of {min(covering)}"
                if covering
                else f"after {days} days, for the first time"
            )
            where = quote(prefix) if shown.may_show(change, "lifecycle_rule") else "a prefix"
            whole = block == "expiration" and not prefix and not covering
            make = refused if whole else warning
            yield make(
                Rule.EXPIRY,
                change,
                what,
                f"would delete {objects} under {where} {sooner}"
                if prefix
                else f"would delete {objects} anywhere in the bucket {sooner}",
                "Give a rule that deletes objects a prefix."
                if whole
                else "Check this: older objects are deleted within a day of the deploy, and cannot be restored.",
            )


def _days(bucket: Mapping[str, Any], block: str) -> dict[str, float]:
    """Return the days after which objects under each prefix are deleted; a fixed date counts as 0."""
    found: dict[str, float] = {}
    for rule in bucket.get("lifecycle_rule") or ():
        if not rule.get("enabled"):
            continue
        for limit in rule.get(block) or ():
            days = 0 if limit.get("date") else limit.get("days")
            if isinstance(days, (int, float)) and (days or limit.get("date")):
                prefix = str(rule.get("prefix") or "")
                found[prefix] = min(days, found.get(prefix, days))
    return found


def _cluster(change: Change, world: World) -> Iterator[Finding]:
    tenants = world.tenants_at_stake(change)
    what = world.data(change)
    if change.creates and change.after.get("backup_restore"):
        yield warning(
            Rule.CLUSTER_CHANGE,
            change,
            what,
            "is restored from another cluster's backup",
            "Check that this is the intended restore.",
            tenants,
        )
    if not change.updates:
        return
    for attribute in _IDENTITY:
        if change.changed(attribute):
            yield refused(
                Rule.CLUSTER_CHANGE,
                change,
                what,
                f"{attribute} would change from {_or(shown.before(change, attribute))} to "
                f"{_or(shown.after(change, attribute))}: its data moves, and nothing else moves with it",
                "Make a second cluster and move the data with dump and restore.",
                tenants,
            )
    if change.before.get("eviction_policy") == "noeviction" and change.changed("eviction_policy"):
        yield refused(
            Rule.CLUSTER_CHANGE,
            change,
            what,
            "would delete queued jobs when its memory is full, instead of refusing new ones",
            "Keep `noeviction`: it holds queues.",
        )
    if change.changed("version"):
        yield warning(
            Rule.CLUSTER_CHANGE,
            change,
            what,
            f"version {_or(shown.before(change, 'version'))} would become {_or(shown.after(change, 'version'))}",
            "Try it on a restored copy first: an upgrade cannot be undone.",
            tenants,
        )
    if change.changed("backup_restore"):
        yield warning(
            Rule.CLUSTER_CHANGE,
            change,
            what,
            "would not be restored: backup_restore has no effect on an existing cluster",
            "A restore makes a new cluster: give it a key of its own.",
            tenants,
        )
    for attribute, of in (
        ("node_count", "fewer nodes"),
        ("size", "less CPU or memory"),
        ("storage_size_mib", "less disk"),
    ):
        if _less(change, attribute):
            yield _smaller(change, world, of)


def _smaller(change: Change, world: World, of: str) -> Finding:
    return warning(
        Rule.SMALLER,
        change,
        world.data(change),
        f"would have {of} than now",
        "Check that its data still fits. Without a standby node a failure means a restore from backup.",
        world.tenants_at_stake(change),
    )


def _less(change: Change, attribute: str) -> bool:
    if not change.updates:
        return False
    before, after = _amounts(change.before.get(attribute)), _amounts(change.after.get(attribute))
    return any(new < old for old, new in zip(before, after, strict=False))


def _amounts(value: Any) -> tuple[float, ...]:
    """Return the numbers in a size: "db-s-2vcpu-4gb" is (2, 4)."""
    if match := _SIZE.search(str(value)):
        return tuple(map(float, match.groups()))
    try:
        return (float(value),)
    except (TypeError, ValueError):
        return ()


def _persistence(change: Change, world: World) -> Iterator[Finding]:
    if change.before.get("persistence") == "rdb" and change.changed("persistence"):
        cluster = world.cluster_of(change)
        yield refused(
            Rule.NO_WAY_BACK,
            change,
            world.data(cluster) if cluster else f"the cluster of {quote(change.address)}",
            "would lose its queues with every restart: nothing would be written to its disk",
            "Keep `persistence = rdb`.",
        )


def _or(text: str) -> str:
    return quote(text) if text else "a value that is not shown"
