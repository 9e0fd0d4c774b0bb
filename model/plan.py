"""Everything that is decided before the first construct exists: one frozen plan object a construct.

`plan_environment` is the only way from an operator's files to resources. It decides names, placement, access and
order; constructs only turn a plan into Terraform.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from model import access, naming, releases
from model.cells import CellPlan, SharedPlan, cells_in_order
from model.environment import EnvironmentFile
from model.layout import Placement, place
from model.loader import Environment
from model.naming import Names
from model.plan_parts import ClusterPlan, IsolationPlan, PrivateBucketPlan, StatePlan, plan_cluster
from model.services import WILDCARD, Plane, Store
from model.tenancy import TenantPlan, TenantPlanePlan, closed_hosts, of_cell, plan_tenant

# terraform-provider-digitalocean 2.99.1, project/resource_project.go: the words DigitalOcean knows.
_PROJECT_ENVIRONMENTS = {"production": "Production", "staging": "Staging"}

SNAPSHOTS_PREFIX = "snapshots/"
EXPORTS_PREFIX = "exports/"

# A pool's droplets come and go, so their number is none of the plan's; a quarter at a time leaves enough of
# them.
TURNS_OF_A_POOL = 4

# Nobody waits longer for a page. Work that takes longer, as a migration or an export, raises its own session's limit.
STATEMENT_TIMEOUT_MS = 60_000
# As long as the cluster's own (constructs_lib/postgres.py), which DigitalOcean's control panel can change.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000

# Old credentials work until their user is dropped, and are of no use afterwards.
CREDENTIALS_NONCURRENT_DAYS = 1
REGISTRY_NONCURRENT_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class ProjectPlan:
    """DigitalOcean's folder for an environment's resources."""

    name: str
    description: str
    environment: str
    """Development, Staging or Production."""


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """The private network, the tags, and the keys that droplets take at birth."""

    name: str
    region: str
    ip_range: str
    ssh_keys: Mapping[str, tuple[str, str]]
    """By the operators' name: the name in the account, and the public key."""
    environment_tag: str
    plane_tags: Mapping[Plane, str]
    group_tags: Mapping[str, str]


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
class ConfigPlan:
    """The private bucket through which a group's configuration travels to its droplets."""

    bucket: str
    status_bucket: str
    """Where the group's droplets write how they are; no other group writes there."""
    control_status_bucket: str
    """The status bucket of the group that runs the isolation job; every group reads it."""
    region: str
    images: Mapping[str, str]
    """By service: the full reference, ``registry/repository:tag`` or ``registry/repository@sha256:...``."""
    settings: Mapping[str, str]
    """Environment variables that are no secret."""
    secrets: Mapping[str, str]
    """By environment variable: the name of the sensitive Terraform variable that holds its value."""


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
    config: ConfigPlan
    isolation: IsolationPlan | None
    """None: another group runs the job."""
    region: str
    size: str
    name: str
    droplet_names: tuple[str, ...]
    """One name a droplet; empty for an autoscale pool."""
    autoscale: AutoscalePlan | None
    inbound: tuple[access.Inbound, ...]
    outbound: tuple[access.Outbound, ...]

    @property
    def group(self) -> str:
        """The group's name in the operators' file."""
        return self.placement.group


@dataclass(frozen=True, kw_only=True)
class LoadBalancerPlan:
    """The load balancer of one public group, and the names that point at it."""

    group: str
    name: str
    size_units: int
    labels: tuple[str, ...]
    """Names below the base domain, ``*`` and ``@`` included."""
    fqdns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EdgePlan:
    """The zone, the certificate and the load balancers."""

    region: str
    base_domain: str
    certificate_name: str
    certificate_domains: tuple[str, ...]
    load_balancers: tuple[LoadBalancerPlan, ...]
    delegations: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BucketPlan:
    """The bucket for consented snapshots and exports; it has no place for raw video."""

    name: str
    region: str
    ttl_days: Mapping[str, int]
    """By prefix: days until an object is deleted. There are no other prefixes."""


@dataclass(frozen=True, kw_only=True)
class DataPlan:
    """The managed data services."""

    postgres: tuple[ClusterPlan, ...]
    valkey: ClusterPlan
    exports: BucketPlan


@dataclass(frozen=True, kw_only=True)
class ControlPlanePlan:
    """What the control plane owns in the data layer."""

    cluster: str
    database: str
    user: str
    owner_role: str
    """What the user acts as."""
    registry: PrivateBucketPlan
    """Where the control plane learns which tenants there are; no secret is in it."""


