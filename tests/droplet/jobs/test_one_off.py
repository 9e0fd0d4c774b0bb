"""Runs that operators ask for: once, on one droplet, with exit status and output."""

from collections.abc import Sequence
from typing import Any

import pytest

from droplet.converge.store import FIRST
from droplet.jobs.contract import FRESH_SECONDS
from tests.droplet.jobs.site import SECRET, Crash, Machine


def test_a_run_is_told_from_its_start_to_its_end(first: Machine) -> None:
    first.ask("run-1", "python", "-m", "reports", "--cost=$5")
    states: list[object] = []

    def work() -> None:
        said = first.buckets.said("run-1")
        states.append((said["state"], said["output"]))
        first.container("run-1").output += "line\n"
        if len(states) == 3:
            first.container("run-1").ended(0, "line\nline\ndone\n")

    first.while_asleep = work
    assert first.once() == 0
    assert states == [("running", ""), ("running", "line\n"), ("running", "line\nline\n")]
    said = first.buckets.said("run-1")
    assert (said["state"], said["result"], said["exit_status"]) == ("ended", "ok", 0)
    assert (said["output"], said["cut"], said["by"]) == ("line\nline\ndone\n", False, "ada@laptop")
    assert (said["droplet"], said["image"]) == ("101", "sha256:0a0a")
    # Its container is gone, and it is not begun again.
    assert first.containers == {}
    first.once(15)
    assert first.started == ["run-1"]


def test_it_gets_what_its_service_has_and_stands_behind_it(first: Machine) -> None:
    first.ask("run-1", "python", "-m", "reports", "--cost=$5")
    first.once()
    given = first.container("run-1").given
    assert given["service"] == "worker"
    # Compose reads `$` as the beginning of a variable.
    assert (given["entrypoint"], given["command"]) == (["python"], ["-m", "reports", "--cost=$$5"])
    assert given["oom_score_adj"] > 0
    assert given["healthcheck"] == {"disable": True}
    # What makes it safe is the service's own: nothing here takes any of it back.
    assert not {"user", "read_only", "cap_drop", "mem_limit", "env_file", "volumes"} & given.keys()


