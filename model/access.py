"""Who may talk to whom on which port. The cloud firewalls are made from this table and from nothing else."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from model.ip_ranges import AnyNetwork
from model.layout import Placement
from model.services import METRICS_PORT, Store

SSH_PORT = 22
HTTPS_PORT = 443
"""Where nginx on a droplet answers its group's load balancer."""

HEALTH_PATH = "/healthz"
"""What the load balancer asks every droplet of its group."""

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
    return tuple(rules)


def outbound(placement: Placement, vpc_range: IPv4Network) -> tuple[Outbound, ...]:
    """Return what a group's droplets reach."""
    stores = tuple(
        Outbound(store, Protocol.TCP, (str(vpc_range),), f"managed {store}, over the private network")
        for store in Store
        if placement.connects_to(store)
    )
    return _OUTBOUND_ALWAYS + stores
