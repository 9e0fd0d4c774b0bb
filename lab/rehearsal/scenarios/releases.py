"""Releases: no droplet is replaced, and the deploy says what became of it."""

from typing import Any

from lab.rehearsal.changes import Plan, label
from lab.rehearsal.errors import expect
from lab.rehearsal.scene import Scene, scenario
from model.config import config_bucket
from model.naming import Names
from model.status import ENVIRONMENT_MANIFEST, manifest_key, parse_manifest
from ops.release_wait import Wanted, to_text

RELEASES = ("999.0.0-rehearsed", "999.1.0-fails", "999.2.0-repaired")


@scenario(
    "release",
    "a version is released: one object and the manifest change for each group that runs the service, and no droplet",
    lane="release",
)
def _release(scene: Scene) -> None:
    plan, groups = _set_release(scene, RELEASES[0])
    changed = sorted(label(change).rsplit("/", 1)[1] for change in plan)
    wanted = sorted(["release.json", "environment.json"] * len(groups))
    expect(changed == wanted, f"{changed} change for the groups {groups}")
    differing = {attribute for change in plan for attribute in change.differing}
    expect(differing == {"content", "etag", "version_id"}, f"the objects change in {sorted(differing)}")
    _arrives(scene)


@scenario(
    "bad-release",
    "a release fails on the first droplet: the deploy fails with its reason, and a repaired one supersedes it",
    lane="release",
)
def _bad_release(scene: Scene) -> None:
    scene.cloud.releases_work(False)
    _set_release(scene, RELEASES[1])
    code, said = scene.wait_for_release()
    expect(code == 1, f"the deploy did not fail:\n{said}")
    expect("its release failed" in said and "container presence360-" in said, f"it does not say why:\n{said}")
    scene.say(said.strip())
    failed = _deployed(scene)
    scene.cloud.releases_work(True)
    _set_release(scene, RELEASES[2])
    code, said = scene.wait_for_release(failed)
    expect((code, "superseded" in said) == (1, True), f"a wait for the failed release goes on:\n{said}")
    scene.say(said.strip().splitlines()[-1])
    _arrives(scene)


def _set_release(scene: Scene, release: str) -> tuple[Plan, list[str]]:
    """Release a version of one service; return the plan, and the groups that run the service."""
    groups: list[str] = []

    def edit(document: dict[str, Any]) -> None:
        service = sorted(document["releases"])[0]
        document["releases"][service] = release
        groups.extend(name for name, group in document["groups"].items() if service in group["services"])

    scene.workspace.edit(edit)
    return scene.change(), groups


def _arrives(scene: Scene) -> None:
    code, said = scene.wait_for_release()
    expect(code == 0, f"the release does not arrive:\n{said}")
    scene.say(said.strip().splitlines()[-1])


def _deployed(scene: Scene) -> str:
    """Return what an apply hands to a step that waits elsewhere."""
    names, key = Names(scene.workspace.environment), scene.cloud.environment["SPACES_ACCESS_KEY_ID"]
    groups: list[str] = []
    scene.workspace.edit(lambda document: groups.extend(document["groups"]))
    contents = {
        group: scene.cloud.read_object(config_bucket(names, group), manifest_key(ENVIRONMENT_MANIFEST), key)
        for group in groups
    }
    return to_text({group: Wanted.of(parse_manifest(content)) for group, content in contents.items()})
