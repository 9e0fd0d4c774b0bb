"""A state that is gone as a whole: of the environment, and of `bootstrap` (docs/runbooks/lost.md)."""

from lab.rehearsal.changes import Plan
from lab.rehearsal.errors import expect
from lab.rehearsal.scenarios.trouble import refusal, region_of
from lab.rehearsal.scene import Scene, scenario
from model.addresses import DROPLET, LOAD_BALANCER
from ops.adopt import adopt

KEPT = (
    "clusters",
    "buckets",
    "vpcs",
    "volumes",
    "certificates",
    "domains",
    "projects",
    "firewalls",
    "checks",
)
"""Kinds of which nothing may be made or lost; of clusters, buckets and volumes that would be data."""

ANEW = {
    "database_firewall", "database_postgresql_config", "database_valkey_config", "droplet", "loadbalancer",
    "project_resources", "spaces_bucket_cors_configuration", "spaces_bucket_object", "spaces_key", "tag",
    "terraform_data", "volume_attachment",
}  # fmt: skip
"""What the runbook says is made anew, or written over what exists."""

BOOTSTRAP = "bootstrap"


@scenario(
    "lost-state",
    "the environment's state is gone: adopt takes over what holds data, and only what the runbook names is made anew",
    lane="lost-state",
)
def _lost_state(scene: Scene) -> None:
    scene.workspace.synthesize()
    before, alerts = ids(scene), len(scene.cloud.state()["alerts"])
    lose(scene, scene.workspace.environment)
    terraform = scene.terraform()
    refused = refusal(scene, terraform.make_plan())
    expect("state" in refused, f"the guard does not refuse a plan of an empty state:\n{refused}")
    scene.say("the guard refuses the plan of an empty state")
    said: list[str] = []
    left = adopt(terraform, terraform.environ, region_of(scene), said.append)
    scene.say(f"adopt imports {len(said)}")
    for one in left:
        expect(one.address.startswith((LOAD_BALANCER, DROPLET)), f"{one.what} could not be taken over")
        scene.say(f"left to a person: {one.what}")
        kind = "load_balancers" if one.address.startswith(LOAD_BALANCER) else "droplets"
        scene.cloud.ask("DELETE", f"/v2/{kind}/{one.remedy.rpartition(' ')[2]}")
    old = {str(one["access_key"]) for one in scene.cloud.state()["spaces_keys"]}
    plan = scene.plan()
    _expect_as_the_page_says(plan)
    scene.apply(plan)
    expect(ids(scene) == before, "something that holds data was made or lost")
    expect(len(scene.cloud.state()["alerts"]) == alerts, "alerts are there twice")
    now = {str(one["access_key"]) for one in scene.cloud.state()["spaces_keys"]}
    expect(old < now, "keys were lost: the old ones are a person's to delete")
    scene.say(f"{len(now - old)} new keys of Spaces; the {len(old)} old ones still open: delete them by hand")


@scenario(
    "lost-bootstrap",
    "the state of bootstrap is gone: adopt takes the buckets over, and only their keys are made anew",
    lane="lost-state",
)
def _lost_bootstrap(scene: Scene) -> None:
    scene.workspace.synthesize()
    scene.deploy(BOOTSTRAP)
    before = ids(scene)
    lose(scene, BOOTSTRAP)
    terraform = scene.terraform(BOOTSTRAP)
    left = adopt(terraform, terraform.environ, region_of(scene), scene.say)
    expect(not left, f"left over: {[one.what for one in left]}")
    plan = terraform.make_plan()
    made = {change.short_kind for change in plan if change.creates}
    expect(made == {"spaces_key"}, f"beside keys these are made: {made}")
    lost = [change.address for change in plan if change.deletes]
    expect(not lost, f"the plan destroys {lost}")
    terraform.apply_plan()
    expect(ids(scene) == before, "a bucket with states was made or lost")
    expect(terraform.is_settled(), "the second plan is not empty")


def _expect_as_the_page_says(plan: Plan) -> None:
    made = {change.short_kind for change in plan if change.creates}
    expect(made <= ANEW, f"the plan makes what the runbook does not name: {sorted(made - ANEW)}")
    lost = [change.address for change in plan if change.deletes]
    expect(not lost, f"the plan destroys {lost}")


def lose(scene: Scene, stack: str) -> None:
    """Remove a stack's state, with its backups."""
    for file in scene.workspace.folder.glob(f"terraform.{stack}.tfstate*"):
        file.unlink()


def ids(scene: Scene) -> dict[str, list[str]]:
    """Return what exists, by kind."""
    state = scene.cloud.state()
    return {kind: sorted(str(one.get("id") or one["name"]) for one in state[kind]) for kind in KEPT}
