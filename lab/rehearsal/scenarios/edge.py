"""The edge: the certificate."""

import json
import re

from lab.local_digitalocean.calls import Call
from lab.rehearsal.errors import expect
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.workspace import Stack
from model.naming import Names

CERTIFICATES, BALANCER = "/v2/certificates", "/v2/load_balancers/{lb_id}"


@scenario(
    "certificate",
    "the certificate covers another name: the new one is in use before the old one is deleted",
    lane="certificate",
)
def _certificate(scene: Scene) -> None:
    names = Names(scene.workspace.environment)

    def adjust(stack: Stack) -> None:
        """Cover one more name, as a next version of this program would: no operator's file lists the names."""
        (certificate,) = stack["resource"]["digitalocean_certificate"].values()
        certificate["domains"] = [*certificate["domains"], f"*.rehearsed.{certificate['domains'][0]}"]
        certificate["name"] = names.certificate(certificate["domains"])

    (old,) = scene.cloud.state()["certificates"]
    mark = len(scene.cloud.calls())
    scene.workspace.adjustments.append(adjust)
    plan = scene.change()
    expect(
        [change.sign for change in plan.of("certificate")] == ["+/-"],
        "the new certificate is not made first",
    )
    expect(
        {change.short_kind for change in plan} <= {"certificate", "loadbalancer"}, "something else changes"
    )
    (new,) = scene.cloud.state()["certificates"]
    expect(new["id"] != old["id"], "it is still the old certificate")
    calls = scene.cloud.calls(mark)
    made = _first(calls, "POST", CERTIFICATES)
    attached = max(
        index for index, call in enumerate(calls) if call.method == "PUT" and call.route == BALANCER
    )
    gone = _first(calls, "DELETE", f"{CERTIFICATES}/{old['id']}")
    expect(made < attached, "it was attached before it was made")
    expect(
        attached < _last(calls, "DELETE", f"{CERTIFICATES}/{old['id']}"),
        "the old one was deleted before the new one was attached",
    )
    held = calls[_last(calls, "DELETE", f"{CERTIFICATES}/{old['id']}")].at - calls[gone].at
    scene.say("order: made, attached to every load balancer, the old one deleted"
              + (f" ({held:.0f} s refused while in use)" if held else ""))  # fmt: skip
    for balancer in scene.cloud.state()["load_balancers"]:
        used = set(re.findall(r'"certificate_id": "([^"]+)"', json.dumps(balancer)))
        expect(used == {new["id"]}, f"{balancer['name']} uses {used}")


def _first(calls: list[Call], method: str, path: str) -> int:
    return next(index for index, call in enumerate(calls) if (call.method, call.path) == (method, path))


def _last(calls: list[Call], method: str, path: str) -> int:
    return max(index for index, call in enumerate(calls) if (call.method, call.path) == (method, path))