@dataclass(frozen=True, kw_only=True)
class RegistryPlan:
    """Where images are pulled from, and who pulls them."""

    host: str
    """With the port, if there is one: what Docker files a login under."""
    username: str | None
    """None: the token stands for both."""
    token_variable: str
    """The name of the sensitive Terraform variable that holds the token."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentPlan:
    """One environment, decided."""

    name: str
    project: ProjectPlan
    network: NetworkPlan
    edge: EdgePlan
    groups: tuple[DropletGroupPlan, ...]
    registry: RegistryPlan
    data: DataPlan
    control_plane: ControlPlanePlan
    tenant_plane: TenantPlanePlan
    """The first cell's tenants; the others are in `cells`."""
    cells: tuple[CellPlan, ...]
    state: StatePlan

    @property
    def tenants(self) -> tuple[TenantPlan, ...]:
        """The tenants of all cells, the first cell's first."""
        planes = (self.tenant_plane, *(cell.tenant_plane for cell in self.cells))
        return tuple(tenant for plane in planes for tenant in plane.tenants)

    @property
    def terraform_variables(self) -> tuple[str, ...]:
        """The names of the sensitive Terraform variables that hold the operators' secrets, sorted."""
        secrets = (variable for group in self.groups for variable in group.config.secrets.values())
        return tuple(sorted({self.registry.token_variable, *secrets}))


def plan_environment(environment: Environment) -> EnvironmentPlan:
    """Decide one environment. Pure: the same files always give the same plan."""
    file = environment.file
    names = Names(file.environment)
    placements = place(file.groups, apex=file.dns.apex)
    return EnvironmentPlan(
        name=file.environment,
        project=ProjectPlan(
            name=names.resource(naming.PRODUCT),
            description=file.description,
            environment=_PROJECT_ENVIRONMENTS.get(file.environment, "Development"),
        ),
        network=NetworkPlan(
            name=names.resource("vpc"),
            region=file.region,
            ip_range=str(file.network.ip_range),
            ssh_keys={
                key: (names.resource(key), line) for key, line in sorted(file.network.ssh_keys.items())
            },
            environment_tag=file.environment,
            plane_tags={plane: names.plane_tag(plane) for plane in Plane},
            group_tags={placement.group: names.group_tag(placement.group) for placement in placements},
        ),
        edge=_plan_edge(environment, names, placements),
        groups=tuple(
            _plan_group(environment, names, placement, control=_control_group(placements))
            for placement in placements
        ),
        registry=RegistryPlan(
            host=file.registry.url.partition("/")[0],
            username=file.registry.username,
            token_variable=releases.terraform_variable(file.environment, releases.REGISTRY_TOKEN),
        ),
        data=_plan_data(environment, names, placements),
        control_plane=ControlPlanePlan(
            cluster=file.postgres.control_plane,
            database=naming.CONTROL_PLANE_DATABASE,
            user=naming.CONTROL_PLANE_USER,
            owner_role=naming.owner_role(naming.CONTROL_PLANE_DATABASE),
            registry=_registry_bucket(file, names),
        ),
        tenant_plane=_plan_tenant_plane(environment, names, placements, cell=None),
        cells=tuple(_plan_cell(environment, names, placements, cell) for cell in cells_in_order(file)),
        state=_plan_state(file, names, file.environment),
    )


def _control_group(placements: tuple[Placement, ...]) -> str:
    """Return the group that runs the isolation job."""
    (control,) = (placement.group for placement in placements if releases.keeps_tenants_apart(placement))
    return control


