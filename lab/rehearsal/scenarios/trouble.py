"""Failures during a deploy: the API refuses or does not answer, and Terraform is killed."""

import json
import os
import signal
import subprocess
import time
from typing import Any

from lab.rehearsal.changes import Plan, label
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.judged import check
from lab.rehearsal.runner import make_default_network
from lab.rehearsal.scenarios.droplets import groups_that_grow
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.terraform import PLAN_FILE
from lab.rehearsal.workspace import Stack
from model.addresses import LOAD_BALANCER
from model.naming import Names
from ops.adopt import adopt
from ops.api_client import Client
from ops.preflight import checks, existing
from ops.preflight.spaces import Key

TENANT = "00000000-0000-4000-8000-0000000000dd"
ENTRY: dict[str, Any] = {"id": TENANT, "slug": "troubled", "name": "Troubled Church"}
WAIT_SECONDS = 120


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
    document["groups"][groups_that_grow(document)[0]]["replicas"] += 1


def _orphans(scene: Scene) -> list[str]:
    """Return the ids of droplets that are not in Terraform's state."""
    text = scene.terraform().must("show", "-json").stdout
    return [str(one["id"]) for one in scene.cloud.state()["droplets"] if f'"id":"{one["id"]}"' not in text]


def _kill_at(scene: Scene, method: str, path: str) -> None:
    """Apply, and kill Terraform with its processes as soon as a call was answered."""
    mark = len(scene.cloud.calls())
    process = scene.terraform().start_apply()
    _wait_for(scene, mark, process, method, path)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait_for(scene: Scene, mark: int, process: "subprocess.Popen[str]", method: str, path: str) -> None:
    """Wait until a call was answered, while an apply runs."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not any((call.method, call.path) == (method, path) for call in scene.cloud.calls(mark)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise UnexpectedError(f"the apply ended without {method} {path}")
        time.sleep(0.02)


@scenario(
    "crash-at-first",
    "Terraform is killed in a first deploy, while clusters are being made: presence360 adopt repairs that",
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
    for left in adopt(terraform, terraform.environ, region_of(scene), scene.say):
        scene.say(f"left to a person: {left.what}: {left.remedy}")
        expect(left.address.startswith(LOAD_BALANCER), f"{left.what} could not be taken over")
        identifier = left.remedy.rpartition(" ")[2]
        scene.cloud.ask("DELETE", f"/v2/load_balancers/{identifier}")
    plan = terraform.make_plan()
    replaced = [label(change) for change in plan if change.deletes]
    expect(not replaced, f"after the imports these would be replaced: {replaced}")
    terraform.apply_plan()
    expect(terraform.is_settled(), "the last plan is not empty")


def region_of(scene: Scene) -> str:
    """Return the environment's region."""
    stack = json.loads((scene.workspace.stack() / "cdk.tf.json").read_text(encoding="utf-8"))
    (vpc,) = stack["resource"]["digitalocean_vpc"].values()
    return str(vpc["region"])


@scenario(
    "interrupted-certificate",
    "an apply is interrupted while a certificate is issued: the guard refuses the next plan, and adopt repairs that",
    lane="interrupted-certificate",
)
def _interrupted_certificate(scene: Scene) -> None:
    names = Names(scene.workspace.environment)

    def adjust(stack: Stack) -> None:
        (certificate,) = stack["resource"]["digitalocean_certificate"].values()
        certificate["domains"] = [*certificate["domains"], f"*.rehearsed.{certificate['domains'][0]}"]
        certificate["name"] = names.certificate(certificate["domains"])

    scene.workspace.adjustments.append(adjust)
    scene.workspace.synthesize()
    terraform = scene.terraform()
    mark = len(scene.cloud.calls())
    process = terraform.start_apply()
    _wait_for(scene, mark, process, "POST", "/v2/certificates")
    # As Ctrl-C does: the provider stops to wait, and Terraform writes what it has.
    os.killpg(process.pid, signal.SIGINT)
    process.wait()
    plan = terraform.make_plan()
    # Beside it the plan deletes the old one, which the interrupted replacement left.
    (certificate,) = (one for one in plan.of("certificate") if not one.deposed)
    scene.say(f"the next plan: {certificate.sign} certificate ({certificate.reason or 'not in the state'})")
    refused = refusal(scene, plan)
    expect("under the name that it has" in refused, f"the guard does not refuse it for its name:\n{refused}")
    scene.say("the guard refuses it, and names presence360 adopt")
    left = adopt(terraform, terraform.environ, region_of(scene), scene.say)
    expect(not left, f"left over: {[one.what for one in left]}")
    scene.change()
    expect(len(scene.cloud.state()["certificates"]) == 1, "there is more than one certificate")


def refusal(scene: Scene, plan: Plan) -> str:
    """Return why the guard refuses a plan; empty if it does not."""
    try:
        check(scene.workspace, plan)
    except UnexpectedError as error:
        return str(error)
    return ""


@scenario(
    "existing-key-and-zone",
    "the account has the SSH key and the zone already: the plan's check says so, and adopt takes both over",
    lane="existing",
    fresh=True,
)
def _existing(scene: Scene) -> None:
    scene.workspace.synthesize()
    make_default_network(scene)
    stack = json.loads((scene.workspace.stack() / "cdk.tf.json").read_text(encoding="utf-8"))["resource"]
    (zone,) = stack["digitalocean_domain"].values()
    (key,) = stack["digitalocean_ssh_key"].values()
    scene.cloud.ask("POST", "/v2/domains", {"name": zone["name"]})
    scene.cloud.ask("POST", "/v2/account/keys", {"name": key["name"], "public_key": key["public_key"]})
    terraform = scene.terraform()
    plan = terraform.make_plan()
    region, environ = region_of(scene), terraform.environ
    there = list(existing.find(plan.whole.changes, Client.of(environ), Key.of_provider(environ, region)))
    for line in checks.told(there, plan.whole.stack):
        scene.say(line)
    expect(len(there) == 2, f"found: {there}")  # noqa: PLR2004
    expect(not adopt(terraform, environ, region, scene.say), "something is left over")
    scene.apply(scene.plan(), first=True)
