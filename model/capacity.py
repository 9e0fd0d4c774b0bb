"""What an environment asks of DigitalOcean's limits: used, limit, and for how many more tenants there is room.

What cannot work is an error before anything is planned, and what is nearly used up is a warning. Limits of the account
are in model/account.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from model import access, pool, sizes
from model.account import of_account
from model.environment import EnvironmentFile, PostgresCluster, observes
from model.errors import Findings, YamlPath
from model.layout import Placement, place
from model.naming import stack_of_cell
from model.requests import REQUESTS_OF_A_TENANT, requests_of_cell, requests_of_environment
from model.services import Store
from model.tenancy import MAX_TENANTS_OF_A_CELL
from model.tenants import Tenant

WARN_AT = 0.8
"""From this share of a limit on there is a warning, while there is still time to act."""

# DigitalOcean API documentation, "Rate Limit": for one token.
REQUESTS_PER_HOUR = 5_000
REQUESTS_PER_MINUTE = 250

# DigitalOcean documentation, "Firewalls: Limits" and "PostgreSQL: Limits" (trusted sources). Droplets stand behind a
# load balancer by tag, for which there is no limit ("Load Balancers: Limits").
CLOUD_FIREWALL_RULES = 50
DATABASE_FIREWALL_RULES = 100


@dataclass(frozen=True, kw_only=True)
class Use:
    """One limit and what is used of it.

    Attributes:
        stack: whose it is.
        what: the limit in words.
        taken: in the limit's unit, a fraction where tenants share.
        limit: in the same.
        per_tenant: what another tenant with the usual limits adds, a fraction where tenants share; 0: nothing.
        path: what to change in the file.
        remedy: what to do when it is used up.
        tenants_file: whether that place is in tenants.yaml.
        requests: whether it counts API requests.
    """

    stack: str
    what: str
    taken: int | Fraction
    limit: int
    per_tenant: int | Fraction
    path: YamlPath
    remedy: str
    tenants_file: bool = False
    requests: bool = False

    @property
    def used(self) -> int:
        """What is taken, in whole units."""
        return ceil(self.taken)

    @property
    def headroom(self) -> int | None:
        """How many more tenants fit; None where tenants add nothing."""
        return int(max(0, self.limit - self.taken) // self.per_tenant) if self.per_tenant else None


@dataclass(frozen=True)
class Shortages:
    """What is used up, and what nearly is, by the file that has to change."""

    errors: Findings = field(default_factory=Findings)
    warnings: Findings = field(default_factory=Findings)
    tenants_errors: Findings = field(default_factory=Findings)
    tenants_warnings: Findings = field(default_factory=Findings)


def shortages(file: EnvironmentFile, tenants: Sequence[Tenant]) -> Shortages:
    """Find what an environment asks too much of."""
    found = Shortages()
    pool.check_pools(file, tenants, found.warnings, found.tenants_warnings)
    for use in uses(file, tenants):
        if use.used > use.limit:
            into = found.tenants_errors if use.tenants_file else found.errors
            into.add(use.path, f"{use.what}: {use.used:,} needed, {use.limit:,} available", use.remedy)
        elif use.used > WARN_AT * use.limit:
            into = found.tenants_warnings if use.tenants_file else found.warnings
            share = f"{use.used:,} of {use.limit:,}, {100 * use.used // use.limit} percent"
            room = "" if use.headroom is None else f"; room for {use.headroom} more tenants"
            into.add(use.path, f"{use.what}: {share}{room}", use.remedy)
    return found


def room(found: Iterable[Use]) -> int:
    """Return how many more tenants with the usual limits fit: in each cell what its scarcest limit leaves, summed."""
    scarcest: dict[str, int] = {}
    for use in found:
        if use.headroom is not None:
            scarcest[use.stack] = min(use.headroom, scarcest.get(use.stack, use.headroom))
    return sum(scarcest.values())


def uses(file: EnvironmentFile, tenants: Sequence[Tenant]) -> Iterator[Use]:
    """Yield every limit of an environment, stack by stack, the environment's own first."""
    placements = place(file.groups, apex=file.dns.apex, observes=observes(file))
    by_cell: dict[str | None, list[tuple[int, Tenant]]] = {
        None: [],
        **{cell: [] for cell in file.postgres.cell_names},
    }
    for index, tenant in enumerate(tenants):
        by_cell.setdefault(tenant.cell, []).append((index, tenant))
    for key in sorted(file.postgres.clusters.keys() - {file.postgres.tenants}):
        yield from _of_cluster(file, file.environment, ("clusters", key), [])
    for cell, members in by_cell.items():
        # A tenant whose cell is not there has an error of its own.
        if cell is None or cell in file.postgres.cells:
            yield from _of_cell(file, placements, cell, members)
    for placement in placements:
        yield from _of_group(file, placement)
    for what, used, limit, name in of_account(file, tenants):
        yield Use(
            stack=file.environment,
            what=what,
            taken=used,
            limit=limit,
            per_tenant=0,
            path=("account", name),
            remedy="Ask DigitalOcean for more (control panel, Resource Limits) and write the new limit here, or let "
            "the environment have less.",
        )


