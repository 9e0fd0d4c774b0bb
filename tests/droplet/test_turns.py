"""When a droplet may change: what one droplet decides from what the others said."""

import itertools
from pathlib import Path

import pytest

from droplet.converge import turns
from droplet.converge.errors import HeldError, WaitingError
from droplet.converge.peers import Peer
from droplet.converge.release import Release
from droplet.converge.turns import Change, View, check_turn
from droplet.converge.update import answer_update
from tests.droplet.machine import OTHER_TURN, OWN_TURN, Host

NEW, OLD = "n" * 16, "o" * 16
CHANGE = Change("release", NEW)
THREE = Release(Path(), "x", {}, {}, (), turns=3, slot_seconds=360, worst_seconds=300)
FOUR = Release(Path(), "x", {}, {}, (), turns=4, slot_seconds=360, worst_seconds=300)

NOW = 100_000 * 360.0 * 3
"""The first slot of a round of three."""


def peer(
    name: str, phase: str = "waiting", *, age: float = 10, droplet: str = "", **more: str | None
) -> Peer:
    members = {
        "release": NEW if phase == "serving" else OLD,
        "wanted": NEW,
        "programs": OLD,
        "reason": "",
        **more,
    }
    return Peer(droplet=droplet or name, name=name, phase=phase, time=NOW - age, **members)  # type: ignore[arg-type]


def ask(
    name: str,
    *peers: Peer,
    timing: Release = THREE,
    now: float = NOW,
    waited: float = 0,
    change: Change = CHANGE,
) -> str:
    """The decision: `go`, or what it waits for or is held by."""
    try:
        check_turn(change, timing, View(name, name, [*peers, peer(name)], now, waited))
    except HeldError as held:
        return f"held: {held}"
    except WaitingError as waiting:
        return str(waiting)
    return "go"


class TestFollowing:
    """A group with numbers, in which everybody speaks."""

    def test_the_canary_goes_first(self) -> None:
        others = (peer("a-1"), peer("a-2"), peer("a-3"))
        assert ask("a-1", *others[1:]) == "go"
        assert ask("a-2", others[0], others[2]) == "waits for a-1"
        assert ask("a-3", *others[:2]) == "waits for a-1"

    def test_each_follows_the_one_before_it_in_any_slot(self) -> None:
        for slot in range(3):
            now = NOW + 360 * slot + 200
            done, second = peer("a-1", "serving", age=-200 - 360 * slot), peer("a-2", age=-200 - 360 * slot)
            third = peer("a-3", age=-200 - 360 * slot)
            assert ask("a-2", done, third, now=now) == "go"
            assert ask("a-3", done, second, now=now) == "waits for a-2"

    def test_one_at_a_time_is_away(self) -> None:
        first = peer("a-1", "serving")
        for phase in ("draining", "starting"):
            assert ask("a-2", first, peer("a-3", phase)) == f"waits for a-3, which is {phase}"

    def test_a_droplet_at_its_first_release_is_not_away(self) -> None:
        first = peer("a-1", "serving")
        assert ask("a-2", first, peer("a-3", "starting", release=None)) == "go"

    def test_who_serves_another_release_is_waited_for(self) -> None:
        assert ask("a-2", peer("a-1", "serving", release=OLD), peer("a-3")) == "waits for a-1"

    def test_after_a_failure_nobody_follows(self) -> None:
        failed = peer("a-1", "failed", reason="api is unhealthy")
        for name, other in (("a-2", "a-3"), ("a-3", "a-2")):
            assert ask(name, failed, peer(other)) == f"held: a-1 failed with release {NEW}: api is unhealthy"

    def test_a_failure_counts_after_the_droplet_fell_silent(self) -> None:
        assert ask("a-2", peer("a-1", "failed", age=90_000), peer("a-3")).startswith("held: a-1 failed")

    def test_a_failure_with_another_release_holds_nobody(self) -> None:
        assert ask("a-2", peer("a-1", "serving"), peer("a-3", "failed", wanted=OLD)) == "go"

    def test_a_failure_that_a_successor_made_good_holds_nobody(self) -> None:
        dead = peer("a-1-abcdef", "failed", age=90_000)
        born = peer("a-1-fedcba", "serving")
        assert ask("a-2", dead, peer("a-3")).startswith("held")
        assert ask("a-2", dead, born, peer("a-3")) == "go"

    def test_an_old_droplet_whose_successor_serves_is_not_waited_for(self) -> None:
        leaving, born = peer("a-1-abcdef", "draining"), peer("a-1-fedcba", "serving")
        assert ask("a-2", leaving, born, peer("a-3")) == "go"

    def test_a_retry_asks_for_no_verdict_and_keeps_its_turn(self) -> None:
        failed = peer("a-1", "failed")
        check_turn(CHANGE, THREE, View("a-2", "a-2", [failed, peer("a-3")], NOW), retry=True)
        for other, words in (
            (peer("a-3", "starting"), "waits for a-3"),
            (peer("a-1-abcdef"), "waits for a-1"),
        ):
            view = View("a-2", "a-2", [failed, other], NOW)
            with pytest.raises(WaitingError, match=words):
                check_turn(CHANGE, THREE, view, retry=True)


