"""Secrets that Terraform makes are made anew, as docs/runbooks/rotate-secrets.md says."""

import json
import re

from lab.local_digitalocean.cluster_model import ADMINISTRATOR
from lab.rehearsal.changes import Plan, label
from lab.rehearsal.errors import expect
from lab.rehearsal.scene import Scene, scenario
from model.naming import CONTROL_PLANE_USER

OF_GROUPS = re.compile(r"digitalocean_spaces_key\.config-\w")
"""The address of a group's own key, which its droplets have from their first start on."""


@scenario(
    "rotate-spaces-keys",
    "keys of Spaces are replaced, those of services and a group's own: beside them that group's droplets alone",
    lane="secrets",
)
def _rotate_keys(scene: Scene) -> None:
    addresses = _of_kind(scene, "digitalocean_spaces_key")
    groups = [one for one in addresses if OF_GROUPS.match(one)]
    services = [one for one in addresses if one not in groups]
    before = _keys(scene)
    plan = _anew(scene, services)
    expect(not plan.of("droplet"), "a key of the services replaces droplets")
    scene.say(f"{len(services)} keys of services: {_replaced(plan)}")
    _expect_gone(scene, before, len(services))
    before = _keys(scene)
    plan = _anew(scene, groups[:1])
    expect(bool(plan.of("droplet")), "a group's own key does not reach its droplets")
    group = groups[0].partition("config-")[2].partition("_")[0]
    others = [label(one) for one in plan.of("droplet") if f"-{group}-" not in label(one)]
    expect(not others, f"droplets of other groups are replaced: {others}")
    scene.say(f"the key of the group {group}: {_replaced(plan)}")
    _expect_gone(scene, before, 1)


@scenario(
    "rotate-passwords",
    "passwords of the administrator and of control_plane are reset: the next apply hands them on, in objects alone",
    lane="secrets",
)
def _rotate_passwords(scene: Scene) -> None:
    (control_plane,) = (
        str(one["id"]) for one in scene.cloud.state()["clusters"] if "control_plane" in one["_users"]
    )
    for user in (ADMINISTRATOR, CONTROL_PLANE_USER):
        scene.cloud.ask("POST", f"/v2/databases/{control_plane}/users/{user}/reset_auth", {})
        plan = scene.change()
        changed = sorted({one.short_kind for one in plan})
        expect(changed == ["spaces_bucket_object"], f"{user}: {changed} change")
        scene.say(f"{user}: {len(plan)} objects")


def _anew(scene: Scene, addresses: list[str]) -> Plan:
    """Do what the runbook does: taint, plan, guard, apply, and a second plan that is empty."""
    scene.workspace.synthesize()
    for address in addresses:
        scene.terraform().must("taint", address)
    return scene.change()


def _of_kind(scene: Scene, kind: str) -> list[str]:
    stack = json.loads((scene.workspace.stack() / "cdk.tf.json").read_text(encoding="utf-8"))
    return [f"{kind}.{name}" for name in sorted(stack["resource"][kind])]


def _replaced(plan: Plan) -> str:
    return ", ".join(sorted({label(one) for one in plan if one.deletes}))


def _keys(scene: Scene) -> set[str]:
    return {str(one["access_key"]) for one in scene.cloud.state()["spaces_keys"]}


def _expect_gone(scene: Scene, before: set[str], number: int) -> None:
    now = _keys(scene)
    expect(
        (len(before - now), len(now - before)) == (number, number),
        f"{len(before - now)} keys are gone and {len(now - before)} are new, not {number} each",
    )
