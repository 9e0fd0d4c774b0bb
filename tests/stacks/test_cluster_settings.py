"""A setting that every Postgres cluster gets is right in each of them: the environment's, each cell's, a tenant's own.

The setting is added here as a developer would add it: an attribute of the plan, its value where clusters are decided,
and one argument where they are made.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from cdktf_cdktf_provider_digitalocean.database_cluster import DatabaseCluster

from constructs_lib import dedicated_clusters, postgres
from model import data, tenant_cell, tenant_plane
from model.data import ClusterPlan
from tests.support import Stack

CELL = '{size: db-s-2vcpu-4gb, nodes: 2, version: "17", maintenance: {day: tuesday, hour: "04:00"}}'
GRACE, HOPE = (f"30000000-0000-4000-8000-00000000000{number}" for number in (1, 2))

TENANTS = f"""tenants:
  - {{id: {GRACE}, slug: grace, name: Grace, tier: dedicated, dedicated: {CELL}}}
  - {{id: {HOPE}, slug: hope, name: Hope, cell: cell-3, dedicated: {CELL}}}
"""


@dataclass(frozen=True, kw_only=True)
class LargerPlan(ClusterPlan):
    """A cluster's plan with one attribute more."""

    storage_mib: str
    standby: int


@pytest.fixture
def larger(monkeypatch: pytest.MonkeyPatch) -> None:
    decide, make = data.plan_postgres, postgres.postgres_cluster

    def plan_postgres(*arguments: Any) -> LargerPlan:
        plan = decide(*arguments)
        members = {field.name: getattr(plan, field.name) for field in fields(plan)}
        return LargerPlan(**members, storage_mib=f"storage of {plan.key}", standby=len(plan.key))

    def postgres_cluster(scope: Any, site: Any, plan: LargerPlan, **more: Any) -> DatabaseCluster:
        cluster = make(scope, site, plan, **more)
        cluster.storage_size_mib = plan.storage_mib
        cluster.add_override("standby", plan.standby)
        return cluster

    for module in (data, tenant_cell, tenant_plane):
        monkeypatch.setattr(module, "plan_postgres", plan_postgres)
    for module in (postgres, dedicated_clusters):
        monkeypatch.setattr(module, "postgres_cluster", postgres_cluster)
    monkeypatch.setattr(dedicated_clusters, "ClusterPlan", LargerPlan)


@pytest.mark.usefixtures("larger")
def test_a_setting_added_to_every_cluster_is_right_in_each(
    edited: Callable[..., Stack], tmp_path: Path
) -> None:
    cells = f"  cells:\n    cell-2: {CELL}\n    cell-3: {CELL}\n"
    edited(("  clusters:\n", f"{cells}  clusters:\n"), tenants=TENANTS)
    settings = {}
    for name in ("staging", "staging-cell-2", "staging-cell-3"):
        stack = Stack.read(tmp_path / "out", name)
        for path, cluster in stack.all("database_cluster").items():
            if "for_each" in cluster:
                assert cluster["storage_size_mib"] == "${each.value.storage_mib}"
                assert cluster["standby"] == "${each.value.standby}"
                for key, entry in stack.local(cluster["for_each"]).items():
                    settings[name, key] = (entry["storage_mib"], entry["standby"])
            elif "valkey" not in path:
                settings[name, cluster["name"]] = (cluster["storage_size_mib"], cluster["standby"])
    assert settings == {
        ("staging", "staging-pg-shared"): ("storage of shared", 6),
        ("staging", GRACE): (f"storage of {GRACE}", 36),
        ("staging-cell-2", "staging-pg-cell-2"): ("storage of cell-2", 6),
        ("staging-cell-3", "staging-pg-cell-3"): ("storage of cell-3", 6),
        ("staging-cell-3", HOPE): (f"storage of {HOPE}", 36),
    }
