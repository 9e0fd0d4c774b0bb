"""Clusters are private, are not replaced by accident, and have an engine that can still be created.

A change of `project_id` forces replacement: after somebody moved a cluster to another project in the control panel, the
next plan would destroy it (docs/digitalocean.md), so the attribute is ignored. Engine `redis` can no longer be created.
A queue on a Valkey that evicts keys loses jobs. Without a maintenance window DigitalOcean picks one.
"""

from collections.abc import Iterator

from policies.reading import Block, ResourcePolicy, block, is_set, items, lifecycle


def problems(cluster: Block) -> Iterator[str]:
    """What is wrong with one cluster."""
    if not is_set(cluster.get("private_network_uuid")):
        yield "set private_network_uuid, or the cluster sits in the region's default VPC"
    if "project_id" not in items(lifecycle(cluster).get("ignore_changes")):
        yield "add project_id to lifecycle.ignore_changes: a change of it destroys the cluster"
    window = block(cluster, "maintenance_window")
    if not (is_set(window.get("day")) and is_set(window.get("hour"))):
        yield "set maintenance_window with day and hour"
    engine = cluster.get("engine")
    if engine not in ("pg", "valkey"):
        yield f"engine is {engine!r}; use pg or valkey"
    if engine == "valkey" and cluster.get("eviction_policy") != "noeviction":
        yield f"eviction_policy is {cluster.get('eviction_policy')!r}; queues need noeviction"


check = ResourcePolicy(
    "CKV_P360_2",
    "Database clusters are private, keep their project, have a maintenance window and a current engine",
    ["digitalocean_database_cluster"],
    problems,
)
