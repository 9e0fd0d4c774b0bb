"""Doors that a plan would open, or lock the wrong people out of, without deleting anything."""

import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tools.plan_guard.finding import Finding, Rule, refused, warning
from tools.plan_guard.kinds import BUCKET, CLUSTER, DATABASE_FIREWALL, DROPLET, FIREWALL, OBJECT, POOL, USER
from tools.plan_guard.plan import Change
from tools.plan_guard.roles import Role, role, tenant_of
from tools.plan_guard.text import quote
from tools.plan_guard.world import World

# Shorter prefixes are a good part of the internet, and two /1 are all of it.
_FEWEST_BITS = 8
_PUBLIC_ACLS = frozenset({"public-read", "public-read-write", "authenticated-read"})
_POLICY = "digitalocean_spaces_bucket_policy"


def exposures(world: World) -> Iterator[Finding]:
    """Find what would be open to the internet, and tenants without a way to their data."""
    tags = _tags_of_droplets(world)
    for change in world.changes:
        if change.kind == DATABASE_FIREWALL:
            yield from _database_firewall(change, world)
        elif change.kind == FIREWALL:
            yield from _firewall(change, tags.get(change.stack, frozenset()))
        elif change.kind in {BUCKET, OBJECT}:
            yield from _acl(change, world)
        elif change.kind == _POLICY:
            yield from _policy(change)
    yield from _clusters_without_firewall(world)
    yield from _locked_out(world)


def _clusters_without_firewall(world: World) -> Iterator[Finding]:
    """Count: which firewall is whose is not known before the clusters are there."""
    for plan in world.plans:
        clusters = [change for change in plan.changes if change.kind == CLUSTER and change.creates]
        firewalls = [change for change in plan.changes if change.kind == DATABASE_FIREWALL and change.creates]
        if len(firewalls) < len(clusters):
            yield refused(
                Rule.PUBLIC_DATABASE,
                clusters[0],
                f"clusters that are new in {quote(plan.stack)}",
                f"would be open to the internet: {len(clusters)} are made, and {len(firewalls)} firewalls",
                "Give each cluster a firewall in the same plan.",
                [tenant for change in clusters for tenant in world.tenants_at_stake(change)],
            )


def _database_firewall(change: Change, world: World) -> Iterator[Finding]:
    cluster = world.cluster_of(change)
    what = f"cluster {quote(cluster.name)}" if cluster else f"the cluster of {quote(change.address)}"
    tenants = world.tenants_at_stake(cluster) if cluster else []
    remedy = "Keep one firewall a cluster, with the tags of those who connect."
    if change.deletes or change.forgets:
        # With a cluster that goes or is replaced there is nothing left to open; that is judged by itself.
        if cluster is None or cluster.stays:
            gap = ", until a new one is there" if change.creates else ""
            if change.reason == "replace_because_tainted":
                remedy = f"Unmark it: terraform untaint {quote(repr(change.address))}"
            yield refused(
                Rule.PUBLIC_DATABASE,
                change,
                what,
                f"would be open to the internet: its firewall goes and the cluster stays{gap}",
                remedy,
                tenants,
            )
        return
    if not (change.creates or change.updates):
        return
    if change.unknown.get("rule") is True:
        yield warning(
            Rule.PUBLIC_DATABASE,
            change,
            what,
            "the rules of its firewall are known after the apply only",
            "Look at them afterwards.",
            tenants,
        )
    elif not change.after.get("rule"):
        yield refused(
            Rule.PUBLIC_DATABASE,
            change,
            what,
            "would be open to the internet: no rule is left",
            remedy,
            tenants,
        )
    new = {_rule(one) for one in change.after.get("rule") or ()} - {
        _rule(one) for one in change.before.get("rule") or ()
    }
    for kind, value in sorted(new):
        if kind == "ip_addr":
            yield from _address(change, value, what, tenants)


def _address(change: Change, value: str, what: str, tenants: list[str]) -> Iterator[Finding]:
    make = refused if _is_the_internet(value) else warning
    yield make(
        Rule.PUBLIC_DATABASE,
        change,
        what,
        f"would let {_network(value)} connect",
        "Name droplets' tags; services connect from droplets only.",
        tenants,
    )


def _rule(rule: Mapping[str, Any]) -> tuple[str, str]:
    return str(rule.get("type")), str(rule.get("value"))


def _is_the_internet(text: object) -> bool:
    try:
        return ipaddress.ip_network(str(text), strict=False).prefixlen < _FEWEST_BITS
    except ValueError:
        return False


