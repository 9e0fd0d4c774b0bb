"""Who may talk to whom: the firewalls' tables, written out."""

import ipaddress

from model.access import EVERYWHERE, Inbound, Outbound, Protocol, Source, inbound, outbound
from model.environment import Group
from model.ip_ranges import AnyNetwork
from model.layout import Placement, place
from model.services import Store
from tests.model.workspace import Workspace

TCP, UDP = Protocol.TCP, Protocol.UDP
Row = tuple[int | Store, Protocol, tuple[str, ...]]

ALWAYS: list[Row] = [
    (53, UDP, ("0.0.0.0/0", "::/0")),
    (53, TCP, ("0.0.0.0/0", "::/0")),
    (80, TCP, ("0.0.0.0/0", "::/0")),
    (123, UDP, ("0.0.0.0/0", "::/0")),
    (443, TCP, ("0.0.0.0/0", "::/0")),
]
VPC = ipaddress.IPv4Network("10.60.0.0/20")
ADMINS: tuple[AnyNetwork, ...] = (
    ipaddress.IPv4Network("198.51.100.7/32"),
    ipaddress.IPv6Network("2001:db8::/64"),
)


def rows(rules: tuple[Inbound, ...] | tuple[Outbound, ...]) -> list[Row]:
    return [(rule.port, rule.protocol, rule.cidrs) for rule in rules]


def test_staging(staging: Workspace) -> None:
    file = staging.load()[0].file
    app, worker = place(file.groups, apex=file.dns.apex)
    admins, vpc = file.network.admin_cidrs, file.network.ip_range
    ssh = (22, TCP, ("198.51.100.7/32",))
    stores = [(Store.POSTGRES, TCP, ("10.60.0.0/20",)), (Store.VALKEY, TCP, ("10.60.0.0/20",))]
    assert (app.group, worker.group) == ("app", "worker")
    metrics = (9360, TCP, ())
    assert rows(inbound(app, admins)) == [ssh, metrics, (443, TCP, ())]
    assert rows(inbound(worker, admins)) == [ssh, metrics]
    assert rows(outbound(app, vpc)) == ALWAYS + stores
    assert rows(outbound(worker, vpc)) == ALWAYS + stores
    assert {host.label for host in app.hosts} == {"@", "*", "api", "app", "cp", "admin"}


def web_only() -> Placement:
    web, _ = place(
        {
            "web": Group(services=("web-tenant", "web-control-plane"), size="s-1vcpu-1gb", replicas=1),
            "work": Group(
                services=("tenant-api", "control-plane-api", "worker"), size="s-1vcpu-1gb", replicas=1
            ),
        },
        apex=True,
    )
    return web


def test_a_group_of_web_front_ends_reaches_no_database() -> None:
    web = web_only()
    assert rows(outbound(web, VPC)) == ALWAYS
    assert rows(inbound(web, ADMINS)) == [
        (22, TCP, ("198.51.100.7/32", "2001:db8::/64")),
        (9360, TCP, ()),
        (443, TCP, ()),
    ]


def test_each_port_has_its_one_source() -> None:
    rules = inbound(web_only(), ADMINS)
    assert {rule.port: rule.source for rule in rules} == {
        22: Source.ADMINISTRATORS,
        9360: Source.ENVIRONMENT,
        443: Source.LOAD_BALANCER,
    }


def test_nothing_but_the_stores_is_named_by_what_it_is() -> None:
    assert EVERYWHERE == ("0.0.0.0/0", "::/0")
    assert [rule.port for rule in outbound(web_only(), VPC) if isinstance(rule.port, Store)] == []
    assert all(rule.why for rule in outbound(web_only(), VPC))
    assert all(rule.why for rule in inbound(web_only(), ADMINS))
