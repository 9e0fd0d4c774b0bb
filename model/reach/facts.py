"""The rules around droplets, clusters and load balancers, in a form in which two sets of them can be compared."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_network

from model.services import Store

LAST_PORT = 65_535

_SHOWN_STORES = {Store.POSTGRES: "Postgres", Store.VALKEY: "Valkey"}


@dataclass(frozen=True, order=True)
class Ports:
    """A range of ports, or the one port of a data service, which only DigitalOcean knows.

    Attributes:
        first: the first port; 0 for a data service's.
        last: the last port.
        store: whose port is meant; empty: numbers are written.
    """

    first: int = 0
    last: int = 0
    store: str = ""

    @classmethod
    def one(cls, port: int | Store) -> "Ports":
        """Return a single port."""
        return cls(store=port.value) if isinstance(port, Store) else cls(port, port)

    @classmethod
    def read(cls, text: str) -> "Ports":
        """Read DigitalOcean's form; none, `all` and `0` mean every port.

        Raises:
            ValueError: it is none of these.
        """
        if text in {"", "all", "0"}:
            return EVERY_PORT
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))

    def meet(self, other: "Ports") -> "Ports | None":
        """Return what both allow; a range of numbers may hold the port of a data service."""
        if self.store and other.store:
            return self if self.store == other.store else None
        if self.store or other.store:
            store, numbers = (self, other) if self.store else (other, self)
            return store if numbers.first < numbers.last else None
        first, last = max(self.first, other.first), min(self.last, other.last)
        return Ports(first, last) if first <= last else None

    def __str__(self) -> str:
        if self.store:
            return f"the port of {_SHOWN_STORES[Store(self.store)]}"
        if self == EVERY_PORT:
            return "every port"
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


EVERY_PORT = Ports(1, LAST_PORT)


class PeerKind(StrEnum):
    """How a rule names who is at the other end."""

    ADDRESS = "address"
    TAG = "tag"
    LOAD_BALANCER = "load balancer"
    OTHER = "other"


@dataclass(frozen=True, order=True)
class Peer:
    """Who is at the other end of a rule."""

    kind: PeerKind
    value: str

    @property
    def everywhere(self) -> bool:
        """Whether this is all of the internet, or half of it or more: two /1 are all of it."""
        return self.kind is PeerKind.ADDRESS and ip_network(self.value, strict=False).prefixlen <= 1

    def holds(self, network: str) -> bool:
        """Tell whether a range of addresses has something in common with another one."""
        if self.kind is not PeerKind.ADDRESS:
            return False
        mine, other = ip_network(self.value, strict=False), ip_network(network, strict=False)
        return mine.version == other.version and mine.overlaps(other)

    def __str__(self) -> str:
        if self.kind is PeerKind.ADDRESS:
            return "anywhere" if self.everywhere else self.value
        return f"the tag {self.value}" if self.kind is PeerKind.TAG else f"{self.kind} {self.value}"


class Direction(StrEnum):
    """As the droplet sees it."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, order=True)
class Rule:
    """One thing that a cloud firewall allows; a rule with several peers is several of these."""

    direction: Direction
    protocol: str
    ports: Ports
    peer: Peer
    why: str = field(default="", compare=False)
    """The reason; empty where it was read from Terraform, which has none."""

    def __str__(self) -> str:
        port = self.protocol if self.protocol == "icmp" else f"{self.ports}/{self.protocol}"
        return f"{port} {'from' if self.direction is Direction.IN else 'to'} {self.peer}"


@dataclass(frozen=True)
class Firewall:
    """A cloud firewall. A droplet obeys all firewalls that have one of its tags, and their rules add up."""

    name: str
    tags: frozenset[str]
    rules: frozenset[Rule]


@dataclass(frozen=True)
class Droplets:
    """The droplets of a group, which all carry the same tags."""

    name: str
    tags: frozenset[str]
    vpc: str


@dataclass(frozen=True)
class Cluster:
    """A managed cluster.

    Attributes:
        name: at DigitalOcean.
        store: what it is.
        sources: who may connect; None: it has no firewall, and everybody may.
        vpc: the private network that it is in.
    """

    name: str
    store: Store
    sources: frozenset[Peer] | None
    vpc: str


@dataclass(frozen=True)
class Balancer:
    """A load balancer.

    Attributes:
        name: at DigitalOcean.
        public: whether the internet reaches it.
        entries: protocols and ports that it answers on.
        targets: ports of droplets that it connects to, for requests and for health.
        backends: the tags of those droplets.
        vpc: the private network that it is in.
    """

    name: str
    public: bool
    entries: frozenset[Ports]
    targets: frozenset[Ports]
    backends: frozenset[str]
    vpc: str


@dataclass(frozen=True)
class Facts:
    """Everything of an environment that decides who can reach whom.

    Attributes:
        vpc_range: the addresses of the private network.
        firewalls: all cloud firewalls.
        droplets: by group.
        clusters: all managed clusters.
        balancers: all load balancers.
    """

    vpc_range: str
    firewalls: tuple[Firewall, ...]
    droplets: tuple[Droplets, ...]
    clusters: tuple[Cluster, ...]
    balancers: tuple[Balancer, ...]

    def around(self, droplets: Droplets) -> tuple[Firewall, ...]:
        """Return the firewalls that some droplets obey."""
        return tuple(firewall for firewall in self.firewalls if firewall.tags & droplets.tags)


@dataclass(frozen=True, order=True)
class Statement:
    """One fact by itself. What one of two sets of facts has and the other has not is their difference.

    Attributes:
        where: what it is about.
        text: what it says.
    """

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where} {self.text}"


def statements(facts: Facts) -> frozenset[Statement]:
    """Return the facts, each by itself."""
    return frozenset(_statements(facts))


def _statements(facts: Facts) -> Iterator[Statement]:
    yield Statement("the private network", f"has the range {facts.vpc_range}")
    for firewall in facts.firewalls:
        where = f"cloud firewall {firewall.name}"
        yield from (Statement(where, f"covers droplets with the tag {tag}") for tag in firewall.tags)
        yield from (Statement(where, f"allows {rule}") for rule in firewall.rules)
    for droplets in facts.droplets:
        where = f"droplets of {droplets.name}"
        yield Statement(where, f"are in the private network {droplets.vpc}")
        yield from (Statement(where, f"carry the tag {tag}") for tag in droplets.tags)
    for cluster in facts.clusters:
        where = f"cluster {cluster.name}"
        yield Statement(where, f"is in the private network {cluster.vpc}")
        if cluster.sources is None:
            yield Statement(where, "has no firewall")
        else:
            yield from (Statement(where, f"admits {peer}") for peer in cluster.sources)
    for balancer in facts.balancers:
        where = f"load balancer {balancer.name}"
        yield Statement(where, f"is in the private network {balancer.vpc}")
        yield Statement(where, "faces the internet" if balancer.public else "faces the private network")
        yield from (Statement(where, f"answers on {ports}/tcp") for ports in balancer.entries)
        yield from (Statement(where, f"connects to {ports}/tcp of droplets") for ports in balancer.targets)
        yield from (Statement(where, f"sends to droplets with the tag {tag}") for tag in balancer.backends)