def _network(text: str) -> str:
    """Return an address range for people; nothing else is repeated."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return "an address"


def _tags_of_droplets(world: World) -> dict[str, frozenset[str]]:
    """Return by stack the tags that droplets will carry."""
    found: dict[str, frozenset[str]] = {}
    for change in world.changes:
        if change.kind == DROPLET:
            carried = change.after.get("tags")
        elif change.kind == POOL:
            templates = change.after.get("droplet_template") or ()
            carried = [tag for template in templates for tag in template.get("tags") or ()]
        else:
            continue
        found[change.stack] = found.get(change.stack, frozenset()) | frozenset(carried or ())
    return found


def _firewall(change: Change, droplets: frozenset[str]) -> Iterator[Finding]:
    what = f"droplets behind firewall {quote(change.name or change.address)}"
    if change.deletes or change.forgets:
        uncovered = _tags(change.before) & droplets
    elif change.updates and not _any(change.unknown.get("tags")):
        uncovered = (_tags(change.before) - _tags(change.after)) & droplets
    else:
        uncovered = frozenset()
    if uncovered:
        gap = ", until a new one is there" if change.creates else ""
        yield refused(
            Rule.OPEN_DROPLETS,
            change,
            what,
            f"would answer to everybody on every port: the firewall leaves {_plural(len(uncovered), 'tag')} that "
            f"droplets carry{gap}",
            "Keep one firewall a group, for as long as the group has droplets.",
        )
    if change.creates or change.updates:
        before = set(_open_ports(change.before))
        for protocol, ports in sorted(set(_open_ports(change.after)) - before):
            yield refused(
                Rule.OPEN_DROPLETS,
                change,
                what,
                f"would answer to the internet on {quote(protocol)} {quote(ports or 'any port')}",
                "Requests come through load balancers, administrators from `network.admin_cidrs`.",
            )


def _tags(attributes: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(attributes.get("tags") or ())


def _open_ports(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for rule in attributes.get("inbound_rule") or ():
        protocol = str(rule.get("protocol"))
        if protocol != "icmp" and any(map(_is_the_internet, rule.get("source_addresses") or ())):
            yield protocol, str(rule.get("port_range") or "")


def _acl(change: Change, world: World) -> Iterator[Finding]:
    acl = change.after.get("acl")
    if acl in _PUBLIC_ACLS and acl != change.before.get("acl") and not change.deposed:
        yield refused(
            Rule.PUBLIC_BUCKET,
            change,
            world.data(change),
            f"would be readable by everybody ({acl})",
            "Keep `acl: private`.",
            world.tenants_at_stake(change),
        )


def _policy(change: Change) -> Iterator[Finding]:
    if not (change.creates or change.updates):
        return
    text = change.after.get("policy")
    what = f"bucket policy {quote(change.address)}"
    if not isinstance(text, str):
        yield warning(
            Rule.PUBLIC_BUCKET, change, what, "is known after the apply only", "Look at it afterwards."
        )
    elif _allows_everybody(text):
        yield refused(
            Rule.PUBLIC_BUCKET,
            change,
            what,
            "would let everybody in",
            "Grant keys what they need, by spaces_key.",
        )


def _allows_everybody(text: str) -> bool:
    try:
        statements = json.loads(text)["Statement"]
        statements = statements if isinstance(statements, list) else [statements]
        return any(
            one["Effect"] == "Allow" and "*" in json.dumps(one.get("Principal", "*")) for one in statements
        )
    except (ValueError, KeyError, TypeError):
        # What cannot be read is not known to be safe.
        return True


def _locked_out(world: World) -> Iterator[Finding]:
    """Find tenants that are active and whose last user, or whose credentials, would go."""
    going: dict[tuple[str, str], Change] = {}
    for change in world.changes:
        if (
            role(change) in {Role.USER, Role.CREDENTIALS}
            and change.actions == ("delete",)
            and not change.deposed
        ):
            going.setdefault((change.stack, tenant_of(change)), change)
    for (stack, tenant), change in sorted(going.items()):
        if not tenant or world.status(stack, tenant) != "active" or not _has_database(world, stack, tenant):
            continue
        users = any(one.after for one in world.of_tenant(stack, tenant, Role.USER))
        credentials = any(one.after for one in world.of_tenant(stack, tenant, Role.CREDENTIALS))
        if users and credentials:
            continue
        missing = "its credentials" if users else "its last user"
        yield refused(
            Rule.LOCKED_OUT,
            change,
            f"{world.who(stack, tenant)}: its way to its database",
            f"would go: {missing} would be deleted, and it is neither suspended nor retired",
            "Keep a generation of credentials, or set `status: suspended`.",
            [tenant],
        )
    for change in world.changes:
        if change.kind == USER and change.actions == ("delete",) and not tenant_of(change):
            yield from _last_user(change, world)


def _has_database(world: World, stack: str, tenant: str) -> bool:
    return any(one.after for one in world.of_tenant(stack, tenant, Role.DATABASE))


def _last_user(change: Change, world: World) -> Iterator[Finding]:
    cluster = world.cluster_of(change)
    if cluster is None or not cluster.stays:
        return
    name = str(change.before.get("name"))
    if any(one.name == name and one.stays for one in world.databases_of(cluster)):
        yield refused(
            Rule.LOCKED_OUT,
            change,
            f"database {quote(name)} in cluster {quote(cluster.name)}",
            "would have no user any more",
            "Keep the user for as long as the database is there.",
        )


def _any(mark: Any) -> bool:
    if isinstance(mark, Mapping):
        return any(map(_any, mark.values()))
    return any(map(_any, mark)) if isinstance(mark, list) else bool(mark)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