class TestSilence:
    def test_a_silent_droplet_is_not_waited_for_beyond_ones_own_slot(self) -> None:
        silent, third = peer("a-1", age=400), peer("a-3", age=-720)
        said = "waits for its slot, because a droplet of the group is silent"
        assert ask("a-2", silent, peer("a-3")) == said
        assert ask("a-2", silent, peer("a-3", age=-360), now=NOW + 360) == "go"
        assert ask("a-2", silent, peer("a-3", age=-450), now=NOW + 360 + 90) == said
        assert ask("a-2", silent, third, now=NOW + 720) == said

    def test_a_droplet_behind_that_is_silent_may_be_away(self) -> None:
        assert ask("a-1", peer("a-2"), now=NOW + 360).startswith("waits for its slot")

    def test_who_speaks_keeps_its_order_beside_a_silent_one(self) -> None:
        second = peer("a-2", age=-720)
        assert ask("a-3", second, now=NOW + 720) == "waits for a-2"

    def test_without_the_object_store_the_clock_decides(self) -> None:
        for number, slot in itertools.product((1, 2, 3), range(3)):
            view = View(f"a-{number}", f"a-{number}", None, NOW + 360 * slot)
            if number == slot + 1:
                check_turn(CHANGE, THREE, view)
            else:
                with pytest.raises(WaitingError, match="its slot"):
                    check_turn(CHANGE, THREE, view)

    def test_who_speaks_but_never_hears_of_the_release_is_silent_after_a_round(self) -> None:
        cut_off = peer("a-1", "serving", release=OLD, wanted=OLD, age=-360)
        behind = peer("a-3", age=-360)
        assert ask("a-2", cut_off, behind, now=NOW + 360, waited=3 * 360) == "waits for a-1"
        assert ask("a-2", cut_off, behind, now=NOW + 360, waited=3 * 360 + 1) == "go"

    def test_alone_nobody_is_missed(self) -> None:
        one = Release(Path(), "x", {}, {}, (), turns=1)
        assert ask("a-1", timing=one) == "go"


