"""What the stand-in's droplets say of themselves, read by the contract that real ones keep (model/status.py)."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from lab.local_digitalocean.droplet_status import SWITCH, speak
from model.status import ENVIRONMENT_MANIFEST, DropletStatus, Phase, manifest_key, parse_status, status_key
from tests.lab.local_digitalocean.client import Api

CONFIG, STATUS = "presence360-staging-config-app", "presence360-staging-status-app"
TEMPLATE = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64"}


@dataclass
class Bucket:
    """Objects in a dictionary, with the number of writes."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    writes: int = 0

    def content(self, bucket: str, key: str) -> bytes | None:
        return self.objects.get((bucket, key))

    def keys(self, bucket: str) -> list[str]:
        return sorted(key for of, key in self.objects if of == bucket)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.writes += 1
        self.objects[bucket, key] = content

    def deploy(self, release: str) -> None:
        manifest = {"objects": {}, "release": release, "programs": "p1"}
        self.objects[CONFIG, manifest_key(ENVIRONMENT_MANIFEST)] = json.dumps(manifest).encode()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def ids(api: Api) -> list[str]:
    """Two droplets of a group, which became healthy, and one of nobody's."""
    names = {
        "app-1": ["staging", "staging-group-app"],
        "app-2": ["staging-group-app", "staging"],
        "other": ["x"],
    }
    made = [
        api.do("POST", "/v2/droplets", {**TEMPLATE, "name": name, "tags": tags})
        for name, tags in names.items()
    ]
    api.time.seconds += 60
    return [str(one["id"]) for one in made[:2]]


Said = Callable[[], list[DropletStatus]]


@pytest.fixture
def said(api: Api, bucket: Bucket, ids: list[str]) -> Said:
    def read() -> list[DropletStatus]:
        speak(api.account, bucket, STATUS)
        return [parse_status(bucket.objects[STATUS, status_key(one)]) for one in ids]

    return read


def test_without_a_manifest_they_wait(said: Said, ids: list[str]) -> None:
    first, second = said()
    assert (first.droplet, first.name, second.name) == (ids[0], "app-1", "app-2")
    assert (first.phase, first.release, first.wanted) == (Phase.WAITING, None, None)
    assert first.reason == "set incomplete: manifests/environment.json is missing"


def test_a_release_goes_from_one_to_the_next(said: Said, bucket: Bucket, api: Api) -> None:
    bucket.deploy("r1")
    assert [(one.phase, one.release, one.programs) for one in said()] == [(Phase.SERVING, "r1", "p1")] * 2
    bucket.deploy("r2")
    assert [one.phase for one in said()] == [Phase.STARTING, Phase.WAITING]
    api.time.seconds += 1
    first, second = said()
    assert (first.phase, first.release) == (Phase.SERVING, "r2")
    assert (second.phase, second.release, second.wanted) == (Phase.STARTING, "r1", "r2")
    api.time.seconds += 1
    assert [one.release for one in said()] == ["r2", "r2"]


def test_a_bad_release_touches_one_and_a_newer_one_ends_it(said: Said, bucket: Bucket, api: Api) -> None:
    bucket.deploy("r1")
    said()
    api.account.secrets[SWITCH] = "no"
    bucket.deploy("r2")
    first, second = said()
    assert (first.phase, second.phase, second.reason) == (
        Phase.FAILED,
        Phase.HELD,
        "app-1 failed with this release",
    )
    api.account.secrets[SWITCH] = "yes"
    assert said()[0].phase is Phase.FAILED  # it does not try again by itself
    bucket.deploy("r3")
    assert [one.phase for one in said()] == [Phase.STARTING, Phase.WAITING]


def test_one_that_is_not_healthy_says_so(said: Said, bucket: Bucket, api: Api, ids: list[str]) -> None:
    bucket.deploy("r1")
    said()
    api.account.tables["droplets"][ids[1]]["_healthy"] = False
    assert (said()[1].phase, said()[1].reason) == (Phase.FAILED, "a service is unhealthy")


def test_they_write_at_a_change_and_when_the_last_word_is_two_minutes_old(
    said: Said, bucket: Bucket, api: Api
) -> None:
    bucket.deploy("r1")
    since, writes = said()[0].since, bucket.writes
    api.time.seconds += 119
    said()
    assert bucket.writes == writes
    api.time.seconds += 1
    again = said()[0]
    assert bucket.writes == writes + 2
    assert (again.since, (again.time - since).total_seconds()) == (since, 120)
    speak(api.account, bucket, "presence360-staging-status-worker")
    assert bucket.writes == writes + 2
