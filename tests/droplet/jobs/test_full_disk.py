"""A disk that is full: what runs is looked after and told once, and nothing new begins."""

import errno
from collections.abc import Callable

import pytest

from droplet.jobs import disk
from droplet.jobs.disk import Disk
from tests.droplet.jobs.site import EVERY_MINUTE, Machine


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what fills the disk."""

    def write(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda: monkeypatch.setattr(disk, "write", write)


def told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is told of runs that have ended."""
    seen: list[str] = []
    put = machine.buckets.rclone

    def rclone(args: list[str]) -> str:
        answer = put(args)
        if "copyto" in args and "status:runs/" in args[-1]:
            run_id = args[-1].removeprefix("status:runs/").removesuffix(".json")
            if machine.buckets.said(run_id)["state"] == "ended":
                seen.append(run_id)
        return answer

    monkeypatch.setattr(machine.buckets, "rclone", rclone)
    return seen


def test_what_ends_is_told_once_and_the_others_are_looked_after(
    first: Machine, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first.schedule(report={"schedule": EVERY_MINUTE})
    first.once()
    first.ask("run-1")
    first.once(60)
    scheduled = next(one for one in first.started if one != "run-1")
    assert len(first.containers) == 2
    first.container(scheduled).ended(0, "done\n")
    first.container("run-1").ended(1, "wrong\n")
    seen = told(first, monkeypatch)
    full()
    for _ in range(3):
        assert first.once(5) == 0
    assert sorted(seen) == sorted(["run-1", scheduled])
    assert first.containers == {}
    assert (first.buckets.said("run-1")["result"], first.buckets.record("report")["state"]) == (
        "failed",
        "ok",
    )
    # There is room again, and the request still counts.
    monkeypatch.undo()
    first.schedule()
    first.once(5)
    assert first.started.count("run-1") == first.started.count(scheduled) == 1
    assert first.buckets.said("run-1")["result"] == "failed"


def test_nothing_begins(first: Machine, full: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    full()
    first.ask("run-1")
    assert first.once() == 0
    assert first.started == []
    assert "nothing begins: run-1 cannot be written to the disk" in capsys.readouterr().out


def test_the_time_limit_holds(first: Machine, full: Callable[[], None]) -> None:
    first.ask("run-1", timeout_seconds=60)
    first.once()
    full()
    first.once(100)
    assert first.buckets.said("run-1")["result"] == "timeout"
    assert first.containers == {}


def test_where_nothing_can_be_removed_either_the_others_are_looked_after(
    first: Machine, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that has become read-only."""
    first.schedule(report={"schedule": EVERY_MINUTE})
    first.once()
    first.ask("run-1")
    first.once(60)
    for container in first.containers.values():
        container.ended(0, "done\n")

    def forget(_self: Disk, run_id: str) -> None:
        raise OSError(errno.EROFS, f"Read-only file system: {run_id}")

    full()
    monkeypatch.setattr(Disk, "forget", forget)
    assert first.once(5) == 0
    assert first.buckets.said("run-1")["result"] == first.buckets.record("report")["state"] == "ok"