class TestPool:
    """Droplets without numbers: by name, a quarter at a time after the canary."""

    NAMES = tuple(f"pool-{letter}" for letter in "abcdefghij")

    def test_the_first_by_name_goes_alone(self) -> None:
        peers = [peer(name) for name in self.NAMES]
        assert ask("pool-a", *peers[1:], timing=FOUR) == "go"
        assert {ask(name, *peers, timing=FOUR) for name in self.NAMES[1:]} == {"waits for pool-a"}

    def test_then_as_many_as_a_quarter(self) -> None:
        peers = [peer("pool-a", "serving"), *(peer(name) for name in self.NAMES[1:])]
        going = [
            name
            for name in self.NAMES[1:]
            if ask(name, *(one for one in peers if one.name != name), timing=FOUR) == "go"
        ]
        assert going == ["pool-b", "pool-c"]

    def test_no_more_than_a_quarter_is_away(self) -> None:
        away = [peer(name, "starting") for name in ("pool-i", "pool-j")]
        others = [peer("pool-a", "serving"), *(peer(name) for name in self.NAMES[2:8]), *away]
        assert ask("pool-b", *others, timing=FOUR) == "waits for pool-i, which is starting"

    def test_who_is_silent_is_gone(self) -> None:
        others = [peer("pool-a", age=400), *(peer(name) for name in self.NAMES[2:])]
        assert ask("pool-b", *others, timing=FOUR, now=NOW + 359) == "go"


class TestClock:
    def test_numbered_droplets_take_turns_by_number(self) -> None:
        names = [f"production-tenant-{number}" for number in (1, 2, 3, 4)]
        assert [turns.own_turn(name, 3) for name in names] == [0, 1, 2, 0]
        assert [turns.own_turn(f"{name}-123456", 3) for name in names] == [0, 1, 2, 0]

    def test_a_pools_droplets_take_turns_by_chance(self) -> None:
        found = [turns.own_turn(f"pool-{letter}", 4) for letter in "abcdefghijklmnopqrstuvwxyz"]
        assert set(found) == {0, 1, 2, 3}

    def test_two_droplets_never_start_within_the_worst_case_of_each_other(self) -> None:
        starts = sorted(
            (float(second), name)
            for second in range(0, 3 * 360 * 2, 5)
            for name in ("a-1", "a-2", "a-3")
            if turns.may_start(THREE, name, second)
        )
        assert {name for _, name in starts} == {"a-1", "a-2", "a-3"}
        for (before, one), (after, other) in itertools.pairwise(starts):
            assert one == other or after - before >= 300


class TestUpdate:
    """What the running version answers when the fetcher asks whether another may take over."""

    DIGEST = "0123456789abcdef"

    def answer(self, host: Host, now: float, name: str = "staging-app-1-3fa9c2") -> int:
        return answer_update(self.DIGEST, paths=host.paths, hostname=name, clock=lambda: now, run=host.run)

    def test_follows_the_droplets_before_it(self, healthy: Host) -> None:
        second = "staging-app-2-3fa9c2"
        healthy.peer(1, "serving")
        assert self.answer(healthy, healthy.now, second) == turns.WAIT
        healthy.peer(1, "serving", programs=self.DIGEST)
        assert self.answer(healthy, healthy.now, second) == 0

    def test_waits_while_they_do_not_serve_with_it(self, healthy: Host) -> None:
        for phase in ("failed", "starting", "waiting"):
            healthy.peer(1, phase, programs=self.DIGEST)
            assert self.answer(healthy, healthy.now, "staging-app-2-3fa9c2") == turns.WAIT

    def test_goes_by_the_clock_where_the_others_are_silent(self, healthy: Host) -> None:
        assert self.answer(healthy, OWN_TURN) == 0
        assert self.answer(healthy, OTHER_TURN) == turns.WAIT
        assert self.answer(healthy, OTHER_TURN, "staging-app-2-3fa9c2") == 0
        assert self.answer(healthy, OWN_TURN + 61) == turns.WAIT

    def test_waits_for_a_whole_set(self, healthy: Host) -> None:
        healthy.halfway = True
        healthy.bucket["programs.json"] = '{"files": {"a": "b"}}'
        healthy.sync()
        assert self.answer(healthy, OWN_TURN) == turns.WAIT

    def test_is_yes_while_there_is_no_release(self, host: Host) -> None:
        assert self.answer(host, OTHER_TURN) == 0
