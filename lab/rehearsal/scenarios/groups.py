"""Groups that are replaced one after another, within what the account allows."""

from typing import Any

from lab.local_digitalocean.calls import Call
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.judged import check, remember
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.terraform import PLAN_FILE
from ops import waves

LIMIT = 10
"""Droplets of the account."""

SIZE = "s-8vcpu-16gb"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC rehearsed@example.org"


@scenario(
    "one-group-after-another",
    f"an SSH key is added: every droplet is replaced, one group after another, in an account of {LIMIT} droplets",
    lane="groups",
)
def _one_group_after_another(scene: Scene) -> None:
    scene.workspace.edit(lambda document: document["network"]["ssh_keys"].update(rehearsed=KEY))
    _replace(scene, groups=None)


@scenario(
    "resize",
    "a group gets larger droplets: they are replaced, and none is switched off before its successor serves",
    lane="groups",
)
def _resize(scene: Scene) -> None:
    group = ""

    def edit(document: dict[str, Any]) -> None:
        nonlocal group
        group, entry = next((name, one) for name, one in document["groups"].items() if one.get("replicas"))
        entry["size"] = SIZE

    scene.workspace.edit(edit)
    _replace(scene, groups=1)
    expect(
        "resize" not in {action["type"] for action in scene.cloud.state()["actions"]},
        "a droplet was resized in place",
    )
    sizes = {one["size_slug"] for one in scene.cloud.state()["droplets"] if _tag(scene, group) in one["tags"]}
    expect(sizes == {SIZE}, f"the group's droplets are {sizes}")


def _tag(scene: Scene, group: str) -> str:
    return f"{scene.workspace.environment}-group-{group}"


def _replace(scene: Scene, *, groups: int | None) -> None:
    """Apply in waves; check the guard's verdict, the number of groups, the peak, and that the next plan is empty."""
    scene.cloud.limit(droplets=LIMIT)
    before = len(scene.cloud.state()["droplets"])
    plan = scene.plan()
    found = waves.waves(plan.whole)
    expect(groups in (None, len(found)), f"{len(found)} groups are replaced")
    expect(all(change.sign == "+/-" for change in plan.of("droplet")), "droplets are not replaced")
    scene.say(waves.told(plan.whole.stack, found))
    check(scene.workspace, plan)
    mark = len(scene.cloud.calls())
    terraform = scene.terraform()
    waves.apply(terraform, plan.whole.stack, terraform.folder / PLAN_FILE, scene.say)
    expect(terraform.is_settled(), "the next plan is not empty")
    remember(scene.workspace)
    most, refused = _peak(before, scene.cloud.calls(mark))
    expect(not refused, f"{refused} droplets were refused")
    allowed = before + max(wave.droplets for wave in found)
    expect(most <= min(allowed, LIMIT), f"{most} droplets at once, and {allowed} are enough")
    scene.say(
        f"droplets: {before} before, {most} at once while replacing, {before * 2} with all groups at once"
    )


def _peak(count: int, calls: list[Call]) -> tuple[int, int]:
    """Return the largest number of droplets at a time, and how many more were refused."""
    most, refused = count, 0
    for call in calls:
        if call.method == "POST" and call.path == "/v2/droplets":
            if call.status == 202:  # noqa: PLR2004
                count += 1
            else:
                refused += 1
        elif call.method == "DELETE" and call.path.startswith("/v2/droplets/"):
            count -= 1
        most = max(most, count)
    if count < 1:
        raise UnexpectedError("no droplet is left")
    return most, refused
