"""The observability group: its droplet is replaced, and its volume goes over to the new one."""

from typing import Any

from lab.local_digitalocean.calls import Call
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.scenarios.droplets import droplets_of, other_user_data
from lab.rehearsal.scene import Scene, scenario

VOLUME_GIB = 10
ACTIONS = "/v2/volumes/{volume_id}/actions"


@scenario(
    "metrics-volume",
    "the observability droplet is replaced: its volume goes from the old one to the new one, with what is on it",
    lane="metrics",
)
def _volume(scene: Scene) -> None:
    group = _group_with_volume(scene)
    if not _volumes(scene):
        scene.say("a volume is added:")
        scene.change()
    (before,) = _volumes(scene)
    (old,) = droplets_of(scene, group)
    expect(before["droplet_ids"] == [int(old)], f"the volume is attached to {before['droplet_ids']}")
    scene.say("the droplet is replaced:")
    scene.workspace.adjustments.append(lambda stack: other_user_data(stack, group, "abcdef"))
    mark = len(scene.cloud.calls())
    plan = scene.change()
    attachments = [change.sign for change in plan.of("volume_attachment")]
    expect(attachments == ["-/+"], f"attachments: {attachments}")
    expect(not plan.of("volume"), "the volume changes")
    (after,) = _volumes(scene)
    (new,) = droplets_of(scene, group)
    expect(after["id"] == before["id"], "the volume is another one")
    expect(after["droplet_ids"] == [int(new)] and new != old, f"attached to {after['droplet_ids']}")
    _in_order(scene, scene.cloud.calls(mark), old, new)


def _group_with_volume(scene: Scene) -> str:
    """Return the observability group; where it has no volume, it gets one."""
    found: list[str] = []

    def edit(document: dict[str, Any]) -> None:
        if section := document.get("observability"):
            section.setdefault("volume_gib", VOLUME_GIB)
            found.append(section["group"])

    scene.workspace.edit(edit)
    if not found:
        raise UnexpectedError("this environment has no observability group")
    return found[0]


def _volumes(scene: Scene) -> list[dict[str, Any]]:
    return [dict(one) for one in scene.cloud.state()["volumes"]]


def _in_order(scene: Scene, calls: list[Call], old: str, new: str) -> None:
    """Check in the log: the volume is detached, attached to the new droplet, and only then the old one is deleted."""
    ordered = _find(calls, "POST", "/v2/droplets", new)
    asked = [index for index, call in enumerate(calls) if call.method == "POST" and call.route == ACTIONS]
    # The API attaches a volume to one droplet, and refuses a second one: the first of the two is the detachment.
    expect([calls[index].status for index in asked] == [202, 202], "the volume was not moved by two actions")
    deleted = _find(calls, "DELETE", f"/v2/droplets/{old}")
    expect(ordered < asked[1] < deleted, "the old droplet was deleted before the new one had the volume")
    away = calls[asked[1]].at - calls[asked[0]].at
    first = "before" if asked[0] < ordered else "after"
    scene.say(f"it was detached {first} the new droplet was ordered, and attached {away:.0f} s later")


def _find(calls: list[Call], method: str, path: str, subject: str | None = None) -> int:
    for index, call in enumerate(calls):
        if (call.method, call.path) == (method, path) and subject in {None, call.subject}:
            return index
    raise UnexpectedError(f"there was no {method} of {path}")
