"""When a droplet may change."""

import itertools
from pathlib import Path

from droplet.converge import turns
from droplet.converge.release import Release
from tests.droplet.machine import OTHER_TURN, OWN_TURN, Host


class TestTurns:
    def test_numbered_droplets_take_turns_by_number(self) -> None:
        names = [f"production-tenant-{number}" for number in (1, 2, 3, 4)]
        assert [turns.own_turn(name, 3) for name in names] == [0, 1, 2, 0]
        assert [turns.own_turn(f"{name}-123456", 3) for name in names] == [0, 1, 2, 0]

    def test_a_pools_droplets_take_turns_by_chance(self) -> None:
        found = [turns.own_turn(f"pool-{letter}", 4) for letter in "abcdefghijklmnopqrstuvwxyz"]
        assert set(found) == {0, 1, 2, 3}

    def test_two_droplets_never_start_within_the_worst_case_of_each_other(self) -> None:
        three = Release(Path(), "x", {}, {}, (), turns=3, slot_seconds=360, worst_seconds=300)
        starts = sorted(
            (float(second), name)
            for second in range(0, 3 * 360 * 2, 5)
            for name in ("a-1", "a-2", "a-3")
            if turns.may_start(three, name, second)
        )
        assert {name for _, name in starts} == {"a-1", "a-2", "a-3"}
        for (before, one), (after, other) in itertools.pairwise(starts):
            assert one == other or after - before >= 300


class TestUpdate:
    """What the running version answers when the fetcher asks whether another may take over."""

    def answer(self, host: Host, now: float, hostname: str = "staging-app-1-3fa9c2") -> int:
        return turns.answer_update("0123456789abcdef", paths=host.paths, hostname=hostname, now=now)

    def test_follows_the_turns_of_releases(self, healthy: Host) -> None:
        assert self.answer(healthy, OWN_TURN) == 0
        assert self.answer(healthy, OTHER_TURN) == turns.WAIT
        assert self.answer(healthy, OTHER_TURN, "staging-app-2-3fa9c2") == 0
        assert self.answer(healthy, OWN_TURN + 61) == turns.WAIT

    def test_is_yes_while_there_is_no_release(self, host: Host) -> None:
        assert self.answer(host, OTHER_TURN) == 0
