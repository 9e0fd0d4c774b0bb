"""Releases of whole groups, in simulated time: how long they take, whom a bad one touches, who is away at once."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.status import Phase
from tests.droplet.machine import Host
from tests.droplet.simulation import Machine, World, group

THREE = ("staging-app-1-aaaaaa", "staging-app-2-aaaaaa", "staging-app-3-aaaaaa")
THIRTY = tuple(f"staging-pool-{number:05x}" for number in range(0xABCDE, 0xABCDE + 30 * 977, 977))
SLOT = 360


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk is not what is tried here, and 30 droplets would wait for it."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield


def publish(world: World, version: str) -> None:
    images = {"api": f"registry/api:{version}", "worker": "registry/worker:1"}
    world.bucket["release.json"] = json.dumps({"images": images})


def arrived(world: World, machines: list[Machine] | None = None) -> bool:
    images = world.bucket["release.json"]
    return all(
        machine.status.phase is Phase.SERVING and machine.status.release == wanted(machine, images)
        for machine in machines or world.machines
    )


def wanted(machine: Host, release: str) -> str:
    kept = machine.bucket
    machine.bucket = {**kept, "release.json": release}
    digest = machine.digest
    machine.bucket = kept
    return digest


def phases(world: World) -> list[Phase]:
    return [machine.status.phase for machine in world.machines]


class TestThree:
    @pytest.mark.parametrize("seed", range(6))
    def test_are_healthy_within_four_minutes_and_one_is_away_at_a_time(
        self, tmp_path: Path, seed: int
    ) -> None:
        world = group(tmp_path, THREE, 3, seed=seed)
        publish(world, "2")
        took = world.settle(lambda: arrived(world), 240)
        assert took > 150, "less than three droplets take one after the other"
        assert world.most_away == 1
        assert [machine.started for machine in world.machines] == [["2"]] * 3
        # The load balancer needs 10 s; requests under way the rest.
        assert all(min(machine.drained) >= 20 for machine in world.machines)

    def test_a_bad_release_touches_one(self, tmp_path: Path) -> None:
        world = group(tmp_path, THREE, 3, sick=["bad"])
        publish(world, "bad")
        world.run(world.now + 40 * 60)
        assert [machine.started for machine in world.machines] == [["bad", "1"], [], []]
        assert phases(world) == [Phase.FAILED, Phase.HELD, Phase.HELD]
        assert all("is unhealthy" in machine.status.reason for machine in world.machines)
        # The way out.
        publish(world, "3")
        assert world.settle(lambda: arrived(world), 240) > 100
        assert world.most_away == 1
        assert [machine.started[-1] for machine in world.machines] == ["3"] * 3

    def test_a_newer_release_ends_the_wait_for_an_older_one(self, tmp_path: Path) -> None:
        world = group(tmp_path, THREE, 3)
        publish(world, "2")
        world.run(world.now + 90)
        publish(world, "3")
        world.settle(lambda: arrived(world), 300)
        assert world.most_away == 1
        started = [machine.started for machine in world.machines]
        assert all(versions[-1] == "3" for versions in started)
        # Who had not begun with the older one never did.
        assert started[2] == ["3"]

    @pytest.mark.parametrize("silent", [0, 1, 2])
    def test_a_silent_one_holds_the_others_no_longer_than_their_slots(
        self, tmp_path: Path, silent: int
    ) -> None:
        world = group(tmp_path, THREE, 3)
        world.machines[silent].mute = True
        # Its last word is old.
        world.run(world.now + 400)
        publish(world, "2")
        others = [machine for number, machine in enumerate(world.machines) if number != silent]
        world.settle(lambda: arrived(world, others), 3 * SLOT + SLOT)
        assert world.most_away == 1
        assert world.machines[silent].started == []

    def test_that_reach_no_object_store_to_speak_go_by_the_clock(self, tmp_path: Path) -> None:
        world = group(tmp_path, THREE, 3)
        world.statuses.clear()
        for machine in world.machines:
            machine.failing = "rclone"
        publish(world, "2")
        world.run(world.now + 4 * SLOT)
        assert [machine.started for machine in world.machines] == [["2"]] * 3
        assert world.most_away == 1


class TestThirty:
    """A pool: no numbers, a quarter at a time."""

    def test_are_through_in_minutes_and_at_most_a_quarter_is_away(self, tmp_path: Path) -> None:
        world = group(tmp_path, THIRTY, 4)
        publish(world, "2")
        took = world.settle(lambda: arrived(world), 15 * 60)
        assert took < 9 * 60
        assert 2 <= world.most_away <= 7
        assert [machine.started for machine in world.machines] == [["2"]] * 30

    def test_a_bad_release_touches_one(self, tmp_path: Path) -> None:
        world = group(tmp_path, THIRTY, 4, sick=["bad"])
        publish(world, "bad")
        world.run(world.now + 5 * 60)
        assert [machine.started for machine in world.machines] == [["bad", "1"], *([] for _ in range(29))]
        assert phases(world) == [Phase.FAILED, *[Phase.HELD] * 29]
