"""The rules of an environment as the model decides them (model/access.py and the plans)."""

from collections.abc import Iterator

from model.access import HTTPS_PORT, Inbound, Outbound, Source
from model.data import ClusterPlan
from model.droplets import DropletGroupPlan
from model.plan import EnvironmentPlan
from model.reach.facts import (
    Balancer,
    Cluster,
    Direction,
    Droplets,
    Facts,
    Firewall,
    Peer,
    PeerKind,
    Ports,
    Rule,
)
from model.services import Store

REDIRECT_PORT = 80
"""Where a load balancer answers with a redirect to HTTPS (`redirect_http_to_https`)."""


def facts_of(plan: EnvironmentPlan) -> Facts:
    """Return the rules of an environment, those of its cells and of churches' own clusters included."""
    network = plan.network
    return Facts(
        vpc_range=network.ip_range,
        firewalls=tuple(
            Firewall(
                name=group.name,
                tags=frozenset({network.group_tags[group.group]}),
                rules=frozenset(_rules(plan, group)),
            )
            for group in plan.groups
        ),
        droplets=tuple(
            Droplets(
                name=group.group,
                tags=frozenset(
                    {
                        network.environment_tag,
                        network.group_tags[group.group],
                        *(network.plane_tags[plane] for plane in group.placement.planes),
                    }
                ),
                vpc=network.name,
            )
            for group in plan.groups
        ),
        clusters=tuple(_clusters(plan)),
        balancers=tuple(
            Balancer(
                name=balancer.name,
                public=True,
                entries=frozenset({Ports.one(REDIRECT_PORT), Ports.one(HTTPS_PORT)}),
                targets=frozenset({Ports.one(HTTPS_PORT)}),
                backends=frozenset({network.group_tags[balancer.group]}),
                vpc=network.name,
            )
            for balancer in plan.edge.load_balancers
        ),
    )


def _rules(plan: EnvironmentPlan, group: DropletGroupPlan) -> Iterator[Rule]:
    for rule in group.inbound:
        for peer in _peers(plan, group, rule):
            yield Rule(Direction.IN, rule.protocol.value, Ports.one(rule.port), peer, rule.why)
    for allowed in group.outbound:
        yield from _outbound(allowed)


def _outbound(rule: Outbound) -> Iterator[Rule]:
    for cidr in rule.cidrs:
        peer = Peer(PeerKind.ADDRESS, cidr)
        yield Rule(Direction.OUT, rule.protocol.value, Ports.one(rule.port), peer, rule.why)


def _peers(plan: EnvironmentPlan, group: DropletGroupPlan, rule: Inbound) -> list[Peer]:
    match rule.source:
        case Source.ADMINISTRATORS:
            return [Peer(PeerKind.ADDRESS, cidr) for cidr in rule.cidrs]
        case Source.ENVIRONMENT:
            return [Peer(PeerKind.TAG, plan.network.environment_tag)]
        case Source.LOAD_BALANCER:
            names = [balancer.name for balancer in plan.edge.load_balancers if balancer.group == group.group]
            return [Peer(PeerKind.LOAD_BALANCER, name) for name in names]


def _clusters(plan: EnvironmentPlan) -> Iterator[Cluster]:
    postgres = [*plan.data.postgres, *(cell.cluster for cell in plan.cells)]
    postgres += [tenant.cluster for tenant in plan.tenants if tenant.cluster]
    for cluster in postgres:
        yield _cluster(plan, cluster, Store.POSTGRES)
    yield _cluster(plan, plan.data.valkey, Store.VALKEY)


def _cluster(plan: EnvironmentPlan, cluster: ClusterPlan, store: Store) -> Cluster:
    network = plan.network
    admitted = (Peer(PeerKind.TAG, network.group_tags[group]) for group in cluster.client_groups)
    return Cluster(cluster.name, store, frozenset(admitted), network.name)
