"""Droplets that all run the same services, and what nginx on them answers to tenants' host names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model import access, releases
from model.backups import BackupsPlan
from model.config import ConfigPlan, plan_config
from model.environment import EnvironmentFile, Group
from model.isolation import IsolationPlan, plan_isolation
from model.layout import Placement
from model.maintenance import MaintenancePlan, plan_maintenance
from model.migrations import MigrationsPlan, plan_migrations
from model.naming import Names
from model.observability import ObservabilityPlan
from model.pool import PoolPlan, plan_pool
from model.scheduled_jobs import ScheduledJobPlan, plan_scheduled_jobs
from model.services import WATCHDOG_HOST, WILDCARD
from model.telemetry import TelemetryPlan, plan_telemetry
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
    """How many requests a second one droplet takes for a tenant's host name, before nginx answers 429.

    The operators' number is a tenant's on all droplets together. Each droplet gets its part of it when as many are away
    as change at once, so that a release takes nothing from a tenant; when all serve, the sum is a little more.
    """

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
    maintenance: MaintenancePlan
    """Who is not served for a while."""
    admin_ranges: tuple[str, ...]
    """Addresses that are served in maintenance as well."""
    config: ConfigPlan
    isolation: IsolationPlan | None
    """None: another group runs the job."""
    pool: PoolPlan | None
    """None: no service of the group uses a tenant's database."""
    observability: ObservabilityPlan | None
    """None: another group keeps the metrics, or none does."""
    watchdog: str | None
    """The status bucket in which the observability group says that alerts arrive; None where nobody asks the group."""
    jobs: tuple[ScheduledJobPlan, ...]
    """What its droplets run at certain times, by name."""
    backups: BackupsPlan | None
    """None: another group dumps databases, or none does."""
    migrations: MigrationsPlan | None
    """The same for all groups: each waits for them. None: no image brings migrations."""
    telemetry: TelemetryPlan | None
    """None: the environment has no observability group."""
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
    file: EnvironmentFile,
    tenants: Sequence[Tenant],
    names: Names,
    placement: Placement,
    *,
    control: str,
    observability: ObservabilityPlan | None,
    backups: BackupsPlan | None,
) -> DropletGroupPlan:
    """Decide one group.

    Args:
        file: the environment.
        tenants: those of all cells.
        names: of the environment's resources.
        placement: what the group runs.
        control: the group that runs the isolation job.
        observability: of the environment; None if nobody keeps metrics.
        backups: of the environment; None if it has no dumps of its own.
    """
    group = file.groups[placement.group]
    autoscale = group.autoscale
    reached = sorted(tenants, key=lambda tenant: tenant.slug) if answers_tenants(placement) else []
    return DropletGroupPlan(
        placement=placement,
        environment=file.environment,
        base_domain=file.base_domain,
        vpc_range=str(file.network.ip_range),
        turns=group.replicas or TURNS_OF_A_POOL,
        rate_limits=_plan_rate_limits(file, reached, serving(group)),
        closed_hosts=_closed_hosts(file, reached),
        tenant_slugs=tuple(tenant.slug for tenant in reached),
        maintenance=plan_maintenance(file, tenants),
        admin_ranges=tuple(str(cidr) for cidr in file.network.admin_cidrs),
        config=plan_config(file, names, placement, control=control),
        isolation=(
            plan_isolation(file, of_cell(tenants, None), tuple(sorted(file.postgres.clusters)))
            if releases.keeps_tenants_apart(placement)
            else None
        ),
        pool=plan_pool(file, names, placement),
        observability=observability if placement.observes else None,
        watchdog=observability.status_bucket if observability and _answers_watchdog(placement) else None,
        jobs=plan_scheduled_jobs(file, placement),
        backups=backups if releases.keeps_tenants_apart(placement) else None,
        migrations=plan_migrations(file, tenants),
        telemetry=plan_telemetry(
            observability.status_bucket if observability else None, file, observes=placement.observes
        ),
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
        outbound=access.outbound(placement, file.network.ip_range, file.observability),
    )


def _answers_watchdog(placement: Placement) -> bool:
    return any(host.label == WATCHDOG_HOST for host in placement.hosts)


def answers_tenants(placement: Placement) -> bool:
    """Tell whether tenants' host names reach a group: those that answer to the wildcard."""
    return any(host.label == WILDCARD for host in placement.hosts)


def serving(group: Group) -> int:
    """Return how many of a group's droplets serve while others change: all but one, of a pool all but a quarter."""
    if group.autoscale:
        least = group.autoscale.min
        return max(1, least - max(1, least // TURNS_OF_A_POOL))
    return max(1, (group.replicas or 1) - 1)


def _plan_rate_limits(file: EnvironmentFile, reached: Iterable[Tenant], droplets: int) -> RateLimitPlan:
    def share(rate: int) -> int:
        return -(-rate // droplets)

    default = share(file.limits.requests_per_second)
    own = {
        f"{tenant.slug}.{file.base_domain}": share(tenant.limits.requests_per_second)
        for tenant in reached
        if tenant.limits.requests_per_second
    }
    return RateLimitPlan(
        default=default, overrides={host: rate for host, rate in own.items() if rate != default}
    )


def _closed_hosts(file: EnvironmentFile, reached: Iterable[Tenant]) -> dict[str, int]:
    return {
        f"{tenant.slug}.{file.base_domain}": CLOSED_STATUS[tenant.status]
        for tenant in reached
        if tenant.status in CLOSED_STATUS
    }