def _of_cell(
    file: EnvironmentFile,
    placements: Sequence[Placement],
    cell: str | None,
    members: list[tuple[int, Tenant]],
) -> Iterator[Use]:
    stack = stack_of_cell(file.environment, cell) if cell else file.environment
    tenants = [tenant for _, tenant in members]
    yield Use(
        stack=stack,
        what=f"tenants of {stack}",
        taken=len(tenants),
        limit=MAX_TENANTS_OF_A_CELL,
        per_tenant=1,
        tenants_file=True,
        path=("tenants",),
        remedy="Add a cell under `postgres.cells` of environment.yaml, and write `cell: cell-2` in the entries of new "
        "tenants. The other tenants stay where they are.",
    )
    where = ("cells", cell) if cell else ("clusters", file.postgres.tenants)
    yield from _of_cluster(file, stack, where, tenants)
    for index, tenant in members:
        if tenant.dedicated:
            yield _connections(
                stack,
                f"connections of {tenant.slug}'s own cluster",
                tenant.dedicated,
                pool.ceiling(file, tenant) + pool.direct_connections(file),
                ("tenants", index, "dedicated", "size"),
                per_tenant=0,
                tenants_file=True,
            )
    if cell:
        requests = requests_of_cell(file, placements, tenants)
    else:
        requests = requests_of_environment(file, placements, tenants)
    yield Use(
        stack=stack,
        what=f"API requests per hour, for one plan of {stack}",
        taken=requests,
        limit=REQUESTS_PER_HOUR,
        per_tenant=REQUESTS_OF_A_TENANT,
        tenants_file=True,
        requests=True,
        path=("tenants",),
        remedy="Add new tenants to another cell.",
    )


def _of_cluster(
    file: EnvironmentFile, stack: str, where: tuple[str, str], tenants: Sequence[Tenant]
) -> Iterator[Use]:
    kind, key = where
    cluster = (file.postgres.clusters if kind == "clusters" else file.postgres.cells)[key]
    holds_control_plane = kind == "clusters" and key == file.postgres.control_plane
    used = pool.demand(file, tenants) + pool.direct_connections(file)
    # The control plane connects without a pool: it has one database, and holds what its user may.
    used += file.limits.connections if holds_control_plane else 0
    takes_tenants = kind == "cells" or key == file.postgres.tenants
    yield _connections(
        stack,
        f"connections of the cluster {key}",
        cluster,
        used,
        ("postgres", kind, key, "size"),
        per_tenant=_of_another_tenant(file) if takes_tenants else 0,
    )
    yield Use(
        stack=stack,
        what=f"databases in the cluster {key}",
        taken=sum(len(tenant.database.there) for tenant in tenants if tenant.homes.shared)
        + holds_control_plane,
        limit=file.postgres.databases_per_cluster,
        per_tenant=int(takes_tenants),
        path=("postgres", kind, key),
        remedy="Add new tenants to another cell, or raise `postgres.databases_per_cluster` with care.",
    )
    clients = sum(1 for placement in place(file.groups, apex=False) if placement.connects_to(Store.POSTGRES))
    yield Use(
        stack=stack,
        what=f"firewall rules of the cluster {key}",
        taken=clients,
        limit=DATABASE_FIREWALL_RULES,
        per_tenant=0,
        path=("groups",),
        remedy="Let fewer groups connect to Postgres.",
    )


def _connections(
    stack: str,
    what: str,
    cluster: PostgresCluster,
    taken: int | Fraction,
    path: YamlPath,
    *,
    per_tenant: int | Fraction,
    tenants_file: bool = False,
) -> Use:
    return Use(
        stack=stack,
        what=what,
        taken=taken,
        limit=sizes.connections(cluster.size),
        per_tenant=per_tenant,
        path=path,
        tenants_file=tenants_file,
        remedy=f"Choose a larger size than {cluster.size}, lower `limits.connections`"
        + (
            "."
            if tenants_file
            else ", raise `postgres.overcommit` with care, or add new tenants to another cell."
        ),
    )


def _of_another_tenant(file: EnvironmentFile) -> Fraction:
    """Return what a tenant with the usual limit adds to the connections that are counted."""
    size = pool.pool_size(file.limits.connections, pool.most_droplets(file))
    return Fraction(size * pool.droplets(file), file.postgres.overcommit)


def _of_group(file: EnvironmentFile, placement: Placement) -> Iterator[Use]:
    rules = len(access.inbound(placement, file.network.admin_cidrs))
    rules += len(access.outbound(placement, file.network.ip_range, file.observability))
    yield Use(
        stack=file.environment,
        what=f"firewall rules of the group {placement.group}",
        taken=rules,
        limit=CLOUD_FIREWALL_RULES,
        per_tenant=0,
        path=("groups", placement.group),
        remedy="Move some of its services to another group.",
    )
