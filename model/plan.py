"""Everything that is decided before the first construct exists: one frozen plan for each construct.

`plan_environment` is the only way from an operator's files to resources. Each part stands with the function that
decides it, in a file named like the construct that takes it; constructs only turn a plan into Terraform.
"""

from dataclasses import dataclass

from model import releases
from model.backups import BackupsPlan, plan_backups
from model.config import RegistryPlan, plan_registry
from model.control_plane import ControlPlanePlan, plan_control_plane
from model.data import DataPlan, plan_data
from model.droplets import DropletGroupPlan, plan_group
from model.edge import EdgePlan, plan_edge
from model.environment import observes
from model.layout import place
from model.loader import Environment
from model.naming import Names
from model.network import NetworkPlan, plan_network
from model.observability import ObservabilityPlan, plan_observability
from model.project import ProjectPlan, plan_project
from model.restore_drill import RestoreDrillPlan, plan_restore_drill
from model.state import StatePlan, plan_state
from model.tenant_cell import CellPlan, plan_cell
from model.tenant_plane import TenantPlan, TenantPlanePlan, of_cell, plan_tenant_plane


@dataclass(frozen=True, kw_only=True)
class EnvironmentPlan:
    """One environment, decided."""

    name: str
    project: ProjectPlan
    network: NetworkPlan
    edge: EdgePlan
    groups: tuple[DropletGroupPlan, ...]
    observability: ObservabilityPlan | None
    """None: nobody keeps metrics, and nobody is told of anything."""
    backups: BackupsPlan | None
    """None: there are no dumps of our own."""
    drill: RestoreDrillPlan | None
    """None: restores are not tried."""
    registry: RegistryPlan
    data: DataPlan
    control_plane: ControlPlanePlan
    tenant_plane: TenantPlanePlan
    """The first cell's tenants; the others are in `cells`."""
    cells: tuple[CellPlan, ...]
    state: StatePlan
    wait_minutes: int
    """How long a deploy waits at most until every droplet runs what it wrote."""

    @property
    def tenant_planes(self) -> tuple[TenantPlanePlan, ...]:
        """Those of all cells, the first cell's first."""
        return (self.tenant_plane, *(cell.tenant_plane for cell in self.cells))

    @property
    def tenants(self) -> tuple[TenantPlan, ...]:
        """The tenants of all cells, the first cell's first."""
        return tuple(tenant for plane in self.tenant_planes for tenant in plane.tenants)

    @property
    def terraform_variables(self) -> tuple[str, ...]:
        """The names of the sensitive Terraform variables that hold the operators' secrets, sorted."""
        alerting = self.observability.secrets.values() if self.observability else ()
        return tuple(sorted({self.registry.token_variable, *self.secret_readers, *alerting}))

    @property
    def secret_readers(self) -> dict[str, list[str]]:
        """By Terraform variable the services that get its value; no service gets the registry's token."""
        readers: dict[str, list[str]] = {}
        for group in self.groups:
            for service, secrets in group.config.secrets.items():
                for variable in secrets.values():
                    readers.setdefault(variable, []).append(service)
        return {variable: sorted(readers[variable]) for variable in sorted(readers)}


def plan_environment(environment: Environment) -> EnvironmentPlan:
    """Decide one environment. Pure: the same files always give the same plan."""
    file, tenants = environment.file, environment.tenants
    names = Names(file.environment)
    placements = place(file.groups, apex=file.dns.apex, observes=observes(file))
    control = releases.control_group(placements)
    observability = plan_observability(file, names, placements, tenants)
    backups = plan_backups(file, names)
    return EnvironmentPlan(
        name=file.environment,
        project=plan_project(file, names),
        network=plan_network(file, names, placements),
        edge=plan_edge(file, names, placements),
        groups=tuple(
            plan_group(
                file, tenants, names, placement, control=control, observability=observability, backups=backups
            )
            for placement in placements
        ),
        observability=observability,
        backups=backups,
        drill=plan_restore_drill(file, tenants, names, placements),
        registry=plan_registry(file),
        data=plan_data(file, names, placements),
        control_plane=plan_control_plane(file, names),
        tenant_plane=plan_tenant_plane(file, of_cell(tenants, None), names, placements, cell=None),
        cells=tuple(plan_cell(file, tenants, names, placements, cell) for cell in file.postgres.cell_names),
        state=plan_state(file, names, file.environment),
        wait_minutes=file.deploy.wait_minutes,
    )
