"""Who may talk to whom on which port. The cloud firewalls are made from this table and from nothing else.

Which key opens which bucket is in model/bucket_access.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from model.ip_ranges import AnyNetwork
from model.layout import Placement
from model.observability_file import Observability
from model.services import METRICS_PORT, Store

SSH_PORT = 22
HTTPS_PORT = 443
"""Where nginx on a droplet answers its group's load balancer."""

HEALTH_PATH = "/healthz"
"""What the load balancer asks every droplet of its group."""

BRIDGE_RANGE = IPv4Network("172.30.0.0/24")
"""The containers of a droplet, the same on each: Docker's bridge. Beside docker0, which is 172.17.0.0/16."""
BRIDGE_ADDRESS = "172.30.0.1"
"""The droplet itself on that bridge."""
BRIDGE_NAME = "br-presence360"
"""Of the interface. Linux takes 15 characters."""
OTLP_BRIDGE_PORT = 4318
"""On the bridge, and the only port that containers reach there: OpenTelemetry's protocol over HTTP, at its own port
(OpenTelemetry specification, "OTLP/HTTP Default Port"). Nothing listens without an observability group."""
OTLP_PORT = 9364
"""On the private address of the observability group's droplets: what other droplets forward, over TLS."""

EVERYWHERE = ("0.0.0.0/0", "::/0")


class Source(StrEnum):
    """Who may reach a droplet."""

    ADMINISTRATORS = "administrators"
    """By address, as the operators wrote it."""
    LOAD_BALANCER = "load balancer"
    """The group's own, by id: its addresses change."""
    ENVIRONMENT = "environment"
    """The droplets of the same environment, by its tag: the one that collects metrics is among them."""


class Protocol(StrEnum):
    """A transport that a cloud firewall knows."""

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True)
class Inbound:
    """Traffic that a droplet accepts.

    Attributes:
        port: on the droplet.
        protocol: the transport.
        source: who may send it.
        cidrs: the administrators' addresses; empty for the other sources.
        why: the reason, for a reader of the table.
    """

    port: int
    protocol: Protocol
    source: Source
    cidrs: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Outbound:
    """Traffic that a droplet may start.

    Attributes:
        port: a number, or the data service whose own port is meant.
        protocol: the transport.
        cidrs: where to.
        why: the reason, for a reader of the table.
    """

    port: int | Store
    protocol: Protocol
    cidrs: tuple[str, ...]
    why: str


# A cloud firewall denies by default in both directions: what is not here does not leave a droplet.
_OUTBOUND_ALWAYS = (
    Outbound(53, Protocol.UDP, EVERYWHERE, "DNS"),
    Outbound(53, Protocol.TCP, EVERYWHERE, "DNS, long answers"),
    Outbound(80, Protocol.TCP, EVERYWHERE, "apt, and the metadata service"),
    Outbound(123, Protocol.UDP, EVERYWHERE, "NTP"),
    Outbound(
        443, Protocol.TCP, EVERYWHERE, "image pulls, Spaces, Rekognition, mNotify, our own public names"
    ),
)


def inbound(placement: Placement, admin_cidrs: tuple[AnyNetwork, ...]) -> tuple[Inbound, ...]:
    """Return what reaches a group's droplets."""
    admins = tuple(map(str, admin_cidrs))
    rules = [
        Inbound(SSH_PORT, Protocol.TCP, Source.ADMINISTRATORS, admins, "administrators' SSH"),
        Inbound(METRICS_PORT, Protocol.TCP, Source.ENVIRONMENT, (), "Prometheus, on the private network"),
    ]
    if placement.public:
        rules.append(Inbound(HTTPS_PORT, Protocol.TCP, Source.LOAD_BALANCER, (), "the group's load balancer"))
    if placement.observes:
        rules.append(
            Inbound(
                OTLP_PORT, Protocol.TCP, Source.ENVIRONMENT, (), "services' metrics, over TLS, with a token"
            )
        )
    return tuple(rules)


def outbound(
    placement: Placement, vpc_range: IPv4Network, observability: Observability | None = None
) -> tuple[Outbound, ...]:
    """Return what a group's droplets reach; ``observability`` is the environment's section, if it has one."""
    within = (str(vpc_range),)
    stores = tuple(
        Outbound(store, Protocol.TCP, within, f"managed {store}, over the private network")
        for store in Store
        if placement.connects_to(store)
    )
    return _OUTBOUND_ALWAYS + stores + tuple(_metrics(placement, within, observability))


def _metrics(
    placement: Placement, within: tuple[str, ...], observability: Observability | None
) -> Iterator[Outbound]:
    if observability:
        yield Outbound(OTLP_PORT, Protocol.TCP, within, "services' metrics, to the observability group")
    if observability and placement.observes:
        yield Outbound(METRICS_PORT, Protocol.TCP, within, "droplets' metrics, over the private network")
        if observability.notify.email:
            port = int(observability.notify.email.relay.rpartition(":")[2])
            yield Outbound(port, Protocol.TCP, EVERYWHERE, "the mail relay")
