"""Changes that lose nothing, and interrupt service or stop half way."""

import re
from collections import defaultdict
from collections.abc import Iterator

from model import addresses
from model.addresses import CERTIFICATE, DROPLET, LOAD_BALANCER, POOL, USER
from ops.change import Change
from ops.guard import shown
from ops.guard.finding import Finding, Rule, refused, warning
from ops.guard.kinds import RECORD, in_words
from ops.guard.known import environment_of
from ops.guard.roles import tenant_of
from ops.guard.text import quote
from ops.guard.world import World

# What holds the droplets that go back until those that come serve (constructs_lib/droplet_group.py, `_hold_back`).
_HOLDS_BACK = re.compile(r"group-(?P<group>[a-z0-9-]+)_serving_[0-9A-F]{8}")


def interruptions(world: World) -> Iterator[Finding]:
    """Find what interrupts service."""
    for change in world.changes:
        yield from _of_one(change, world)
        yield from _name_taken(change)
    yield from _between_replicas_and_pool(world)


def _of_one(change: Change, world: World) -> Iterator[Finding]:
    what = f"{in_words(change.kind)} {quote(shown.label(change))}"
    if change.kind in {DROPLET, POOL} and change.actions == ("delete", "create"):
        yield warning(
            Rule.INTERRUPTION,
            change,
            what,
            "is deleted before its successor exists",
            "Keep create_before_destroy. Instead of tainting it, change its user data.",
        )
    elif change.kind == DROPLET and change.changed("size"):
        yield warning(
            Rule.INTERRUPTION,
            change,
            what,
            "is switched off to change its size: somebody changed it by hand",
            "Deploy at a quiet time. A change of `size` in the file replaces droplets without a gap.",
        )
    elif change.kind == LOAD_BALANCER and change.deletes:
        yield warning(
            Rule.INTERRUPTION,
            change,
            what,
            "is deleted, and its address with it",
            "Deploy at a quiet time: until DNS has changed, names lead to no load balancer.",
        )
    elif change.kind == RECORD and change.deletes and change.before.get("type") in {"A", "NS"}:
        name, domain = (quote(shown.before(change, what)) for what in ("name", "domain"))
        yield warning(
            Rule.INTERRUPTION,
            change,
            f"name {name} ({change.before['type']}) of {domain}",
            "is deleted" + (" and made again" if change.creates else ""),
            "Check that nothing uses this name.",
        )
    elif change.kind == USER and change.deletes and change.creates:
        tenant = tenant_of(change)
        cluster = world.cluster_of(change)
        if cluster is None or cluster.stays:
            yield warning(
                Rule.INTERRUPTION,
                change,
                f"{world.who(change.stack, tenant)}: its {what}" if tenant else what,
                "gets a new password, and the old one stops working at once",
                "Rotate instead (presence360 tenant rotate): that makes a second user first.",
                [tenant] if tenant else [],
            )


def _between_replicas_and_pool(world: World) -> Iterator[Finding]:
    """Find groups that turn from replicas into a pool or back: nobody waits until a pool's droplets serve."""
    droplets: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
    pools: dict[tuple[str, str], Change] = {}
    held_back: set[tuple[str, str]] = set()
    for change in world.changes:
        if change.kind == DROPLET and (place := addresses.droplet_of(change.block)):
            droplets[change.stack, place[0]].append(change)
        elif change.kind == POOL and (group := addresses.pool_of(change.block)):
            pools[change.stack, group] = change
        # Terraform takes the order from the state: in the deploy that makes it, it holds nothing back yet.
        elif change.before and (found := _HOLDS_BACK.fullmatch(change.block)):
            held_back.add((change.stack, found["group"]))
    for where, pool in pools.items():
        goes = [one for one in droplets[where] if one.actions == ("delete",)]
        comes = [one for one in droplets[where] if one.actions == ("create",)]
        what = f"group {quote(where[1])}"
        if where in held_back:
            continue
        if pool.actions == ("create",) and goes:
            yield warning(
                Rule.INTERRUPTION,
                pool,
                what,
                f"becomes a pool: {_count(len(goes))} deleted while the pool's droplets still boot, so for some "
                "minutes none serves",
                "Deploy at a quiet time.",
            )
        elif pool.actions == ("delete",) and comes:
            yield warning(
                Rule.INTERRUPTION,
                pool,
                what,
                "gets replicas in place of its pool: the pool's droplets are deleted, and Terraform does not wait for "
                f"the {len(comes)} new ones in between",
                "Deploy at a quiet time.",
            )


def _count(number: int) -> str:
    return "its one replica is" if number == 1 else f"its {number} replicas are"


def _name_taken(change: Change) -> Iterator[Finding]:
    """Find a certificate that would be made beside one of the same name, which DigitalOcean refuses."""
    name = change.after.get("name")
    same = name is not None and change.before.get("name") == name
    if change.kind == CERTIFICATE.kind and change.actions == ("create", "delete") and same:
        yield refused(
            Rule.NAME_TAKEN,
            change,
            f"certificate {quote(str(name))}",
            "would be made again under the name that it has: DigitalOcean takes each name once, so this and every "
            "later apply would stop there. An interrupted apply left it marked as unfinished (tainted)",
            f"Take it over: presence360 adopt {environment_of(change.stack)}. That removes the mark if it was issued, "
            "and says what to do if it was not.",
        )
