"""Changes in place that delete nothing today and cannot be undone tomorrow, and those that interrupt service."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ops.guard.change import Change
from ops.guard.finding import Finding, Rule, refused, warning
from ops.guard.kinds import BUCKET, CLUSTER, DROPLET, LOAD_BALANCER, POOL, RECORD, USER, in_words
from ops.guard.roles import tenant_of
from ops.guard.text import quote
from ops.guard.world import World

_VALKEY_CONFIG = "digitalocean_database_valkey_config"
_SIZE = re.compile(r"(\d+)vcpu-(\d+)gb")
# Cluster attributes that decide which data a cluster holds and where. `region` is the one that DigitalOcean changes
# in place, by a migration (the provider's resource_database_cluster.go); the others force a replacement today.
_IDENTITY = ("name", "engine", "region", "private_network_uuid")


def quiet_dangers(world: World) -> Iterator[Finding]:
    """Find what an update changes for the worse."""
    for change in world.changes:
        if change.kind == BUCKET and change.updates:
            yield from _bucket(change, world)
        elif change.kind == CLUSTER and not change.deposed:
            yield from _cluster(change, world)
        elif change.kind == _VALKEY_CONFIG and change.updates:
            yield from _persistence(change, world)
        elif change.kind == "digitalocean_volume" and _less(change, "size"):
            yield _smaller(change, world, "disk")
        yield from _interruption(change, world)


def _bucket(change: Change, world: World) -> Iterator[Finding]:
    what = world.data(change)
    if _enabled(change.before) and not _enabled(change.after):
        yield refused(
            Rule.NO_WAY_BACK,
            change,
            what,
            "would keep no earlier versions of objects any more",
            "Keep versioning on: it is the way back from a mistake.",
        )
    if change.after.get("force_destroy") and not change.before.get("force_destroy"):
        yield refused(
            Rule.NO_WAY_BACK,
            change,
            what,
            "force_destroy would let the next delete take all objects along",
            "Leave force_destroy off; empty a bucket by hand, knowingly.",
        )
    if change.changed("name"):
        yield refused(
            Rule.NO_WAY_BACK,
            change,
            what,
            "would get another name in the state, while the provider renames nothing",
            "Keep the name; objects that move need a new bucket and a copy.",
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
            where = quote(prefix) if change.shows("lifecycle_rule") else "a prefix"
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
                else "Be sure: what is older goes within a day of the deploy, and does not come back.",
            )


def _days(bucket: Mapping[str, Any], block: str) -> dict[str, float]:
    """Return after how many days what is under a prefix goes; a fixed date counts as at once."""
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
            "starts from another cluster's backup",
            "Be sure that this is the restore that was meant.",
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
                f"{attribute} would change from {_or(change.said(attribute))} to "
                f"{_or(change.said(attribute, after=True))}: its data leaves its place, and nothing else follows",
                "Make a second cluster and move the data with dump and restore.",
                tenants,
            )
    if change.before.get("eviction_policy") == "noeviction" and change.changed("eviction_policy"):
        yield refused(
            Rule.CLUSTER_CHANGE,
            change,
            what,
            "would drop queued work when it is full, instead of refusing more",
            "Keep `noeviction`: queues live here.",
        )
    if change.changed("version"):
        yield warning(
            Rule.CLUSTER_CHANGE,
            change,
            what,
            f"version {_or(change.said('version'))} would become {_or(change.said('version', after=True))}, for good",
            "Try it on a restored copy first; an upgrade cannot be undone.",
            tenants,
        )
    if change.changed("backup_restore"):
        yield warning(
            Rule.CLUSTER_CHANGE,
            change,
            what,
            "backup_restore of a cluster that exists does nothing",
            "A restore makes a new cluster: give it a key of its own.",
            tenants,
        )
    for attribute, of in (("node_count", "standby"), ("size", "room"), ("storage_size_mib", "disk")):
        if _less(change, attribute):
            yield _smaller(change, world, of)


def _smaller(change: Change, world: World, of: str) -> Finding:
    return warning(
        Rule.SMALLER,
        change,
        world.data(change),
        f"would have less {of} than it has",
        "Be sure that what is there still fits; without a standby a failure is a restore.",
        world.tenants_at_stake(change),
    )


def _less(change: Change, attribute: str) -> bool:
    if not change.updates:
        return False
    before, after = _amounts(change.before.get(attribute)), _amounts(change.after.get(attribute))
    return any(new < old for old, new in zip(before, after, strict=False))


def _amounts(value: Any) -> tuple[float, ...]:
    """Return what a size is made of: "db-s-2vcpu-4gb" is (2, 4)."""
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


def _interruption(change: Change, world: World) -> Iterator[Finding]:
    what = f"{in_words(change.kind)} {quote(change.name or change.address)}"
    if change.kind in {DROPLET, POOL} and change.actions == ("delete", "create"):
        yield warning(
            Rule.INTERRUPTION,
            change,
            what,
            "goes before its successor is there",
            "Keep create_before_destroy; a tainted one is replaced by an edit of its user data instead.",
        )
    elif change.kind == DROPLET and change.changed("size"):
        yield warning(
            Rule.INTERRUPTION,
            change,
            what,
            "is switched off to change its size",
            "Deploy while few are there.",
        )
    elif change.kind == LOAD_BALANCER and change.deletes:
        yield warning(
            Rule.INTERRUPTION,
            change,
            what,
            "goes, and its address with it",
            "Deploy while few are there: names lead nowhere until DNS has changed.",
        )
    elif change.kind == RECORD and change.deletes and change.before.get("type") in {"A", "NS"}:
        yield warning(
            Rule.INTERRUPTION,
            change,
            f"name {quote(change.said('name'))} ({change.before['type']}) of {quote(change.said('domain'))}",
            "is deleted" + (" and made again" if change.creates else ""),
            "Be sure that nobody asks for it.",
        )
    elif change.kind == USER and change.deletes and change.creates:
        tenant = tenant_of(change)
        cluster = world.cluster_of(change)
        if cluster is None or cluster.stays:
            yield warning(
                Rule.INTERRUPTION,
                change,
                f"{world.who(change.stack, tenant)}: its {what}" if tenant else what,
                "gets a new password, and the old one ends at once",
                "Rotate instead (presence360 tenant rotate): a second user beside the first.",
                [tenant] if tenant else [],
            )


def _or(text: str) -> str:
    return quote(text) if text else "a value that is not shown"
