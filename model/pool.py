"""The connections to Postgres that a droplet's services share: PgBouncer on every droplet that uses tenants' databases.

A pool is what one droplet may hold for one user of one tenant's database. docs/connections.md has the reasons and what
was measured; droplet/pool has the numbers that PgBouncer itself is set up with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from model import naming
from model.environment import EnvironmentFile
from model.errors import Findings, YamlPath
from model.layout import Placement, place
from model.naming import Names
from model.private_bucket import plan_credentials
from model.tenancy import Status, Tier
from model.tenants import Tenant

SOCKETS = "/run/presence360/postgres"
"""The folder of PgBouncer's socket, on a droplet and in the containers of services that use tenants' databases."""

PORT = 6432
"""Part of the socket's name; nothing listens on TCP (droplet/pool/files.py)."""

DIRECT_CONNECTIONS: Mapping[str, int] = {
    # Its own and its visits' (droplet/isolation/cluster.py, PARALLEL_VISITS), and its watch's.
    "isolation": 4,
    # What works on one tenant's database at a time, such as a move, which has two sessions, and what watches it.
    "moves": 4,
    # A person who has to look.
    "an administrator": 1,
}
"""Sessions that go past the pools, on every cluster, beside those of migrations and dumps."""

SESSIONS_OF_A_MIGRATION = 2
"""The one that holds its lock, and the one of its container (droplet/migrate)."""

SESSIONS_OF_A_DUMP = 3
"""The one that holds its lock, the one that holds its snapshot, and pg_dump's (droplet/backup)."""


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """What a group's droplets are told of the pools."""

    credentials: str
    """The bucket with the tenants' credentials."""
    folder: str
    """Of the credentials objects in it."""
    droplets: int
    """Among how many they divide what a tenant's user may hold."""
    connections: int
    """That a tenant's user may hold, where its credentials object does not say it yet: a cell's that was not applied
    since."""


def plan_pool(file: EnvironmentFile, names: Names, placement: Placement) -> PoolPlan | None:
    """Decide a group's pools; None for a group that uses no tenant's database.

    What one tenant may hold is in its credentials object, so that an edit of one cell changes nothing of another.
    """
    if not _has_pools(placement):
        return None
    return PoolPlan(
        credentials=plan_credentials(file, names).name,
        folder=naming.CREDENTIALS_FOLDER,
        droplets=most_droplets(file),
        connections=file.limits.connections,
    )


def pool_size(connections: int, droplets: int) -> int:
    """Divide what a tenant's user may hold among the droplets; each needs at least one. droplet/pool does the same."""
    return max(1, connections // droplets)


def droplets(file: EnvironmentFile) -> int:
    """Return how many droplets have pools; of an autoscale pool the most."""
    return sum(_sizes(file))


def most_droplets(file: EnvironmentFile) -> int:
    """Return the same while a group is replaced: old and new droplets of it stand side by side, one group at a time."""
    replicas = [file.groups[group].replicas or 0 for group in _groups(file)]
    return max(1, droplets(file) + max(replicas, default=0))


def ceiling(file: EnvironmentFile, tenant: Tenant) -> int:
    """Return what all droplets together may hold to a tenant's database; a suspended one comes back without asking.

    During a rotation each generation of credentials has pools of its own.
    """
    if tenant.status is Status.RETIRED:
        return 0
    size = pool_size(_limit(file, tenant), most_droplets(file))
    return size * droplets(file) * (1 + len(tenant.credentials.keep))


def demand(file: EnvironmentFile, tenants: Iterable[Tenant]) -> Fraction:
    """Return for how many connections of a cluster its tenants' pools are counted, as far as they share it.

    It is not rounded: with an overcommit several tenants share one, and the next one may fit into the rest.
    """
    ceilings = (ceiling(file, tenant) for tenant in tenants if tenant.tier is Tier.SHARED)
    return Fraction(sum(ceilings), file.postgres.overcommit)


def direct_connections(file: EnvironmentFile) -> int:
    """Return how many sessions go past the pools; of migrations and dumps, one looks for what is to be done."""
    migrations = 1 + SESSIONS_OF_A_MIGRATION * file.migrations.parallel if file.migrations else 0
    dumps = 1 + SESSIONS_OF_A_DUMP * file.backups.parallel if file.backups else 0
    return sum(DIRECT_CONNECTIONS.values()) + migrations + dumps


def check_pools(file: EnvironmentFile, tenants: Sequence[Tenant], ours: Findings, theirs: Findings) -> None:
    """Warn of a limit that leaves a droplet without a connection, in environment.yaml and in tenants.yaml."""
    most = most_droplets(file)
    limits: list[tuple[YamlPath, int, Findings]] = [
        (("limits", "connections"), file.limits.connections, ours)
    ]
    for index, tenant in enumerate(tenants):
        if tenant.limits.connections:
            limits.append((("tenants", index, "limits", "connections"), tenant.limits.connections, theirs))
    for path, limit, findings in limits:
        if limit < most:
            findings.add(
                path,
                f"{limit} connections, and while a group is replaced {most} droplets hold one each",
                f"Write at least {most}, or have fewer droplets: Postgres refuses what is above the limit, and queries "
                "fail on the droplets that get none.",
            )


def _limit(file: EnvironmentFile, tenant: Tenant) -> int:
    return tenant.limits.connections or file.limits.connections


def _has_pools(placement: Placement) -> bool:
    return any(service.uses_tenants_databases for service in placement.services)


def _groups(file: EnvironmentFile) -> list[str]:
    return [placement.group for placement in place(file.groups, apex=False) if _has_pools(placement)]


def _sizes(file: EnvironmentFile) -> Iterable[int]:
    for name in _groups(file):
        group = file.groups[name]
        yield group.replicas or (group.autoscale.max if group.autoscale else 0)
