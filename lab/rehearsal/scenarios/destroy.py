"""The end of an environment."""

from lab.rehearsal.errors import expect
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.workspace import give_up_buckets, lift_protection

# What no environment owns: the region's default network and the account's default project.
LEFT = {"vpcs": 1, "projects": 1}
_RECORDS_OF_OTHERS = frozenset({"actions", "vpcs", "projects"})


@scenario(
    "destroy", "protection is lifted, and everything is destroyed: the account is empty", lane="destroy"
)
def _destroy(scene: Scene) -> None:
    scene.workspace.synthesize()
    reason = scene.terraform().refused("-destroy")
    expect("Instance cannot be destroyed" in reason, f"refused for another reason:\n{reason}")
    scene.say("as it is: Instance cannot be destroyed")
    scene.workspace.adjustments += [lift_protection, give_up_buckets]
    scene.workspace.synthesize()
    terraform = scene.terraform()
    scene.say("with the protection lifted, and the buckets emptied:")
    # Whether a bucket may be emptied is read from the state.
    terraform.must("apply", "-input=false", "-auto-approve")
    plan = terraform.make_plan("-destroy")
    expect(all(change.sign == "-" for change in plan), "something else than deletions")
    terraform.apply_plan()
    scene.say(f"{len(plan)} resources destroyed")
    state = scene.cloud.state()
    left = {kind: [one.get("name", one.get("id")) for one in found] for kind, found in state.items() if found}
    for kind, count in LEFT.items():
        expect(len(left.pop(kind, [])) == count, f"{kind} is not what was there before")
    left = {kind: names for kind, names in left.items() if kind not in _RECORDS_OF_OTHERS}
    expect(not left, f"left over: {left}")
