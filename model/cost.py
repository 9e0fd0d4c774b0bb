"""What an environment costs a month at list prices: by what is paid for, by cell, by church. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from model import prices
from model.data import ClusterPlan
from model.droplets import DropletGroupPlan
from model.plan import EnvironmentPlan
from model.prices import Price
from model.tenancy import Status

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Line:
    """Something that is paid for.

    Attributes:
        what: it, in words.
        count: how many of them.
        most: how many at most, where load decides.
        price: of one, a month.
        cell: whose churches it is for; empty: for all churches of the environment.
        church: the id of the one church that it is for; empty: several.
    """

    what: str
    count: int
    price: Price
    most: int = 0
    cell: str = ""
    church: str = ""


@dataclass(frozen=True)
class Cost:
    """A sum: what is known of it, and what is not. What is unknown is never 0.

    Attributes:
        known: at least this much of what has a price, in US dollars a month.
        most: at most, where pools follow the load.
        unknown: how many there are of each thing without a price.
    """

    known: Decimal = Decimal(0)
    most: Decimal = Decimal(0)
    unknown: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Cost") -> "Cost":
        unknown = Counter(self.unknown) + Counter(other.unknown)
        return Cost(self.known + other.known, self.most + other.most, dict(sorted(unknown.items())))

    def share(self, churches: int) -> "Cost":
        """Return one church's part; what is unknown stays unknown."""
        return Cost(self.known / churches, self.most / churches, self.unknown) if churches else self

    def __str__(self) -> str:
        known = money(self.known)
        if self.most != self.known:
            known += f" to {money(self.most)}"
        if not self.unknown:
            return known
        return f"{known} + unknown" if self.known or self.most else "unknown"


def money(usd: Decimal) -> str:
    """Write US dollars."""
    return f"${usd.quantize(CENT):,}"


def total(lines: Iterable[Line]) -> Cost:
    """Return the sum of lines."""
    found = Cost()
    for line in lines:
        if line.price.usd is None:
            found += Cost(unknown={line.what: line.count})
        else:
            found += Cost(line.price.usd * line.count, line.price.usd * max(line.count, line.most))
    return found


def lines(plan: EnvironmentPlan, droplets: Mapping[str, Price] = prices.DROPLETS) -> tuple[Line, ...]:
    """Return what an environment pays for; what its whole account pays for once is in `of_the_account`.

    Args:
        plan: the environment.
        droplets: prices by size.
    """
    return tuple(_lines(plan, droplets))


def _lines(plan: EnvironmentPlan, droplets: Mapping[str, Price]) -> Iterator[Line]:
    for group in plan.groups:
        yield _droplets(group, droplets)
    for balancer in plan.edge.load_balancers:
        yield Line(f"load balancer node of {balancer.group}", balancer.size_units, prices.LOAD_BALANCER_NODE)
    for cluster in plan.data.postgres:
        is_cells = cluster.key == plan.tenant_plane.cluster
        yield _cluster(cluster, prices.POSTGRES_NODES, "Postgres", cell=plan.name if is_cells else "")
    yield _cluster(plan.data.valkey, prices.VALKEY_NODES, "Valkey")
    for cell in plan.cells:
        yield _cluster(cell.cluster, prices.POSTGRES_NODES, "Postgres", cell=cell.cell)
    for tenant in plan.tenants:
        if tenant.cluster:
            yield _cluster(tenant.cluster, prices.POSTGRES_NODES, "Postgres", church=tenant.id)
    if plan.observability:
        if plan.observability.volume:
            yield Line("GiB of the volume for metrics", plan.observability.volume_gib, prices.VOLUME_GIB)
        # One for each name, and the one that asks whether alerts arrive.
        yield Line("uptime check", len(plan.observability.uptime) + 1, prices.UPTIME_CHECK)


def _droplets(group: DropletGroupPlan, known: Mapping[str, Price]) -> Line:
    least, most = len(group.droplet_names), 0
    if group.autoscale:
        least, most = group.autoscale.minimum, group.autoscale.maximum
    price = known.get(group.size, prices.UNKNOWN_DROPLET)
    return Line(f"droplet {group.size} of {group.group}", least, price, most)


def _cluster(
    cluster: ClusterPlan, known: Mapping[str, Price], engine: str, *, cell: str = "", church: str = ""
) -> Line:
    price = known.get(cluster.size, prices.UNKNOWN_CLUSTER)
    return Line(
        f"{engine} node {cluster.size} of {cluster.name}", cluster.nodes, price, cell=cell, church=church
    )


def of_the_account() -> tuple[tuple[str, Price], ...]:
    """Return what an account pays for once, and for use, whatever its environments are."""
    tiers = tuple(
        (f"container registry, if the account has the tier {tier}", price)
        for tier, price in prices.REGISTRY_TIERS.items()
    )
    return (
        (f"Spaces, with {prices.SPACES_INCLUDES}", prices.SPACES),
        *tiers,
        ("a GiB of outbound transfer beyond what all droplets include", prices.TRANSFER_GIB),
    )


@dataclass(frozen=True)
class Church:
    """A church's part: what is its own, and its equal part of what it shares with others that are served."""

    slug: str
    cell: str
    own: Cost
    shared: Cost

    @property
    def cost(self) -> Cost:
        """Both together."""
        return self.own + self.shared


def churches(plan: EnvironmentPlan, found: Iterable[Line]) -> tuple[Church, ...]:
    """Return each church's part. One that is not served has none of what is shared, and still a cluster of its own."""
    by_cell: defaultdict[str, list[Line]] = defaultdict(list)
    by_church: defaultdict[str, list[Line]] = defaultdict(list)
    for line in found:
        if line.church:
            by_church[line.church].append(line)
        else:
            by_cell[line.cell].append(line)
    planes = (plan.tenant_plane, *(cell.tenant_plane for cell in plan.cells))
    every = sum(1 for tenant in plan.tenants if tenant.status is Status.ACTIVE)
    result = []
    for plane in planes:
        active = sum(1 for tenant in plane.tenants if tenant.status is Status.ACTIVE)
        part = total(by_cell[""]).share(every) + total(by_cell[plane.cell]).share(active)
        for tenant in plane.tenants:
            shared = part if tenant.status is Status.ACTIVE else Cost()
            result.append(Church(tenant.slug, plane.cell, total(by_church[tenant.id]), shared))
    return tuple(sorted(result, key=lambda church: church.slug))
