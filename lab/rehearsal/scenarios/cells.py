"""Growth: a second cell, and a church with a cluster of its own."""

from typing import Any

from lab.rehearsal.changes import DATABASES
from lab.rehearsal.errors import expect
from lab.rehearsal.scenarios.tenants import SHARED_BY_ALL, no_data_lost
from lab.rehearsal.scene import Scene, scenario

CELL = "cell-2"
IN_CELL = "00000000-0000-4000-8000-0000000000bb"
MOVED = "00000000-0000-4000-8000-0000000000cc"
CLUSTER: dict[str, Any] = {
    "size": "db-s-1vcpu-2gb",
    "nodes": 1,
    "version": "17",
    "maintenance": {"day": "tuesday", "hour": "02:00"},
}


@scenario(
    "add-cell",
    "a second cell is added with a tenant in it: it has a stack and a cluster of its own",
    lane="cells",
)
def _add_cell(scene: Scene) -> None:
    workspace = scene.workspace
    workspace.edit(lambda document: document["postgres"].setdefault("cells", {}).update({CELL: CLUSTER}))
    entry = {"id": IN_CELL, "slug": "in-a-cell", "name": "Church in a Cell", "cell": CELL}
    workspace.edit_tenants(lambda tenants: tenants.append(entry))
    plan = scene.change()
    kinds = {change.short_kind for change in plan}
    expect(
        not kinds & {*SHARED_BY_ALL, *DATABASES}, f"the environment's own stack changes in {sorted(kinds)}"
    )
    stack = f"{workspace.environment}-{CELL}"
    scene.say(f"the stack {stack}:")
    terraform = scene.terraform(stack)
    terraform.install()
    plan = scene.plan(stack)
    expect(all(change.sign == "+" for change in plan), "the cell's stack does something else than create")
    scene.apply(plan, stack, first=True)
    clusters = {cluster["name"]: cluster for cluster in scene.cloud.state()["clusters"]}
    name = f"{workspace.environment}-pg-{CELL}"
    expect(
        f"tenant_{IN_CELL}" in clusters[name]["_databases"],
        "the tenant's database is not in the cell's cluster",
    )


@scenario(
    "dedicate-tenant",
    "a church moves from the shared cluster to one of its own: Terraform's part of it",
    lane="dedicated",
)
def _dedicate(scene: Scene) -> None:
    entry = {"id": MOVED, "slug": "moves", "name": "Church That Moves"}
    scene.workspace.edit_tenants(lambda tenants: tenants.append(entry))
    scene.change()
    scene.say("it gets a cluster of its own, which does not serve it yet:")
    scene.tenant(MOVED, dedicated=CLUSTER)
    plan = scene.change()
    no_data_lost(plan)
    expect([change.sign for change in plan.of("database_cluster")] == ["+"], "no cluster is made")
    scene.say("it is suspended while its data is copied, and then the new cluster serves it:")
    scene.tenant(MOVED, status="suspended")
    no_data_lost(scene.change())
    scene.tenant(MOVED, tier="dedicated", shared_copy="kept", status=None)
    no_data_lost(scene.change())
    scene.say("the copy in the shared cluster is retired, and removed:")
    scene.tenant(MOVED, shared_copy="retired")
    no_data_lost(scene.change())
    scene.tenant(MOVED, shared_copy=None)
    plan = scene.change()
    lost = [change for change in plan.of(*DATABASES) if change.deletes]
    expect(
        [change.short_kind for change in lost] == ["database_db"], "something else than the copy is dropped"
    )
    holders = [
        one["name"] for one in scene.cloud.state()["clusters"] if f"tenant_{MOVED}" in one["_databases"]
    ]
    expect(holders == [f"{scene.workspace.environment}-pg-{MOVED}"], f"the database is in {holders}")


@scenario(
    "retire-dedicated",
    "a church with a cluster of its own is retired: the cluster only moves in the state; then it is removed",
    lane="dedicated",
)
def _retire_dedicated(scene: Scene) -> None:
    scene.tenant(MOVED, status="retired")
    plan = scene.change()
    no_data_lost(plan)
    moved = {change.short_kind for change in plan if change.previous_address}
    expect({*DATABASES} <= moved, f"only {sorted(moved)} move")
    expect(all(change.actions == ("no-op",) for change in plan.of(*DATABASES)), "its data changes")

    def remove(tenants: list[dict[str, Any]]) -> None:
        tenants[:] = [tenant for tenant in tenants if tenant["id"] != MOVED]

    scene.workspace.edit_tenants(remove)
    plan = scene.change()
    lost = sorted(change.short_kind for change in plan.of(*DATABASES) if change.deletes)
    expect(lost == sorted(DATABASES), f"other deletions than its cluster and database: {lost}")
    expect(
        all(MOVED in change.address for change in plan if change.deletes),
        "something of another tenant is deleted",
    )