def test_a_command_that_fails_says_its_status_and_its_last_line_without_secrets(
    first: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    first.ask("run-1")
    first.once()
    first.container("run-1").ended(3, f"Traceback\nKeyError: {SECRET}\n\n")
    first.once(15)
    said = first.buckets.said("run-1")
    assert (said["result"], said["exit_status"], said["reason"]) == ("failed", 3, "KeyError: ***")
    assert said["output"] == "Traceback\nKeyError: ***\n\n"
    out = capsys.readouterr().out
    assert "run-1: ada@laptop asks for worker: python -m reports" in out
    assert "run-1: failed, exit status 3: KeyError: ***" in out
    assert out.count(SECRET) == 0


def test_memory_that_does_not_suffice_is_told(first: Machine) -> None:
    first.ask("run-1")
    first.once()
    first.container("run-1").ended(137)
    first.container("run-1").out_of_memory = True
    first.once(15)
    assert first.buckets.said("run-1")["reason"].startswith("it used more memory than its service may")


def test_a_request_is_ignored_after_ten_minutes(first: Machine) -> None:
    first.ask("old", age=FRESH_SECONDS + 1)
    first.ask("future", age=-FRESH_SECONDS - 1)
    first.once()
    assert first.started == []
    first.ask("in-time", age=FRESH_SECONDS - 1)
    first.once()
    assert first.started == ["in-time"]


@pytest.mark.parametrize(
    "members",
    [
        {"service": "../x"},
        {"service": 7},
        {"command": []},
        {"command": "ls"},
        {"command": ["a\0b"]},
        {"time": "yesterday"},
        {"timeout_seconds": "x"},
    ],
)
def test_what_is_no_request_is_ignored(first: Machine, members: dict[str, Any]) -> None:
    first.ask("run-1", **members)
    first.buckets.objects["group:requests/Bad_Name.json"] = first.buckets.objects["group:requests/run-1.json"]
    first.buckets.objects["group:requests/text.json"] = b"{"
    assert first.once() == 0
    assert first.started == []


def test_a_service_that_does_not_run_here_is_told(first: Machine) -> None:
    first.ask("run-1", service="tenant-api")
    first.once()
    assert first.buckets.said("run-1")["reason"] == "it did not start: no service tenant-api runs here"


def test_a_container_that_does_not_start_is_told(first: Machine) -> None:
    first.ask("run-1")
    first.failing = "docker compose"
    first.once()
    said = first.buckets.said("run-1")
    assert (said["state"], said["result"]) == ("ended", "failed")
    assert said["reason"] == "it did not start: docker compose failed"


def test_the_time_limit_ends_it(first: Machine) -> None:
    first.ask("run-1", timeout_seconds=60)
    first.once()
    first.container("run-1").output = "so far\n"
    first.once(30)
    assert first.container("run-1").status == "running"
    first.once(40)
    said = first.buckets.said("run-1")
    assert (said["result"], said["reason"]) == ("timeout", "ended after 1 minutes, its time limit")
    assert said["output"] == "so far\n"


def test_who_asked_may_cancel(first: Machine) -> None:
    first.ask("run-1")
    first.once()
    first.ask("run-1", cancelled=True)
    first.once(15)
    said = first.buckets.said("run-1")
    assert (said["result"], said["reason"]) == ("cancelled", "cancelled by ada@laptop")
    # Before it began.
    first.ask("run-2", cancelled=True)
    first.once(15)
    assert first.started == ["run-1"]


def test_one_at_a_time(first: Machine) -> None:
    first.ask("run-1", age=10)
    first.ask("run-2")
    first.once()
    assert first.started == ["run-1"]
    first.container("run-1").ended()
    first.once(15)
    assert first.started == ["run-1", "run-2"]


def test_the_first_droplet_that_speaks_runs_it(first: Machine, second: Machine) -> None:
    first.ask("run-1")
    assert second.once() == 0
    assert second.started == []
    first.once()
    assert first.started == ["run-1"]
    # A silent droplet, or one that has no release yet, is not waited for.
    second.now += 400
    second.ask("run-2")
    second.once()
    assert second.started == ["run-2"]
    first.now = second.now
    first.speak(release=None)
    second.container("run-2").ended()
    second.ask("run-3")
    second.once(15)
    assert second.started == ["run-2", "run-3"]


@pytest.mark.parametrize("conditional", [True, False])
def test_a_droplet_that_comes_back_leaves_a_run_to_the_one_that_has_it(
    first: Machine, second: Machine, conditional: bool
) -> None:
    first.buckets.conditional = conditional
    first.ask("run-1")
    first.speak(age=400)
    second.once()
    assert second.started == ["run-1"]
    first.once()
    assert first.started == []
    assert first.buckets.said("run-1")["droplet"] == "102"


def test_two_that_look_in_the_same_second_run_it_once(first: Machine, second: Machine) -> None:
    first.ask("run-1")
    rclone = first.buckets.rclone

    def both(args: Sequence[str]) -> str:
        if "lsf" in args:
            # The second claims it after the first has seen that nobody has.
            first.buckets.rclone = rclone  # type: ignore[method-assign]
            first.speak(age=400)
            second.once()
            return ""
        return rclone(args)

    first.buckets.rclone = both  # type: ignore[method-assign]
    first.once()
    assert (first.started, second.started) == ([], ["run-1"])


@pytest.mark.parametrize("moment", ["lsf", "copyto", "cat", "docker compose"])
def test_a_power_cut_on_the_way_begins_nothing_twice(first: Machine, moment: str) -> None:
    first.ask("run-1")
    first.crashing = moment
    with pytest.raises(Crash):
        first.once()
    first.crashing = None
    first.once(30)
    assert first.started == []
    said = first.buckets.said("run-1")
    assert (said["state"], said["result"]) == ("ended", "lost")
    assert "interrupted" in said["reason"]


def test_a_droplet_that_was_interrupted_before_its_claim_leaves_the_run_to_another(
    first: Machine, second: Machine
) -> None:
    first.ask("run-1")
    first.crashing = "lsf"
    with pytest.raises(Crash):
        first.once()
    first.crashing = None
    second.now += 400
    second.once()
    first.once(410)
    assert (first.started, second.started) == ([], ["run-1"])
    assert first.buckets.said("run-1")["state"] == "running"


def test_a_run_that_began_before_a_power_cut_goes_on(first: Machine) -> None:
    first.ask("run-1")
    looking = first.look()
    start = looking.runs.containers.start

    def start_and_crash(*args: object) -> None:
        start(*args)  # type: ignore[arg-type]  # passed on
        raise Crash

    object.__setattr__(looking.runs.containers, "start", start_and_crash)
    with pytest.raises(Crash):
        looking.once()
    first.container("run-1").ended(0, "done\n")
    first.once(30)
    assert first.buckets.said("run-1")["result"] == "ok"
    assert first.started == ["run-1"]


def test_while_spaces_are_silent_nothing_begins_and_no_end_is_lost(first: Machine) -> None:
    first.ask("run-1")
    first.once()
    first.container("run-1").ended(0, "done\n")
    first.buckets.silent = True
    first.now += 15
    looking = first.look()
    looking.once()
    assert first.container("run-1").status == "exited"
    first.buckets.silent = False
    first.once(15)
    assert first.buckets.said("run-1")["result"] == "ok"
    assert first.containers == {}


def test_a_claim_whose_answer_is_lost_begins_later(first: Machine) -> None:
    first.ask("run-1")
    first.failing = f"{' '.join(FIRST)} status:runs"
    first.once()
    assert first.started == []
    first.failing = None
    first.once(15)
    assert first.started == ["run-1"]


def test_a_claim_that_was_not_written_begins_later(first: Machine) -> None:
    """Nobody has it: it is not another droplet's."""
    first.ask("run-1")
    first.failing = "If-None-Match"
    first.once()
    assert first.started == []
    first.failing = None
    first.once(15)
    assert first.started == ["run-1"]


def test_a_droplet_that_shuts_down_begins_nothing(first: Machine) -> None:
    first.ask("run-1")
    first.paths.leaving.touch()
    first.once()
    assert first.started == []


def test_docker_that_does_not_answer_fails_the_unit(first: Machine) -> None:
    first.failing = "docker ps"
    assert first.once() == 1
