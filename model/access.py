"""Who may talk to whom on which port. The cloud firewalls are made from this table and from nothing else."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from model.layout import Placement
from model.network import AnyNetwork
from model.services import Store

SSH_PORT = 22
HTTPS_PORT = 443
"""Where nginx on a droplet answers its group's load balancer."""

HEALTH_PATH = "/healthz"
"""What the load balancer asks every droplet of its group."""

EVERYWHERE = ("0.0.0.0/0", "::/0")


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
        cidrs: sources by address; empty when the group's load balancer is the source.
        why: for whoever reads the table.
    """

    port: int
    protocol: Protocol
    cidrs: tuple[str, ...]
    why: str

    @property
    def from_load_balancer(self) -> bool:
        """Whether the source is the group's load balancer, whose addresses change."""
        return not self.cidrs


@dataclass(frozen=True)
class Outbound:
    """Traffic that a droplet may start.

    Attributes:
        port: a number, or the data service whose own port is meant.
        protocol: the transport.
        cidrs: where to.
        why: for whoever reads the table.
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
    rules = [Inbound(SSH_PORT, Protocol.TCP, tuple(map(str, admin_cidrs)), "administrators' SSH")]
    if placement.public:
        rules.append(Inbound(HTTPS_PORT, Protocol.TCP, (), "the group's load balancer"))
    return tuple(rules)


def outbound(placement: Placement, vpc_range: IPv4Network) -> tuple[Outbound, ...]:
    """Return what a group's droplets reach."""
    stores = tuple(
        Outbound(store, Protocol.TCP, (str(vpc_range),), f"managed {store}, over the private network")
        for store in Store
        if placement.connects_to(store)
    )
    return _OUTBOUND_ALWAYS + stores
