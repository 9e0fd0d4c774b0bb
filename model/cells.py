"""Cells: how a platform grows past one Postgres cluster and one Terraform state.

A cell is a Postgres cluster with at most 250 tenants. The first one lives in the environment's own stack; each further
one is a stack of its own, which finds what it shares with the environment by name, so that a plan of it touches
nothing else. Tenants name their cell, and so a new cell moves nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.plan_parts import ClusterPlan, IsolationPlan, PrivateBucketPlan, StatePlan
from model.tenancy import TenantPlanePlan


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
    registry: PrivateBucketPlan
    isolation: IsolationPlan
    state: StatePlan


def cells_in_order(file: EnvironmentFile) -> list[str]:
    """Return the further cells by their numbers."""
    return sorted(file.postgres.cells, key=lambda cell: int(cell.rpartition("-")[2]))
