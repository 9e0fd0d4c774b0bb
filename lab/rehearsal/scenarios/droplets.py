"""Droplets: replacements without a gap, groups that grow."""

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from lab.local_digitalocean.calls import Call
from lab.local_digitalocean.monitoring import HEALTH
from lab.rehearsal.changes import label
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.terraform import PLAN_FILE, Terraform
from lab.rehearsal.workspace import Stack
from model import addresses

DROPLET = "/v2/droplets/{droplet_id}"


@scenario("scale-group", "a group gets one more droplet, and the wait for it", lane="release")
def _scale(scene: Scene) -> None:
    group = group_with_replicas(scene)
    scene.workspace.edit(
        lambda document: document["groups"][group].update(replicas=_replicas(document, group) + 1)
    )
    plan = scene.change()
    made = [change.sign for change in plan.of("droplet")]
    expect(made == ["+"], f"droplets: {made}")
    expect(not [change for change in plan if change.deletes], "something is deleted")


def group_with_replicas(scene: Scene) -> str:
    """Return the first group of a fixed size that may have another one.

    Raises:
        UnexpectedError: there is none.
    """
    found: list[str] = []
    scene.workspace.edit(lambda document: found.extend(groups_that_grow(document)))
    if not found:
        raise UnexpectedError("no group of this environment has replicas, and may have more")
    return found[0]


def groups_that_grow(document: dict[str, Any]) -> list[str]:
    """Return the groups of a fixed size, but for the one with the metrics, which has one droplet."""
    one = document.get("observability", {}).get("group")
    return [name for name, group in document["groups"].items() if group.get("replicas") and name != one]


def _replicas(document: dict[str, Any], group: str) -> int:
    return int(document["groups"][group]["replicas"])


@scenario(
    "user-data",
    "droplets are replaced: each old one is deleted only after its successor serves",
    lane="replace",
)
def _user_data(scene: Scene) -> None:
    group = _public_group(scene)
    scene.workspace.adjustments.append(lambda stack: other_user_data(stack, group, "abcdef"))
    mark, before = len(scene.cloud.calls()), droplets_of(scene, group)
    plan = scene.change()
    replaced = [change.sign for change in plan.of("droplet")]
    expect(replaced == ["+/-"] * len(before), f"droplets: {replaced}")
    others = {(change.sign, change.short_kind) for change in plan if change.short_kind != "droplet"}
    wanted = {("+/-", "terraform_data"), ("~", "terraform_data"), ("~", "project_resources")}
    expect(others == wanted, f"these change as well: {others}")
    after = droplets_of(scene, group)
    expect(len(after) == len(before) and not set(after) & set(before), "not all droplets are new")
    _one_before_the_other(scene.cloud.calls(mark), before, after, scene)


def droplets_of(scene: Scene, group: str) -> dict[str, str]:
    """Return a group's droplets: names by id."""
    tag = f"{scene.workspace.environment}-group-{group}"
    return {str(one["id"]): one["name"] for one in scene.cloud.state()["droplets"] if tag in one["tags"]}


def other_user_data(stack: Stack, group: str, generation: str) -> None:
    """Change the user data of a group's droplets, as a new template would, and their names with it."""
    stack["locals"][addresses.user_data(group).name] += "# rehearsed\n"
    for droplet in _droplet_blocks(stack, group):
        droplet["name"] = f"{droplet['name'].rpartition('-')[0]}-{generation}"


def _droplet_blocks(stack: Stack, group: str) -> Iterator[dict[str, Any]]:
    blocks = stack["resource"].get(addresses.DROPLET, {})
    for number in count(1):
        block = blocks.get(addresses.droplet(group, number).name)
        if block is None:
            return
        yield block


def _one_before_the_other(
    calls: list[Call], before: dict[str, str], after: dict[str, str], scene: Scene
) -> None:
    """Check in the log that each droplet was deleted after a load balancer had called its successor healthy."""
    number = re.compile(r"-(\d+)-[0-9a-f]{6}$")
    successor = {_match(number, name): identifier for identifier, name in after.items()}
    for identifier, name in before.items():
        new = successor[_match(number, name)]
        made, shut = _made(calls, new), _index(calls, "POST", f"{identifier}/actions")
        healthy = (
            at for at, call in enumerate(calls) if call.route == HEALTH and new in call.subject.split(",")
        )
        served = next(healthy, None)
        if served is None:
            raise UnexpectedError(f"no load balancer called {after[new]} healthy")
        expect(made < served < shut, f"{name} was shut down before {after[new]} served")
        expect(shut < _index(calls, "DELETE", identifier), f"{name} was deleted before it was shut down")
        ordered, well, gone = (calls[at].at for at in (made, served, shut))
        scene.say(
            f"{after[new]} was healthy {well - ordered:.0f} s after it was ordered, according to the load balancer; "
            f"{name} was shut down {gone - well:.0f} s later"
        )


