"""Whose drill goes on: two never share a fork, and a program that was killed keeps nobody away."""

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from ops.bucket import Bucket
from ops.drill import run
from ops.drill.holding import held
from ops.drill.place import Place, Terraform
from ops.errors import OperationError
from ops.unlock import StateLock
from ops.waiting import Clock
from tests.ops.drill.conftest import NAME, Cloud, eventually
from tests.ops.drill.test_drill import KEY


def test_a_second_drill_does_not_begin_while_the_first_waits_for_a_droplet(
    cloud: Cloud, place: Place
) -> None:
    """Nothing says that the first one's fork is in use but its record: no droplet has answered yet."""
    project = cloud.ask(
        "POST", "/v2/projects", {"name": f"{NAME}-presence360", "purpose": "Web Application"}
    )["project"]["id"]
    cloud.cluster(NAME, NAME, project=project)
    first = replace(place, who="ada@laptop").holding("first-12345678")
    with first.taken("the command"):
        with pytest.raises(
            OperationError, match=r"ada@laptop began a drill at .*: its fork is not destroyed"
        ):
            run.drill(place, KEY, (), cloud.said.append, limit=1)
        assert NAME in cloud.clusters()
        first.check()
        # Nor does CI's step that cleans up, if it was another run's.
        assert not run.clean(place, cloud.said.append, unless_at_work=True)
        assert NAME in cloud.clusters()
        # The record of a program that was killed keeps nobody away; its Terraform, which may go on, does.
        late = replace(place, clock=Clock(now=lambda: place.clock.now() + 1000))
        lock = StateLock(NAME, "1", "ada@laptop", "OperationTypeApply", late.clock.time())
        with pytest.raises(OperationError, match="may still make the fork"):
            run.drill(replace(late, locked=lambda: lock), KEY, (), cloud.said.append, limit=1)
        assert NAME in cloud.clusters()
        with pytest.raises(OperationError, match="there is no room for a fork"):
            run.drill(late, KEY, (), cloud.said.append, limit=1)
        assert NAME not in cloud.clusters()
    assert cloud.bucket("config-control").keys() == []


def test_who_comes_at_the_same_moment_does_not_hold_the_fork(place: Place) -> None:
    """It has looked before the other one's record was there."""
    first, second = (replace(place, who=who).holding(f"{who}-12345678") for who in ("ada", "bob"))
    bucket = second.bucket

    class Late:
        seen = False

        def __getattr__(self, name: str) -> Any:
            return getattr(bucket, name)

        def read(self, key: str) -> bytes | None:
            if self.seen:
                return bucket.read(key)
            self.seen = True
            stack.enter_context(first.taken("the command"))
            return None

    late = Late()
    second.bucket = late  # type: ignore[assignment]  # what it uses of a bucket
    with ExitStack() as stack:
        with pytest.raises(OperationError, match=r"ada began a drill"), second.taken("the command"):
            pass
        first.check()
        assert late.seen


def test_a_drill_that_was_taken_over_destroys_nothing_of_the_other(place: Place) -> None:
    first, second = (replace(place, who=who).holding(f"{who}-12345678") for who in ("ada", "bob"))
    first.beat_seconds = 0.01
    with first.taken("the command"):
        with second.taken():
            # What it says goes nowhere.
            time.sleep(0.2)
            assert (first.is_anothers(), second.is_anothers()) == (True, False)
            with pytest.raises(OperationError, match=r"bob began a drill .*: it has taken over"):
                first.check()
            second.check()
        with pytest.raises(OperationError, match="somebody has cleaned up"):
            first.check()


def test_a_program_says_that_it_runs_while_a_drill_goes_on(place: Place) -> None:
    hold = place.holding("first-12345678")
    hold.beat_seconds = 0.01
    with hold.taken("the command"):
        before = held(place.config)
        assert before
        hold.clock = Clock(now=lambda: place.clock.now() + 400)
        eventually(lambda: (found := held(place.config)) and found.time > before.time)
    assert held(place.config) is None
    assert list(place.config.versions("requests/")) == []


def test_what_cleans_up_destroys_the_fork_also_where_the_bucket_does_not_answer(
    cloud: Cloud, place: Place
) -> None:
    project = cloud.ask(
        "POST", "/v2/projects", {"name": f"{NAME}-presence360", "purpose": "Web Application"}
    )["project"]["id"]
    cloud.cluster(NAME, NAME, project=project)

    def nothing() -> Terraform:
        raise OperationError("Terraform has no state either")

    nowhere = replace(
        place, open_stack=nothing, buckets=lambda name: Bucket.of(cloud.environ, "fra1", f"no-{name}")
    )
    # CI's step does not: it may be another run's.
    with pytest.raises(OperationError, match="NoSuchBucket"):
        run.clean(nowhere, cloud.said.append, unless_at_work=True)
    assert NAME in cloud.clusters()
    with pytest.raises(OperationError, match="NoSuchBucket"):
        run.clean(nowhere, cloud.said.append)
    assert NAME not in cloud.clusters()
    assert any("is not known" in line for line in cloud.said)
