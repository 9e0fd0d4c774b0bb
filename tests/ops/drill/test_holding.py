"""Whose drill goes on: two never share a fork, and a program that was killed keeps nobody away."""

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from model.drill_status import sent_key
from model.restore_drill import REQUEST_KEY
from ops.bucket import Bucket, Dated
from ops.drill import cleaning, run
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
    cloud.fork()
    first = replace(place, who="ada@laptop").holding("first-12345678")
    with first.taken("the command"):
        with pytest.raises(
            OperationError, match=r"ada@laptop began a drill at .*: its fork is not destroyed"
        ):
            run.drill(place, KEY, (), cloud.said.append, limit=1)
        assert NAME in cloud.clusters()
        first.check()
        # Nor does CI's step that cleans up, if it was another run's.
        assert not cleaning.clean(place, cloud.said.append, unless_at_work=True)
        assert NAME in cloud.clusters()
        # The record of a program that was killed keeps nobody away; its Terraform, which may go on, does.
        cloud.wait(16)
        lock = StateLock(NAME, "1", "ada@laptop", "OperationTypeApply", place.clock.time())
        with pytest.raises(OperationError, match="may still make the fork"):
            run.drill(replace(place, locked=lambda: lock), KEY, (), cloud.said.append, limit=1)
        assert NAME in cloud.clusters()
        with pytest.raises(OperationError, match="there is no room for a fork"):
            run.drill(place, KEY, (), cloud.said.append, limit=1)
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

        def read_dated(self, key: str) -> Dated | None:
            if self.seen:
                return bucket.read_dated(key)
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
            assert (first.holds(), second.holds()) == (False, True)
            with pytest.raises(OperationError, match=r"bob began a drill .*: it has taken over"):
                first.check()
            second.check()
        with pytest.raises(OperationError, match="somebody has cleaned up"):
            first.check()
        # What it made since then is still there, and nobody else may begin before that is gone.
        assert first.holds()
        first.check()


def test_a_program_says_that_it_runs_while_a_drill_goes_on(cloud: Cloud, place: Place) -> None:
    hold = place.holding("first-12345678")
    hold.beat_seconds = 0.01
    with hold.taken("the command"):
        cloud.wait(16)
        # Its record is old, and what it says is not.
        eventually(lambda: (found := held(place.config)) and not found.is_stale)
        hold.check()
    assert held(place.config) is None
    assert list(place.config.versions("requests/")) == []


def test_what_cleans_up_destroys_the_fork_also_where_the_bucket_does_not_answer(
    cloud: Cloud, place: Place
) -> None:
    cloud.fork()

    def nothing() -> Terraform:
        raise OperationError("Terraform has no state either")

    nowhere = replace(
        place, open_stack=nothing, buckets=lambda name: Bucket.of(cloud.environ, "fra1", f"no-{name}")
    )
    # CI's step does not: it may be another run's.
    with pytest.raises(OperationError, match="there is no such bucket"):
        cleaning.clean(nowhere, cloud.said.append, unless_at_work=True)
    assert NAME in cloud.clusters()
    with pytest.raises(OperationError, match="there is no such bucket"):
        cleaning.clean(nowhere, cloud.said.append)
    assert NAME not in cloud.clusters()
    assert any("is not known" in line for line in cloud.said)


def test_clocks_that_are_wrong_take_over_no_drill_that_goes_on(cloud: Cloud, place: Place) -> None:
    """Times are compared by the clock of Spaces alone: two machines' own differ by any amount."""
    cloud.fork()
    for minutes in (-16, 16):
        wrong = replace(place, clock=Clock(now=lambda by=minutes: time.time() + 60 * by))  # type: ignore[misc]  # a default
        with wrong.holding("first-12345678").taken("the command"):
            with pytest.raises(OperationError, match="its fork is not destroyed"):
                run.drill(place, KEY, (), cloud.said.append, limit=1)
            with (
                pytest.raises(OperationError, match="its fork is not destroyed"),
                place.holding("2").taken("it"),
            ):
                pass
        # The droplet's clock is a week behind.
        cloud.says("first-12345678", "running")
        with pytest.raises(OperationError, match=r"control-1 said 0 minutes ago"):
            run.drill(wrong, KEY, (), cloud.said.append, limit=1)
        cloud.says("first-12345678", "ended")
    assert NAME in cloud.clusters()


