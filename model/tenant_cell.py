"""Cells: how a platform grows past one Postgres cluster and one Terraform state.

A cell is a Postgres cluster with at most 250 tenants. The first one lives in the environment's own stack; each further
one is a stack of its own, which finds what it shares with the environment by name, so that a plan of it touches
nothing else. Tenants name their cell, and so a new cell moves nobody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model import naming, releases
from model.config import config_bucket
from model.data import ClusterPlan, plan_postgres
from model.environment import EnvironmentFile, alert_emails
from model.isolation import IsolationPlan, plan_isolation
from model.layout import Placement, clients
from model.naming import Names
from model.network import plan_network
from model.private_bucket import PrivateBucketPlan, plan_directory
from model.project import plan_project
from model.services import Store
from model.state import StatePlan, plan_state
from model.tenant_plane import TenantPlanePlan, of_cell, plan_tenant_plane
from model.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class SharedPlan:
    """What a cell finds by name, because the environment's own stack made it."""

    region: str
    vpc: str
    project: str
    environment_tag: str
    group_tags: Mapping[str, str]
    """By droplet group, of those that connect to Postgres."""
    config_bucket: str
    """Of the group that runs the isolation job."""


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """One further cell, decided."""

    name: str
    """The stack's: ``production-cell-2``."""
    cell: str
    """The operators' name: ``cell-2``."""
    cluster: ClusterPlan
    shared: SharedPlan
    tenant_plane: TenantPlanePlan
    directory: PrivateBucketPlan
    isolation: IsolationPlan
    emails: tuple[str, ...]
    """Who gets DigitalOcean's own alerts on its clusters; empty: nobody."""
    state: StatePlan


def plan_cell(
    file: EnvironmentFile,
    tenants: Iterable[Tenant],
    names: Names,
    placements: Sequence[Placement],
    cell: str,
) -> CellPlan:
    """Decide one further cell; the tenants are those of all cells."""
    stack = naming.stack_of_cell(file.environment, cell)
    members = of_cell(tenants, cell)
    client_groups = clients(placements, Store.POSTGRES)
    return CellPlan(
        name=stack,
        cell=cell,
        cluster=plan_postgres(file, names, cell, file.postgres.cells[cell], client_groups),
        shared=_plan_shared(file, names, placements, client_groups),
        tenant_plane=plan_tenant_plane(file, members, names, placements, cell=cell),
        directory=plan_directory(file, names),
        isolation=plan_isolation(file, members, (cell,)),
        emails=alert_emails(file),
        state=plan_state(file, names, stack),
    )


def _plan_shared(
    file: EnvironmentFile, names: Names, placements: Sequence[Placement], client_groups: Sequence[str]
) -> SharedPlan:
    network = plan_network(file, names, placements)
    return SharedPlan(
        region=file.region,
        vpc=network.name,
        project=plan_project(file, names).name,
        environment_tag=network.environment_tag,
        group_tags={group: network.group_tags[group] for group in client_groups},
        config_bucket=config_bucket(names, releases.control_group(placements)),
    )
