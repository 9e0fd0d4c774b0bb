"""The restore drill: a disposable stack with one fork of a cluster, on which the control group tries what came back.

The stack is the only one that Terraform may destroy as a whole. It is known by its name, which no environment and no
cell can have, so that policies, the guard and the programs that deploy all ask this file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model import releases
from model.environment import EnvironmentFile
from model.layout import Placement
from model.naming import DRILL, Names, drill_stack
from model.network import plan_network
from model.project import ProjectPlan
from model.state import StatePlan, plan_state
from model.tenancy import Guard, Tier
from model.tenants import Tenant

TAG = DRILL
"""What ends the name of the tag that the fork carries."""

REPORTS = "drills"
"""The folder of the first backup bucket with the reports, and with nothing else."""

REPORT_DAYS = 731
"""Two years."""

REQUEST_KEY = "requests/restore-drill.json"
"""In the control group's configuration bucket, which only operators write; its folder expires (constructs_lib).
The jobs, whose requests are beside it, ignore what names no service (droplet/jobs/contract.py)."""

RECORD = "requests/restore-drill-run"
"""Beside it, with `.json` behind: whose drill goes on, from before anything is made until everything is destroyed. With
the run's name and `.json` behind: when its program said last that it runs."""

EXCHANGE = "drill"
"""The folder of the control group's status bucket with what the droplet says of a drill, and what it is sent for it."""

FORKED, BACKUP = "forked_cluster", "backup"
"""Variables of the stack: the cluster that is forked, by the operators' name, and the time of the backup."""

FORK_DAY, FORK_HOUR = "sunday", "00:00"
"""A fork lives for hours; DigitalOcean is told a window like every other cluster's."""


@dataclass(frozen=True, kw_only=True)
class DrillSource:
    """A cluster that a drill can fork."""

    cluster: str
    """Its name at DigitalOcean."""
    size: str
    version: str
    control_plane: bool
    """Whether the database `control_plane` is there."""
    databases: tuple[str, ...]
    """The keys of the databases there that serve churches, sorted."""


@dataclass(frozen=True, kw_only=True)
class RestoreDrillPlan:
    """The disposable stack, and what a drill is measured by."""

    name: str
    """Of the stack, the cluster and the tag."""
    region: str
    vpc: str
    """The environment's, found by name."""
    group: str
    """The control group."""
    client_tag: str
    """Of the control group: nobody else reaches the fork."""
    project: ProjectPlan
    sources: Mapping[str, DrillSource]
    """By the operators' name of the cluster; of a church's own cluster, the church's id."""
    rpo_hours: int
    rto_minutes: int
    every_days: int
    hours: int
    state: StatePlan


def plan_restore_drill(
    file: EnvironmentFile, tenants: Sequence[Tenant], names: Names, placements: Sequence[Placement]
) -> RestoreDrillPlan | None:
    """Decide an environment's drill; None where its file asks for none."""
    wanted = file.backups.drill if file.backups else None
    if wanted is None:
        return None
    stack = drill_stack(file.environment)
    network = plan_network(file, names, placements)
    group = releases.control_group(placements)
    return RestoreDrillPlan(
        name=stack,
        region=file.region,
        vpc=network.name,
        group=group,
        client_tag=network.group_tags[group],
        project=ProjectPlan(
            name=Names(stack).project,
            description=f"Restore drill of {file.environment}: destroyed when it ends.",
            environment="Development",
        ),
        sources=_sources(file, tenants, names),
        rpo_hours=wanted.rpo_hours,
        rto_minutes=wanted.rto_minutes,
        every_days=wanted.every_days,
        hours=wanted.hours,
        state=plan_state(file, names, stack),
    )


def _sources(file: EnvironmentFile, tenants: Sequence[Tenant], names: Names) -> dict[str, DrillSource]:
    postgres = file.postgres
    in_shared: dict[str, list[str]] = {}
    for tenant in tenants:
        if tenant.homes.shared is Guard.KEPT:
            in_shared.setdefault(tenant.cell or postgres.tenants, []).append(tenant.database_key)
    found = {
        key: DrillSource(
            cluster=names.cluster(key),
            size=cluster.size,
            version=cluster.version,
            control_plane=key == postgres.control_plane,
            databases=tuple(sorted(in_shared.get(key, ()))),
        )
        for key, cluster in sorted({**postgres.clusters, **postgres.cells}.items())
    }
    for tenant in sorted(tenants, key=lambda one: one.id):
        # One that is still empty, before its church moves, has nothing to restore.
        if tenant.dedicated and tenant.homes.dedicated is Guard.KEPT and tenant.tier is Tier.DEDICATED:
            found[tenant.id] = DrillSource(
                cluster=names.cluster(tenant.id),
                size=tenant.dedicated.size,
                version=tenant.dedicated.version,
                control_plane=False,
                databases=(tenant.database_key,),
            )
    return {key: one for key, one in found.items() if one.control_plane or one.databases}