def test_ci_s_last_step_leaves_a_fork_alone_on_which_a_droplet_works(cloud: Cloud, place: Place) -> None:
    """Ada's laptop sleeps for longer than a record counts; the droplet that it asked goes on, and says so."""
    place = replace(place, who="https://github.example/run/1", open_stack=no_terraform)
    cloud.fork()
    with replace(place, who="ada@laptop").holding("first-12345678").taken("the command"):
        cloud.wait(16)
        cloud.says("first-12345678", "running")
        with pytest.raises(
            OperationError, match=r"control-1 said 0 minutes ago .*: its fork is not destroyed"
        ):
            run.drill(place, KEY, (), cloud.said.append, limit=5)
        assert not cleaning.clean(place, cloud.said.append, unless_at_work=True)
        assert NAME in cloud.clusters()
        assert cloud.said[-1].endswith("is running: nothing is destroyed")
        # That the laptop sleeps ends nobody's drill: its record is as it was.
        found = held(place.config)
        assert found and found.who == "ada@laptop"
        # The droplet is gone too.
        cloud.wait(16)
        with pytest.raises(OperationError, match="no Terraform here"):
            cleaning.clean(place, cloud.said.append, unless_at_work=True)
        assert NAME not in cloud.clusters()


def test_ci_s_last_step_destroys_what_its_own_run_has_left_although_its_droplet_still_works(
    cloud: Cloud, place: Place
) -> None:
    place = replace(place, open_stack=no_terraform)
    cloud.fork()
    hold = place.holding("first-12345678")
    with hold.taken("the command"):
        cloud.says("first-12345678", "running")
        # The run's own attempt fails: Terraform is not there. Its record stays.
        with pytest.raises(OperationError, match="no Terraform here"):
            cleaning.end(place, hold, cloud.said.append)
    cloud.fork()
    with pytest.raises(OperationError, match="no Terraform here"):
        cleaning.clean(place, cloud.said.append, unless_at_work=True)
    assert NAME not in cloud.clusters()


@pytest.mark.parametrize("then", ["before it unwinds", "while it unwinds"])
def test_a_drill_that_was_cleaned_up_destroys_nothing_of_the_next_one(
    cloud: Cloud, place: Place, then: str
) -> None:
    """Ada's drill runs, Bob cleans up, and Carol begins while Ada's is still on its way out."""
    status, config = cloud.bucket("status-control"), cloud.bucket("config-control")
    carol = replace(place, who="carol@laptop").holding("third-12345678")
    cleans = replace(place, who="bob@laptop", open_stack=no_terraform)

    def carol_begins() -> None:
        with pytest.raises(OperationError, match="no Terraform here"):
            cleaning.clean(cleans, cloud.said.append)
        stack.enter_context(carol.taken("the command"))
        cloud.fork()
        config.write(REQUEST_KEY, b"carol's")
        status.write(sent_key("third-12345678", "age1" + "q" * 58), b"carol's")

    def opened() -> Terraform:
        if then == "before it unwinds":
            carol_begins()
        raise OperationError("it is ended")

    def say(line: str) -> None:
        cloud.said.append(line)
        # Between the destruction of Ada's cluster and the next step.
        if (
            then == "while it unwinds"
            and line.startswith("destroying the cluster")
            and "carol" not in cloud.said
        ):
            cloud.said.append("carol")
            carol_begins()

    ada = replace(place, who="ada@laptop", open_stack=opened)
    with ExitStack() as stack:
        with pytest.raises(OperationError, match="it is ended"):
            if then == "while it unwinds":
                hold = ada.holding("first-12345678")
                with hold.taken("the command"):
                    cloud.fork()
                    cleaning.end(ada, hold, say)
                    raise OperationError("it is ended")
            run.drill(ada, KEY, (), say, limit=5)
        carol.check()
        assert cloud.clusters().count(NAME) == 1
        assert (config.read(REQUEST_KEY), len(status.keys())) == (b"carol's", 1)
        assert any("destroyed" in line for line in cloud.said)


def no_terraform() -> Terraform:
    raise OperationError("there is no Terraform here")
