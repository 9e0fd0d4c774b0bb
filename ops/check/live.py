"""The rules around an environment as DigitalOcean's API has them now, in the form in which the model decides them."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from model.access import EVERYWHERE
from model.reach.facts import (
    EVERY_PORT,
    Balancer,
    Cluster,
    Direction,
    Facts,
    Firewall,
    Peer,
    PeerKind,
    Ports,
    Rule,
    Statement,
    statements,
)
from model.reach.planned import REDIRECT_PORT, facts_of
from model.services import Store
from ops.check.look import Look, Record

_ENGINES = {"pg": Store.POSTGRES, "valkey": Store.VALKEY}
_PEERS = {
    "addresses": PeerKind.ADDRESS,
    "tags": PeerKind.TAG,
    "load_balancer_uids": PeerKind.LOAD_BALANCER,
    "droplet_ids": PeerKind.OTHER,
    "kubernetes_ids": PeerKind.OTHER,
}
_TRUSTED = {"tag": PeerKind.TAG, "ip_addr": PeerKind.ADDRESS}


def compared(look: Look) -> tuple[frozenset[Statement], frozenset[Statement]]:
    """Return what DigitalOcean has and nobody decided on, and what was decided on and it does not have.

    Raises:
        NotSeenError: the API did not say.
    """
    return look.once("compared", lambda: _compared(look))


def _compared(look: Look) -> tuple[frozenset[Statement], frozenset[Statement]]:
    decided = facts_of(look.plan)
    # Droplets are compared one by one (ops/check/droplets.py): of a group, one may differ.
    there = statements(_facts(look))
    expected = statements(
        Facts(decided.vpc_range, decided.firewalls, (), decided.clusters, decided.balancers)
    )
    return there - expected, expected - there


def _facts(look: Look) -> Facts:
    droplets = look.droplets
    tags = {tag for one in droplets for tag in one["tags"]} | set(look.plan.network.group_tags.values())
    ids = {int(one["id"]) for one in droplets}
    planned = {group.name for group in look.plan.groups}
    vpcs = {str(one["id"]): str(one["name"]) for one in look.all("/v2/vpcs", "vpcs")}
    balancers = {str(one["id"]): name for name, one in look.balancers.items()}
    firewalls = [
        one
        for one in look.all("/v2/firewalls", "firewalls")
        if one["name"] in planned
        or tags & set(one.get("tags") or ())
        or ids & set(one.get("droplet_ids") or ())
    ]
    stores = _stores(look)
    return Facts(
        vpc_range=str((look.vpc or {}).get("ip_range") or EVERYWHERE[0]),
        firewalls=tuple(_firewall(one, balancers, stores) for one in firewalls),
        droplets=(),
        clusters=tuple(_clusters(look, vpcs)),
        balancers=tuple(
            _balancer(one, vpcs)
            for one in look.balancers.values()
            if one["name"] in {wanted.name for wanted in look.plan.edge.load_balancers}
            or one.get("tag") in tags
            or ids & set(one.get("droplet_ids") or ())
        ),
    )


def _stores(look: Look) -> dict[int, frozenset[Store]]:
    """Return by port whose it is, of the environment's clusters."""
    found: dict[int, frozenset[Store]] = {}
    for cluster, engine in look.planned_clusters:
        port = ((look.clusters.get(cluster.name) or {}).get("private_connection") or {}).get("port")
        if isinstance(port, int):
            found[port] = found.get(port, frozenset()) | {_ENGINES[engine]}
    return found


def _firewall(one: Record, balancers: Mapping[str, str], stores: Mapping[int, frozenset[Store]]) -> Firewall:
    rules = [
        *_rules(one.get("inbound_rules"), Direction.IN, "sources", balancers, {}),
        *_rules(one.get("outbound_rules"), Direction.OUT, "destinations", balancers, stores),
    ]
    return Firewall(str(one["name"]), frozenset(map(str, one.get("tags") or ())), frozenset(rules))


def _rules(
    blocks: Iterable[Record] | None,
    direction: Direction,
    ends: str,
    balancers: Mapping[str, str],
    stores: Mapping[int, frozenset[Store]],
) -> Iterator[Rule]:
    for block in blocks or ():
        protocol = str(block["protocol"])
        for ports in _ports(protocol, str(block.get("ports") or ""), stores):
            for peer in _peers(block.get(ends) or {}, balancers):
                yield Rule(direction, protocol, ports, peer)


def _ports(protocol: str, written: str, stores: Mapping[int, frozenset[Store]]) -> list[Ports]:
    if protocol == "icmp":
        return [EVERY_PORT]
    ports = Ports.read(written)
    known = stores.get(ports.first) if ports.first == ports.last else None
    return [Ports.one(store) for store in sorted(known)] if known else [ports]


def _peers(named: Mapping[str, Any], balancers: Mapping[str, str]) -> Iterator[Peer]:
    for key, kind in _PEERS.items():
        for value in named.get(key) or ():
            yield _peer(kind, balancers.get(str(value), str(value)))


def _peer(kind: PeerKind, value: str) -> Peer:
    """Return who is meant; an address as the model writes it, since `203.0.113.7` is a range of one."""
    if kind is not PeerKind.ADDRESS:
        return Peer(kind, value)
    try:
        return Peer(kind, str(ip_network(value, strict=False)))
    except ValueError:
        return Peer(PeerKind.OTHER, value)


def _clusters(look: Look, vpcs: Mapping[str, str]) -> Iterator[Cluster]:
    for wanted, engine in look.planned_clusters:
        found = look.clusters.get(wanted.name)
        if found is None:
            continue
        rules = look.get(f"/v2/databases/{found['id']}/firewall").get("rules") or ()
        peers = frozenset(
            _peer(_TRUSTED.get(str(rule["type"]), PeerKind.OTHER), str(rule["value"])) for rule in rules
        )
        network = vpcs.get(str(found.get("private_network_uuid")), "of another")
        # Without a rule everybody may connect (docs/digitalocean.md).
        yield Cluster(wanted.name, _ENGINES[engine], peers or None, network)


def _balancer(one: Record, vpcs: Mapping[str, str]) -> Balancer:
    rules = one["forwarding_rules"]
    entries = {Ports.one(int(rule["entry_port"])) for rule in rules}
    if one.get("redirect_http_to_https") is True:
        entries.add(Ports.one(REDIRECT_PORT))
    targets = {Ports.one(int(rule["target_port"])) for rule in rules}
    if check := one.get("health_check"):
        targets.add(Ports.one(int(check["port"])))
    backends = {str(one["tag"])} if one.get("tag") else set()
    return Balancer(
        name=str(one["name"]),
        public=one.get("network") != "INTERNAL",
        entries=frozenset(entries),
        targets=frozenset(targets),
        backends=frozenset(backends),
        vpc=vpcs.get(str(one.get("vpc_uuid")), "of another"),
    )


def holds(networks: Iterable[str], address: str) -> bool:
    """Tell whether an address is in one of these ranges."""
    own = ip_network(address)
    return any(
        known.version == own.version and known.overlaps(own)
        for known in (ip_network(one, strict=False) for one in networks)
    )
