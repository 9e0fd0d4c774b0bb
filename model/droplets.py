"""Droplets that all run the same services, and what nginx on them answers to tenants' host names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model import access, releases
from model.config import ConfigPlan, plan_config
from model.environment import EnvironmentFile
from model.isolation import IsolationPlan, plan_isolation
from model.layout import Placement
from model.naming import Names
from model.pool import PoolPlan, plan_pool
from model.services import WILDCARD
from model.tenancy import CLOSED_STATUS
from model.tenant_plane import of_cell
from model.tenants import Tenant

TENANTS_KEY = "tenants.json"
"""The object with the slugs of all tenants. Not part of a release: a new church touches no service and no nginx."""

TURNS_OF_A_POOL = 4
"""A pool's droplets come and go, so no plan knows their number; a quarter at a time leaves enough of them."""


@dataclass(frozen=True, kw_only=True)
class AutoscalePlan:
    """A pool of droplets that follows the load."""

    minimum: int
    maximum: int
    cpu: float
    """The average CPU use aimed at, as a fraction."""


@dataclass(frozen=True, kw_only=True)
class RateLimitPlan:
    """How many requests a second a tenant's host name may make before nginx answers 429."""

    default: int
    overrides: Mapping[str, int]
    """By full host name, for tenants whose limit differs; so a tenant with the usual limit changes nothing here."""


@dataclass(frozen=True, kw_only=True)
class DropletGroupPlan:
    """Droplets that all run the same services, and the firewall around them."""

    placement: Placement
    environment: str
    base_domain: str
    vpc_range: str
    turns: int
    """In how many turns the group's droplets restart: the number of replicas; 4 for a pool."""
    rate_limits: RateLimitPlan
    closed_hosts: Mapping[str, int]
    """By full host name of a suspended or retired tenant, the HTTP status that nginx answers."""
    tenant_slugs: tuple[str, ...]
    """Of all tenants whose host names reach the group, sorted; nginx answers every other name itself."""
    config: ConfigPlan
    isolation: IsolationPlan | None
    """None: another group runs the job."""
    pool: PoolPlan | None
    """None: no service of the group uses a tenant's database."""
    region: str
    size: str
    name: str
    droplet_names: tuple[str, ...]
    """One name a droplet; empty for an autoscale pool."""
    autoscale: AutoscalePlan | None
    auditd: bool
    """Whether the kernel's audit log is kept."""
    inbound: tuple[access.Inbound, ...]
    outbound: tuple[access.Outbound, ...]

    @property
    def group(self) -> str:
        """The group's name in the operators' file."""
        return self.placement.group


def plan_group(
    file: EnvironmentFile, tenants: Sequence[Tenant], names: Names, placement: Placement, *, control: str
) -> DropletGroupPlan:
    """Decide one group; the tenants are those of all cells, ``control`` is the group that runs the isolation job."""
    group = file.groups[placement.group]
    autoscale = group.autoscale
    reached = sorted(tenants, key=lambda tenant: tenant.slug) if answers_tenants(placement) else []
    return DropletGroupPlan(
        placement=placement,
        environment=file.environment,
        base_domain=file.base_domain,
        vpc_range=str(file.network.ip_range),
        turns=group.replicas or TURNS_OF_A_POOL,
        rate_limits=_plan_rate_limits(file, reached),
        closed_hosts=_closed_hosts(file, reached),
        tenant_slugs=tuple(tenant.slug for tenant in reached),
        config=plan_config(file, names, placement, control=control),
        isolation=(
            plan_isolation(file, of_cell(tenants, None), tuple(sorted(file.postgres.clusters)))
            if releases.keeps_tenants_apart(placement)
            else None
        ),
        pool=plan_pool(file, names, placement),
        region=file.region,
        size=group.size,
        name=names.resource(placement.group),
        droplet_names=tuple(
            names.droplet(placement.group, number) for number in range(1, (group.replicas or 0) + 1)
        ),
        autoscale=(
            AutoscalePlan(minimum=autoscale.min, maximum=autoscale.max, cpu=autoscale.cpu)
            if autoscale
            else None
        ),
        auditd=file.hardening.auditd,
        inbound=access.inbound(placement, file.network.admin_cidrs),
        outbound=access.outbound(placement, file.network.ip_range),
    )


def answers_tenants(placement: Placement) -> bool:
    """Tell whether tenants' host names reach a group: those that answer to the wildcard."""
    return any(host.label == WILDCARD for host in placement.hosts)


def _plan_rate_limits(file: EnvironmentFile, reached: Iterable[Tenant]) -> RateLimitPlan:
    default = file.limits.requests_per_second
    return RateLimitPlan(
        default=default,
        overrides={
            f"{tenant.slug}.{file.base_domain}": tenant.limits.requests_per_second
            for tenant in reached
            if tenant.limits.requests_per_second and tenant.limits.requests_per_second != default
        },
    )


def _closed_hosts(file: EnvironmentFile, reached: Iterable[Tenant]) -> dict[str, int]:
    return {
        f"{tenant.slug}.{file.base_domain}": CLOSED_STATUS[tenant.status]
        for tenant in reached
        if tenant.status in CLOSED_STATUS
    }
