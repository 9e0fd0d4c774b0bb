"""Firewalls that a plan would open or remove: without one a cluster or a droplet accepts connections from anywhere."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from model.addresses import CLUSTER, CLUSTER_FIREWALL, DROPLET, FIREWALL, POOL
from ops.change import Change, marks_any
from ops.guard import shown
from ops.guard.finding import Finding, Rule, refused, warning
from ops.guard.text import quote
from ops.guard.world import World

# Shorter prefixes are a large part of the internet, and two /1 are all of it.
_FEWEST_BITS = 8


def firewalls(world: World) -> Iterator[Finding]:
    """Find what would be open to the internet without a firewall."""
    tags = _tags_of_droplets(world)
    for change in world.changes:
        if change.kind == CLUSTER_FIREWALL:
            yield from _database_firewall(change, world)
        elif change.kind == FIREWALL:
            yield from _firewall(change, tags.get(change.stack, frozenset()))
    yield from _clusters_without_firewall(world)


def _clusters_without_firewall(world: World) -> Iterator[Finding]:
    """Compare numbers: which firewall belongs to which cluster is known only after the apply."""
    for plan in world.plans:
        clusters = [change for change in plan.changes if change.kind == CLUSTER and change.creates]
        firewalls = [change for change in plan.changes if change.kind == CLUSTER_FIREWALL and change.creates]
        if len(firewalls) < len(clusters):
            yield refused(
                Rule.PUBLIC_DATABASE,
                clusters[0],
                f"new clusters in {quote(plan.stack)}",
                "would be open to the internet: "
                f"the plan makes {_plural(len(clusters), 'cluster')} and {_plural(len(firewalls), 'firewall')}",
                "Give each cluster a firewall in the same plan.",
                [tenant for change in clusters for tenant in world.tenants_at_stake(change)],
            )


def _database_firewall(change: Change, world: World) -> Iterator[Finding]:
    cluster = world.cluster_of(change)
    what = f"cluster {quote(shown.label(cluster))}" if cluster else f"the cluster of {quote(change.address)}"
    tenants = world.tenants_at_stake(cluster) if cluster else []
    remedy = "Keep one firewall per cluster, with the tags of the droplets that connect."
    # If the cluster is deleted or replaced as well, there is nothing left to open, and another rule judges that.
    if (change.deletes or change.forgets) and (cluster is None or cluster.stays):
        tainted = change.reason == "replace_because_tainted"
        yield refused(
            Rule.PUBLIC_DATABASE,
            change,
            what,
            "would be open to the internet: its firewall is removed and the cluster stays"
            + (", until a new one exists" if change.creates else ""),
            f"Remove the mark: terraform untaint {quote(repr(change.address))}" if tainted else remedy,
            tenants,
        )
    if not (change.creates or change.updates):
        return
    if change.unknown.get("rule") is True:
        yield warning(
            Rule.PUBLIC_DATABASE,
            change,
            what,
            "has firewall rules that are known only after the apply",
            "Check them afterwards.",
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
        f"would let {quote(_network(value)) if shown.may_show(change, 'rule') else 'an address'} connect",
        "Allow droplets' tags: services connect only from droplets.",
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
    """Return an address range; any other text is not repeated."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return "an address"


def _tags_of_droplets(world: World) -> dict[str, frozenset[str]]:
    """Return the tags that droplets will have, by stack."""
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
    what = f"droplets behind firewall {quote(shown.label(change))}"
    if change.deletes or change.forgets:
        uncovered = _tags(change.before) & droplets
    elif change.updates and not marks_any(change.unknown.get("tags", False)):
        uncovered = (_tags(change.before) - _tags(change.after)) & droplets
    else:
        uncovered = frozenset()
    if uncovered:
        gap = ", until a new one exists" if change.creates else ""
        yield refused(
            Rule.OPEN_DROPLETS,
            change,
            what,
            f"would be open on every port: the firewall no longer covers {_plural(len(uncovered), 'tag')} that "
            f"droplets have{gap}",
            "Keep one firewall per group as long as the group has droplets.",
        )
    if change.creates or change.updates:
        before = set(_open_ports(change.before))
        for protocol, ports in sorted(set(_open_ports(change.after)) - before):
            port = f"{quote(protocol)} {quote(ports or 'any port')}"
            yield refused(
                Rule.OPEN_DROPLETS,
                change,
                what,
                "would accept connections from the internet on "
                f"{port if shown.may_show(change, 'inbound_rule') else 'a port'}",
                "Requests come through load balancers, and administrators from `network.admin_cidrs`.",
            )


def _tags(attributes: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(attributes.get("tags") or ())


def _open_ports(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for rule in attributes.get("inbound_rule") or ():
        protocol = str(rule.get("protocol"))
        if protocol != "icmp" and any(map(_is_the_internet, rule.get("source_addresses") or ())):
            yield protocol, str(rule.get("port_range") or "")


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
