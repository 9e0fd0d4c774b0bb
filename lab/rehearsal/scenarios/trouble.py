"""Failures during a deploy: the API refuses or does not answer, and Terraform is killed."""

import os
import signal
import time
from typing import Any

from lab.rehearsal.adopt import found
from lab.rehearsal.changes import label
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.runner import make_default_network
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.terraform import PLAN_FILE

TENANT = "00000000-0000-4000-8000-0000000000dd"
ENTRY: dict[str, Any] = {"id": TENANT, "slug": "troubled", "name": "Troubled Church"}
WAIT_SECONDS = 120
NOT_IMPORTED = "digitalocean_loadbalancer."
"""The provider never reads `network` back, and it forces replacement (its loadbalancer/resource_loadbalancer.go)."""


@scenario(
    "rate-limit",
    "the API answers 429 a few times: the provider waits as long as the answer says, and the deploy goes on",
    lane="trouble",
)
def _rate_limit(scene: Scene) -> None:
    scene.workspace.edit_tenants(lambda tenants: tenants.append(dict(ENTRY)))
    mark = len(scene.cloud.calls())
    scene.cloud.faults("* /v2/.* 429 20 6")
    scene.change()
    refused = [call for call in scene.cloud.calls(mark) if call.status == 429]  # noqa: PLR2004
    expect(len(refused) == 6, f"{len(refused)} calls were refused")  # noqa: PLR2004
    scene.cloud.faults()
    scene.say(f"{len(refused)} calls were answered 429 and repeated")


@scenario(
    "stumbling-api",
    "the API answers 500 and drops connections: the provider repeats these calls",
    lane="trouble",
)
def _stumble(scene: Scene) -> None:
    scene.tenant(TENANT, credentials={"generation": 2, "keep": [1]})
    mark = len(scene.cloud.calls())
    scene.cloud.faults(
        "GET /v2/databases/.* 500 2 3", "GET /v2/domains/.* drop 1 2", "POST /v2/databases/.*/users drop 1"
    )
    scene.change()
    suffered = [call for call in scene.cloud.calls(mark) if call.fault]
    scene.cloud.faults()
    expect(len(suffered) == 6, f"{len(suffered)} calls failed")  # noqa: PLR2004
    scene.say(f"{len(suffered)} calls were answered 500 or not at all, and repeated")


@scenario(
    "lost-answer",
    "a user is made and the answer is lost: the retry is refused as a duplicate, and an import repairs that",
    lane="trouble",
)
def _lost_answer(scene: Scene) -> None:
    scene.tenant(TENANT, credentials={"generation": 3, "keep": [2]})
    scene.cloud.faults("POST /v2/databases/.*/users drop-answer 1")
    plan = scene.plan()
    (user,) = [change for change in plan.of("database_user") if change.creates]
    ended = scene.terraform().run("apply", "-input=false", PLAN_FILE)
    scene.cloud.faults()
    expect(
        ended.returncode == 1 and "409" in ended.stderr,
        f"the deploy does not report what happened:\n{ended.stderr}",
    )
    scene.say("the deploy ends with 409: the user exists, and is not in the state")
    cluster = next(one["id"] for one in scene.cloud.state()["clusters"] if label(user) in one["_users"])
    scene.terraform().must("import", "-input=false", user.address, f"{cluster},{label(user)}")
    scene.say(f"repaired by: terraform import '{user.address}' <cluster id>,{label(user)}")
    scene.change()


@scenario(
    "crash",
    "Terraform is killed while a droplet is being made: the next deploy goes on, and leaves one orphan to delete",
    lane="crash",
)
def _crash(scene: Scene) -> None:
    scene.workspace.edit(_one_more_replica)
    before = set(scene.cloud.names("droplets"))
    scene.workspace.synthesize()
    _kill_at(scene, "POST", "/v2/droplets")
    scene.say("killed with SIGKILL, with the provider, right after the droplet was ordered")
    scene.change()
    made = [name for name in scene.cloud.names("droplets") if name not in before]
    expect(len(made) == 2 and len(set(made)) == 1, f"droplets made: {made}")  # noqa: PLR2004
    orphans = _orphans(scene)
    expect(len(orphans) == 1, f"orphans: {orphans}")
    scene.say(
        f"left over: droplet {orphans[0]}, which is not in the state: it serves, and has to be deleted by hand"
    )


def _one_more_replica(document: dict[str, Any]) -> None:
    group = next(group for group in document["groups"].values() if group.get("replicas"))
    group["replicas"] += 1


def _orphans(scene: Scene) -> list[str]:
    """Return the ids of droplets that are not in Terraform's state."""
    text = scene.terraform().must("show", "-json").stdout
    return [str(one["id"]) for one in scene.cloud.state()["droplets"] if f'"id":"{one["id"]}"' not in text]


def _kill_at(scene: Scene, method: str, path: str) -> None:
    """Apply, and kill Terraform with its processes as soon as a call was answered."""
    mark = len(scene.cloud.calls())
    process = scene.terraform().start_apply()
    deadline = time.monotonic() + WAIT_SECONDS
    while not any((call.method, call.path) == (method, path) for call in scene.cloud.calls(mark)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise UnexpectedError(f"the apply ended without {method} {path}")
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@scenario(
    "crash-at-first",
    "Terraform is killed in a first deploy, while clusters are being made: imports repair that",
    lane="crash-at-first",
    fresh=True,
)
def _crash_at_first(scene: Scene) -> None:
    scene.workspace.synthesize()
    make_default_network(scene)
    terraform = scene.terraform()
    # Everything that is quick is made by then; clusters take longer.
    _kill_at(scene, "POST", "/v2/load_balancers")
    scene.say(
        "killed with SIGKILL, with the provider, while two clusters and a load balancer were being made"
    )
    ended = terraform.run("apply", "-input=false", "-auto-approve")
    refused = "cluster name is not available" in ended.stderr
    expect(
        ended.returncode == 1 and refused,
        f"the next deploy does not report that the name is taken:\n{ended.stderr}",
    )
    scene.say("the next deploy makes the rest, and fails for what exists already: the names are taken")
    for address, identifier in found(terraform.make_plan(), scene.cloud.state()):
        if address.startswith(NOT_IMPORTED):
            scene.cloud.ask("DELETE", f"/v2/load_balancers/{identifier}")
            scene.say(
                f"repaired by: deleting {address.split('.')[0]} {identifier}, which an import would have replaced"
            )
        else:
            terraform.must("import", "-input=false", address, identifier)
            scene.say(f"repaired by: terraform import {address} <its id>")
    plan = terraform.make_plan()
    replaced = [label(change) for change in plan if change.deletes]
    expect(not replaced, f"after the imports these would be replaced: {replaced}")
    terraform.apply_plan()
    expect(terraform.is_settled(), "the last plan is not empty")
