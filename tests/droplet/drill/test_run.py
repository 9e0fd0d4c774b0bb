"""A drill among churches that do what they can against it: each ends its own part alone, and a report is there."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from droplet.begun import WORDS, Begun
from droplet.drill import command, run, temporary
from droplet.drill.checks import Tried
from droplet.drill.deadline import Deadline, each
from droplet.drill.errors import LateError, StoppedError
from droplet.drill.fork import Database, Inside
from droplet.drill.keys import Identity
from droplet.drill.report import Report
from droplet.drill.request import Request, Wanted
from droplet.drill.run import Drill
from droplet.feeding import Feeding
from model.drill_time import LAST_MINUTES
from ops.drill import asking

SLOW, BROKEN, SOUND = "tenant_slow", "tenant_broken", "tenant_sound"
EARLIER = {SOUND: {"at": "2026-11-01T00:00:00Z", "way": "dump"}, "tenant_other": {"at": "x", "way": "dump"}}


class Fork:
    """One whose churches do something unexpected."""

    checksums, bypasses, settings = True, True, frozenset[str]()

    def databases(self) -> dict[str, Database]:
        return {name: Database(name, {"changes": 1}, {}, "UTF8", "C", "C") for name in (SLOW, BROKEN, SOUND)}

    def inside(self, name: str) -> Inside:
        if name == BROKEN:
            raise UnicodeDecodeError("utf-8", b"\xe9 Kofi", 0, 1, "of a church's row")
        return Inside(False, frozenset(), [], {})

    @contextmanager
    def login(self, database: Database, _: Inside, deadline: Deadline) -> Iterator[None]:
        ended = threading.Event()
        with deadline.ending(ended.set):
            if database.name == SLOW:
                # As a church's function: for ever, unless somebody ends it.
                assert ended.wait(60)
            deadline.check()
            yield


class Dumps:
    """None."""

    def find(self) -> None: ...

    def of(self, _: str) -> list[Any]:
        return []


def request() -> Request:
    names = (SLOW, BROKEN, SOUND)
    return Request(
        "run-12345678", "staging", "shared", time.time(), time.time(), time.time(), time.time(),
        [Wanted(name, None) for name in names], 30, 240, 30, 1, [],
    )  # fmt: skip


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setattr(temporary, "sweep", lambda _: 0)
    monkeypatch.setattr(Drill, "_with", lambda *arguments: arguments[-1].add("readable", []))
    return Report(request(), "control-1", started=time.time())


def drill(report: Report, state: Path, **changed: Any) -> Drill:
    begun = Begun(state / "begun.json", report.request.id)
    usual = {"earlier": EARLIER, "progress": lambda *_: None, "share": 0.2 / 3600}
    return Drill(
        request=report.request, secrets=None, fork=Fork(), dumps=Dumps(), report=report,  # type: ignore[arg-type]  # what it uses of them
        stopping=threading.Event(), begun=begun, **{**usual, **changed},
    )  # fmt: skip


def test_what_a_church_does_ends_its_own_part_alone(report: Report, tmp_path: Path) -> None:
    drill(report, tmp_path).run()
    found = {one.database: [(check.name, check.detail) for check in one.checks] for one in report.tried}
    assert found == {
        SLOW: [("in time", "it took too long")],
        # Its class alone: the text may quote rows.
        BROKEN: [("reached", "UnicodeDecodeError")],
        SOUND: [("readable", "")],
    }
    # They were looked at: the next drill does not begin with them for ever.
    assert {*report.known} == {SLOW, BROKEN, SOUND, "tenant_other"}
    assert b"Kofi" not in report.as_json()


def test_what_ends_the_drill_itself_leaves_what_was_looked_through(report: Report, tmp_path: Path) -> None:
    def progress(done: int, *_: object) -> None:
        if done == 1:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        drill(report, tmp_path, progress=progress).run()
    assert {*report.known} > {"tenant_other", SOUND}
    assert len(report.known) > len(EARLIER)


def test_a_church_that_ends_the_whole_program_is_not_the_first_again(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said when a program is killed: what is on the disk is all that the next start knows."""
    looked = tmp_path / "looked"

    def look(*arguments: Any) -> None:
        tried = arguments[-1]
        with looked.open("a") as file:
            file.write(f"{tried.database}\n")
        if tried.database == SLOW:
            os.kill(os.getpid(), signal.SIGKILL)
        tried.add("readable", [])

    monkeypatch.setattr(run, "AT_ONCE", 1)
    monkeypatch.setattr(Drill, "_with", look)
    monkeypatch.setattr(Fork, "login", lambda *_: nullcontext())
    # The one that has never been looked at would be the first, each time.
    earlier = {name: {"at": "2026-11-01T00:00:00Z", "way": "dump"} for name in (BROKEN, SOUND)}

    def again() -> int | None:
        program = multiprocessing.get_context("fork").Process(
            target=lambda: drill(report, tmp_path, earlier=earlier).run()
        )
        program.start()
        program.join(60)
        return program.exitcode

    assert again() == -signal.SIGKILL
    assert looked.read_text().split() == [SLOW]
    assert again() == -signal.SIGKILL
    assert looked.read_text().split() == [SLOW, SOUND, SLOW]
    drill(report, tmp_path, earlier=earlier).run()
    found = {one.database: [(check.name, check.detail) for check in one.checks] for one in report.tried}
    assert found == {
        SLOW: [("reached", WORDS)],
        BROKEN: [("reached", "UnicodeDecodeError")],
        SOUND: [("readable", "")],
    }
    # Another drill begins as if nothing had been.
    assert not Begun(tmp_path / "begun.json", "run-another1").is_given_up(SLOW)