def _match(pattern: re.Pattern[str], name: str) -> str:
    found = pattern.search(name)
    if found is None:
        raise UnexpectedError(f"{name} has no number")
    return found[1]


def _index(calls: list[Call], method: str, tail: str) -> int:
    for index, call in enumerate(calls):
        if call.method == method and call.path.endswith(f"/v2/droplets/{tail}"):
            return index
    raise UnexpectedError(f"there was no {method} of /v2/droplets/{tail}")


def _made(calls: list[Call], identifier: str) -> int:
    for index, call in enumerate(calls):
        if call.method == "POST" and call.path == "/v2/droplets" and call.subject == identifier:
            return index
    raise UnexpectedError(f"droplet {identifier} was not ordered")


@scenario(
    "bad-droplet",
    "a new droplet never serves: the deploy fails and says so, and the old droplet stays",
    lane="bad-droplet",
)
def _bad(scene: Scene) -> None:
    group = _public_group(scene)
    scene.workspace.adjustments.append(lambda stack: other_user_data(stack, group, "bad000"))
    before = droplets_of(scene, group)
    scene.cloud.droplets_serve(False)
    scene.workspace.synthesize()
    terraform = scene.terraform()
    terraform.environ["PRESENCE360_WAIT_SECONDS"] = "3"
    terraform.make_plan()
    _fails_to_serve(terraform)
    now = droplets_of(scene, group)
    expect(set(before) <= set(now), "an old droplet was deleted")
    scene.say("the deploy is run again, and waits again:")
    terraform.make_plan()
    _fails_to_serve(terraform)
    expect(droplets_of(scene, group) == now, "the second deploy changed the droplets")
    scene.say(f"stayed: {', '.join(before.values())}; to be repaired: "
              f"{', '.join(now[one] for one in sorted(set(now) - set(before)))}")  # fmt: skip
    scene.say("it serves now, and the deploy runs again:")
    for identifier in set(now) - set(before):
        scene.cloud.ask("PUT", f"/_local/droplets/{identifier}", {"healthy": True})
    scene.cloud.droplets_serve(True)
    scene.change()
    expect(not set(before) & set(droplets_of(scene, group)), "an old droplet still exists")


def _fails_to_serve(terraform: Terraform) -> None:
    ended = terraform.run("apply", "-input=false", PLAN_FILE)
    said = re.sub(r"\s+", " ", ended.stdout + ended.stderr)
    expect(ended.returncode == 1, "the deploy did not fail")
    expect("What it replaces, if anything, stays." in said, f"the deploy does not report why:\n{said}")


def _public_group(scene: Scene) -> str:
    stack = json.loads((scene.workspace.stack() / "cdk.tf.json").read_text(encoding="utf-8"))
    groups: list[str] = []
    scene.workspace.edit(lambda document: groups.extend(document["groups"]))
    for group in groups:
        is_public = addresses.load_balancer(group).name in stack["resource"][addresses.LOAD_BALANCER]
        if is_public and any(_droplet_blocks(stack, group)):
            return group
    raise UnexpectedError("no public group of this environment has replicas")


@scenario(
    "lost-droplet",
    "a droplet is gone outside of Terraform: the next apply makes another, which runs the release, and nothing else",
    lane="lost-state",
)
def _lost_droplet(scene: Scene) -> None:
    scene.workspace.synthesize()
    lost = sorted(scene.cloud.state()["droplets"], key=lambda one: str(one["name"]))[0]
    scene.cloud.ask("DELETE", f"/v2/droplets/{lost['id']}")
    plan = scene.change()
    made = [label(one) for one in plan.of("droplet") if one.creates]
    expect(made == [lost["name"]], f"droplets made: {made}")
    others = {one.short_kind for one in plan} - {"droplet", "terraform_data", "project_resources"}
    expect(not others, f"beside it these change: {others}")
    code, said = scene.wait_for_release()
    expect(code == 0, f"it does not run the release:\n{said}")
    scene.say(f"{lost['name']}: made again, and it runs the release")
