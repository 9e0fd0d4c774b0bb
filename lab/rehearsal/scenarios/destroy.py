"""The destruction of an environment."""

from lab.rehearsal.errors import expect
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.workspace import give_up_buckets, lift_protection

# These belong to no environment: the region's default network and the account's default project.
LEFT = {"vpcs": 1, "projects": 1}
_RECORDS_OF_OTHERS = frozenset({"actions", "vpcs", "projects"})


@scenario(
    "destroy", "the protection is removed, and everything is destroyed: the account is empty", lane="destroy"
)
def _destroy(scene: Scene) -> None:
    scene.workspace.synthesize()
    reason = scene.terraform().refused("-destroy")
    expect("Instance cannot be destroyed" in reason, f"refused for another reason:\n{reason}")
    scene.say("with protection: Instance cannot be destroyed")
    scene.workspace.adjustments += [lift_protection, give_up_buckets]
    scene.workspace.synthesize()
    terraform = scene.terraform()
    scene.say("without protection:")
    # `force_destroy` is read from the state.
    terraform.must("apply", "-input=false", "-auto-approve")
    plan = terraform.make_plan("-destroy")
    expect(all(change.sign == "-" for change in plan), "the plan does something else than delete")
    terraform.apply_plan()
    scene.say(f"{len(plan)} resources destroyed")
    state = scene.cloud.state()
    left = {kind: [one.get("name", one.get("id")) for one in found] for kind, found in state.items() if found}
    for kind, count in LEFT.items():
        expect(len(left.pop(kind, [])) == count, f"{kind} differ from those before the deploy")
    left = {kind: names for kind, names in left.items() if kind not in _RECORDS_OF_OTHERS}
    expect(not left, f"left over: {left}")
