"""Groups that become autoscale pools, and pools that become groups of a fixed size, without a gap."""

from typing import Any

from lab.local_digitalocean.calls import Call
from lab.rehearsal.errors import expect
from lab.rehearsal.scenarios.droplets import droplets_of, group_with_replicas
from lab.rehearsal.scene import Scene, scenario
from model.config import status_bucket
from model.naming import Names
from model.status import status_key


@scenario(
    "autoscale",
    "a group of replicas becomes an autoscale pool: the replicas go after the pool serves",
    lane="autoscale",
)
def _autoscale(scene: Scene) -> None:
    group = group_with_replicas(scene)

    def edit(document: dict[str, Any]) -> None:
        replicas = document["groups"][group].pop("replicas")
        document["groups"][group]["autoscale"] = {"min": replicas, "max": replicas + 1, "cpu": 0.6}

    mark, before = len(scene.cloud.calls()), droplets_of(scene, group)
    scene.workspace.edit(edit)
    plan = scene.change()
    expect([change.sign for change in plan.of("droplet_autoscale")] == ["+"], "no pool is made")
    after = droplets_of(scene, group)
    expect(len(after) == len(before), "the pool has not made its droplets")
    expect(not set(before) & set(after), "the replicas still exist")
    calls = scene.cloud.calls(mark)
    shut = min(_index(calls, "POST", f"/v2/droplets/{one}/actions") for one in before)
    _serve_before(scene, group, calls, list(after), shut)


@scenario(
    "replicas-again",
    "an autoscale pool becomes a group of replicas: the pool goes after the replicas serve",
    lane="autoscale",
)
def _replicas_again(scene: Scene) -> None:
    group = _group_with_a_pool(scene)

    def edit(document: dict[str, Any]) -> None:
        document["groups"][group]["replicas"] = document["groups"][group].pop("autoscale")["min"]

    mark, before = len(scene.cloud.calls()), droplets_of(scene, group)
    scene.workspace.edit(edit)
    plan = scene.change()
    expect([change.sign for change in plan.of("droplet_autoscale")] == ["-"], "the pool stays")
    after = droplets_of(scene, group)
    expect(not set(before) & set(after), "the pool's droplets still exist")
    calls = scene.cloud.calls(mark)
    gone = next(at for at, call in enumerate(calls) if call.method == "DELETE" and "/autoscale/" in call.path)
    _serve_before(scene, group, calls, list(after), gone)


def _group_with_a_pool(scene: Scene) -> str:
    found: list[str] = []
    scene.workspace.edit(
        lambda document: found.extend(name for name, one in document["groups"].items() if "autoscale" in one)
    )
    return found[0]


def _serve_before(scene: Scene, group: str, calls: list[Call], droplets: list[str], end: int) -> None:
    """Check in the log that the new droplets were asked how they are, and said so, before the first old one ended."""
    bucket = status_bucket(Names(scene.workspace.environment), group)
    read = {
        one: max(
            (
                at
                for at, call in enumerate(calls)
                if call.path == f"/{bucket}/{status_key(one)}" and call.status == 200  # noqa: PLR2004
            ),
            default=len(calls),
        )
        for one in droplets
    }
    served = max(read.values())
    expect(served < end, "an old droplet was shut down before the new ones said that they serve")
    scene.say(
        f"the new droplets served {calls[served].at - calls[0].at:.0f} s into the deploy; the first old one was shut "
        f"down {calls[end].at - calls[served].at:.0f} s later"
    )


def _index(calls: list[Call], method: str, path: str) -> int:
    return next(at for at, call in enumerate(calls) if (call.method, call.path) == (method, path))