def test_a_late_church_is_explained_by_that_and_what_was_found_before_stays() -> None:
    tried = Tried("tenant_1", "fork", 0, deadline=Deadline(time.monotonic() + 0.05))
    tried.add("whole", "the index i is not valid")
    with pytest.raises(LateError), tried.trying("sane"):
        time.sleep(0.06)
        raise OSError("its session was ended")
    with pytest.raises(LateError), tried.trying("restored"):
        raise AssertionError("nothing is begun any more")
    assert [check.name for check in tried.checks] == ["whole"]


def test_sessions_that_begin_after_the_end_are_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("droplet.drill.deadline.AGAIN_SECONDS", 0.01)
    twice = threading.Semaphore(0)
    with Deadline(time.monotonic()).ending(twice.release):
        assert all(twice.acquire(timeout=60) for _ in range(2))
    with each(1000, twice.release):
        assert not twice.acquire(timeout=0.05)


class Exchange:
    """The status bucket."""

    said: dict[str, Any] = {}  # noqa: RUF012  (emptied by each test)

    def __init__(self, *_: object) -> None:
        self.said.clear()

    def has_ended(self) -> bool:
        return False

    def say(self, **members: Any) -> None:
        self.said.update(members)

    def receive(self, *_: object) -> None: ...


@pytest.mark.parametrize("at", ["_try", "_store_put"])
def test_what_nobody_thought_of_ends_the_drill_once_with_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at: str
) -> None:
    stored: dict[str, bytes] = {}

    class Store:
        def __init__(self, *_: object) -> None: ...

        def names(self, *_: object) -> list[str]:
            return ["20261101T000000Z.json"]

        def read(self, _: str) -> str:
            return json.dumps({"known": EARLIER})

        def put(self, file: Path, key: str) -> None:
            if at == "_store_put":
                raise RuntimeError("Kofi")
            stored[key.rpartition(".")[2]] = file.read_bytes()

    def fails(*_: object) -> None:
        raise UnicodeDecodeError("utf-8", b"Kofi", 0, 1, "Kofi")

    monkeypatch.setattr(command, "Exchange", Exchange)
    monkeypatch.setattr(command, "Store", Store)
    monkeypatch.setattr(command, "read_wanted", lambda _: None)
    monkeypatch.setattr(Identity, "new", lambda _: ("own", "age1"))
    monkeypatch.setattr(command._Run, "_try", fails)
    run = command._Run(tmp_path, tmp_path, tmp_path, tmp_path, None, "control-1")
    assert run._drill(request()) == 1
    assert (Exchange.said["state"], Exchange.said["passed"]) == ("ended", False)
    assert "the drill ended with UnicodeDecodeError" in Exchange.said["problems"]
    # The timer does not begin it again.
    assert run._is_done(request())
    if at == "_try":
        report = json.loads(stored["json"])
        assert (report["problems"], report["known"]) == (["the drill ended with UnicodeDecodeError"], EARLIER)
    else:
        assert "the report was not stored: RuntimeError" in Exchange.said["problems"]
    said = capsys.readouterr()
    assert (said.out + said.err).count("Kofi") == 0


def test_a_drill_that_is_told_to_end_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(*_: object) -> None:
        raise StoppedError("the run is to end")

    monkeypatch.setattr(command, "Exchange", Exchange)
    monkeypatch.setattr(command, "read_wanted", lambda _: None)
    monkeypatch.setattr(command, "_earlier", lambda _: {})
    monkeypatch.setattr(Identity, "new", lambda _: ("own", "age1"))
    monkeypatch.setattr(command._Run, "_try", stops)
    run = command._Run(tmp_path, tmp_path, tmp_path, tmp_path, None, "control-1")
    assert run._drill(request()) == 1
    assert Exchange.said["state"] == "interrupted"
    assert not run._is_done(request())


def test_who_decrypts_is_not_left_waiting_when_the_program_takes_no_more() -> None:
    (source, writes), (reads, into) = os.pipe(), os.pipe()
    os.close(reads)
    written = threading.Thread(
        target=lambda: [os.write(writes, bytes(2**16)) for _ in range(40)], daemon=True
    )
    written.start()
    with os.fdopen(source, "rb") as stream, os.fdopen(into, "wb", closefd=False) as program:
        feeding = Feeding(stream, program, drains=True)
        written.join(timeout=60)
        assert not written.is_alive()
        os.close(writes)
        assert feeding.result()[0] == 40 * 2**16
    os.close(into)


def test_who_asks_waits_until_the_last_database_has_ended() -> None:
    assert 60 * LAST_MINUTES >= run.LONGEST_SECONDS + asking.BEGIN_SECONDS


def test_a_run_waits_for_less_time_than_who_asks_next() -> None:
    assert command.SENT_SECONDS < asking.BEGIN_SECONDS