def _plan_group(
    environment: Environment, names: Names, placement: Placement, *, control: str
) -> DropletGroupPlan:
    file = environment.file
    group = file.groups[placement.group]
    autoscale = group.autoscale
    return DropletGroupPlan(
        placement=placement,
        environment=file.environment,
        base_domain=file.base_domain,
        vpc_range=str(file.network.ip_range),
        turns=group.replicas or TURNS_OF_A_POOL,
        rate_limits=_plan_rate_limits(environment, placement),
        config=ConfigPlan(
            bucket=names.config_bucket(placement.group),
            status_bucket=names.status_bucket(placement.group),
            control_status_bucket=names.status_bucket(control),
            region=file.region,
            images=releases.images(file, placement),
            settings=releases.settings(file),
            secrets=releases.secrets(file, placement),
        ),
        closed_hosts=_plan_closed_hosts(environment, placement),
        isolation=(
            _plan_isolation(environment, tuple(sorted(file.postgres.clusters)), cell=None)
            if releases.keeps_tenants_apart(placement)
            else None
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
        inbound=access.inbound(placement, file.network.admin_cidrs),
        outbound=access.outbound(placement, file.network.ip_range),
    )


def _plan_tenant_plane(
    environment: Environment, names: Names, placements: tuple[Placement, ...], *, cell: str | None
) -> TenantPlanePlan:
    file = environment.file
    clients = _clients(placements, Store.POSTGRES)
    return TenantPlanePlan(
        cell=cell or file.environment,
        first=cell is None,
        cluster=cell or file.postgres.tenants,
        tenants=tuple(plan_tenant(tenant, file, clients) for tenant in of_cell(environment.tenants, cell)),
        credentials=PrivateBucketPlan(
            name=names.bucket("tenant-credentials"),
            region=file.region,
            noncurrent_days=CREDENTIALS_NONCURRENT_DAYS,
        ),
    )


def _plan_cell(
    environment: Environment, names: Names, placements: tuple[Placement, ...], cell: str
) -> CellPlan:
    file = environment.file
    clients = _clients(placements, Store.POSTGRES)
    stack = naming.stack_of_cell(file.environment, cell)
    return CellPlan(
        name=stack,
        cell=cell,
        cluster=plan_cluster(file, cell, file.postgres.cells[cell], clients),
        shared=SharedPlan(
            region=file.region,
            vpc=names.resource("vpc"),
            project=names.resource(naming.PRODUCT),
            environment_tag=file.environment,
            group_tags={group: names.group_tag(group) for group in clients},
            config_bucket=names.config_bucket(_control_group(placements)),
        ),
        tenant_plane=_plan_tenant_plane(environment, names, placements, cell=cell),
        registry=_registry_bucket(file, names),
        isolation=_plan_isolation(environment, (cell,), cell=cell),
        state=_plan_state(file, names, stack),
    )


def _plan_state(file: EnvironmentFile, names: Names, stack: str) -> StatePlan:
    return StatePlan(
        environment=file.environment, bucket=names.bucket("state"), region=file.region, key=f"{stack}.tfstate"
    )


def _registry_bucket(file: EnvironmentFile, names: Names) -> PrivateBucketPlan:
    return PrivateBucketPlan(
        name=names.bucket("tenant-registry"), region=file.region, noncurrent_days=REGISTRY_NONCURRENT_DAYS
    )


def _clients(placements: tuple[Placement, ...], store: Store) -> tuple[str, ...]:
    """Return the groups that connect to a data service."""
    return tuple(placement.group for placement in placements if placement.connects_to(store))


def _plan_isolation(
    environment: Environment, clusters: tuple[str, ...], *, cell: str | None
) -> IsolationPlan:
    default = environment.file.limits.connections
    return IsolationPlan(
        clusters=clusters,
        connections=default,
        overrides={
            naming.tenant_database(tenant.id): tenant.limits.connections
            for tenant in of_cell(environment.tenants, cell)
            if tenant.limits.connections and tenant.limits.connections != default
        },
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        idle_in_transaction_timeout_ms=IDLE_IN_TRANSACTION_TIMEOUT_MS,
    )


def _answers_tenants(placement: Placement) -> bool:
    """Tell whether tenants' host names reach a group: those that answer to the wildcard."""
    return any(host.label == WILDCARD for host in placement.hosts)


def _plan_closed_hosts(environment: Environment, placement: Placement) -> dict[str, int]:
    if not _answers_tenants(placement):
        return {}
    return closed_hosts(environment.tenants, environment.file.base_domain)


def _plan_rate_limits(environment: Environment, placement: Placement) -> RateLimitPlan:
    file = environment.file
    default = file.limits.requests_per_second
    return RateLimitPlan(
        default=default,
        overrides={
            f"{tenant.slug}.{file.base_domain}": tenant.limits.requests_per_second or default
            for tenant in sorted(environment.tenants, key=lambda tenant: tenant.slug)
            if _answers_tenants(placement) and tenant.limits.requests_per_second not in {None, default}
        },
    )


def _plan_edge(environment: Environment, names: Names, placements: tuple[Placement, ...]) -> EdgePlan:
    file = environment.file
    # A wildcard covers one level and not the base domain; listed alone, every plan shows a difference
    # (terraform-provider-digitalocean, issue 928).
    domains = (file.base_domain, f"{WILDCARD}.{file.base_domain}")
    balancers = []
    for placement in placements:
        if placement.public:
            settings = file.groups[placement.group].load_balancer
            balancers.append(
                LoadBalancerPlan(
                    group=placement.group,
                    name=names.resource(placement.group),
                    size_units=settings.size_units if settings else 1,
                    labels=tuple(host.label for host in placement.hosts),
                    fqdns=tuple(host.fqdn(file.base_domain) for host in placement.hosts),
                )
            )
    return EdgePlan(
        region=file.region,
        base_domain=file.base_domain,
        certificate_name=names.certificate(domains),
        certificate_domains=domains,
        load_balancers=tuple(balancers),
        delegations=tuple(sorted(file.dns.delegations)),
    )


def _plan_data(environment: Environment, names: Names, placements: tuple[Placement, ...]) -> DataPlan:
    file = environment.file
    return DataPlan(
        postgres=tuple(
            plan_cluster(file, key, cluster, _clients(placements, Store.POSTGRES))
            for key, cluster in sorted(file.postgres.clusters.items())
        ),
        valkey=ClusterPlan(
            key="valkey",
            name=names.resource("valkey"),
            region=file.region,
            size=file.valkey.size,
            nodes=file.valkey.nodes,
            # The one version DigitalOcean sells (OpenAPI document, databases options, valkey).
            version="8",
            maintenance=file.valkey.maintenance,
            client_groups=_clients(placements, Store.VALKEY),
        ),
        exports=BucketPlan(
            name=names.bucket("exports"),
            region=file.region,
            ttl_days={
                EXPORTS_PREFIX: file.storage.export_ttl_days,
                SNAPSHOTS_PREFIX: file.storage.snapshot_ttl_days,
            },
        ),
    )
