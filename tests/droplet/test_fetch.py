"""The fetcher: what it installs, what it refuses, whom it asks, and what it starts."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from droplet import fetch
from droplet.converge import turns

GOOD = "import sys\nsys.exit(0)\n"
BROKEN = "raise SystemError('it does not work')\n"


def version(answer: str = "0", *, self_test: str = "0", mark: str = "") -> dict[str, str]:
    """A version of the programs; ``answer`` and ``self_test`` are the exit statuses as Python expressions."""
    program = f"import sys, time\nsys.exit({self_test} if sys.argv[1] == 'self-test' else {answer})\n"
    return {"__main__.py": program, "droplet/mark.txt": mark}


@dataclass
class Droplet:
    """A droplet and its bucket; rclone is a script that copies the one to the other."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def programs(self) -> Path:
        return self.state / "programs"

    @property
    def current(self) -> str | None:
        link = self.programs / "current"
        return link.readlink().name if link.is_symlink() else None

    @property
    def versions(self) -> set[str]:
        return {path.name for path in self.programs.iterdir() if path.is_dir() and not path.is_symlink()}

    def put(self, files: Mapping[str, str]) -> None:
        self.put_text(json.dumps({"files": files}))

    def put_text(self, text: str) -> None:
        (self.folder / "bucket/programs.json").write_text(text)

    def clear(self) -> None:
        (self.folder / "bucket/programs.json").unlink()

    def cut_off(self) -> None:
        (self.folder / "rclone").write_text("#!/bin/sh\nexit 1\n")

    def once(self) -> list[str] | None:
        command = fetch.once()
        return None if command is None else command[len(fetch.PYTHON) :]

    @property
    def metrics(self) -> list[str]:
        return fetch.METRICS.read_text().splitlines()

    @property
    def success(self) -> bool:
        return "presence360_fetch_success 1" in self.metrics


@pytest.fixture
def droplet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Droplet:
    found = Droplet(tmp_path)
    for name in ("bucket", "state", "run"):
        (tmp_path / name).mkdir()
    rclone = tmp_path / "rclone"
    # The folder is the last argument.
    rclone.write_text(f'#!/bin/sh\nfor to; do :; done\nrm -rf "$to"/*\ncp -R {tmp_path}/bucket/. "$to"/\n')
    rclone.chmod(0o755)
    monkeypatch.setattr(fetch, "RCLONE", [str(rclone)])
    monkeypatch.setattr(fetch, "PYTHON", [sys.executable, "-I", "-B"])
    monkeypatch.setattr(fetch, "STATE", found.state)
    monkeypatch.setattr(fetch, "METRICS", tmp_path / "run/fetch.prom")
    monkeypatch.setattr(fetch, "ANSWER_SECONDS", 2)
    return found


@pytest.fixture
def running(droplet: Droplet) -> Droplet:
    """A droplet that runs a version which says "wait" to every other."""
    droplet.put(version(str(fetch.WAIT), mark="first"))
    assert droplet.once()
    return droplet


def test_the_two_numbers_for_wait_are_one() -> None:
    assert fetch.WAIT == turns.WAIT


class TestFirstBoot:
    def test_installs_and_asks_nobody(self, droplet: Droplet) -> None:
        droplet.put(version("1 / 0", mark="one"))
        assert droplet.once() == [f"{droplet.state}/programs/current", "converge"]
        assert droplet.current
        assert (droplet.programs / "current/droplet/mark.txt").read_text() == "one"
        assert f'presence360_programs_info{{digest="{droplet.current}"}} 1' in droplet.metrics
        assert droplet.success
        # Terraform's secrets are among the other objects.
        assert (droplet.state / "incoming").stat().st_mode & 0o777 == 0o700

    def test_with_an_empty_bucket_says_so_and_starts_nothing(
        self, droplet: Droplet, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert droplet.once() is None
        assert not droplet.success
        assert "<3>FileNotFoundError" in capsys.readouterr().out
        droplet.put(version())
        assert droplet.once()
        assert droplet.success

    def test_without_a_bucket_starts_nothing(self, droplet: Droplet) -> None:
        droplet.cut_off()
        assert droplet.once() is None
        assert not droplet.success

    def test_with_a_broken_version_starts_nothing(self, droplet: Droplet) -> None:
        droplet.put({"__main__.py": BROKEN})
        assert droplet.once() is None
        assert droplet.current is None


class TestUpdate:
    def test_keeps_the_version_before_and_no_other(self, droplet: Droplet) -> None:
        seen = []
        for mark in "abc":
            droplet.put(version(mark=mark))
            droplet.once()
            seen.append(droplet.current)
        assert droplet.versions == set(seen[1:])

    def test_to_a_version_that_is_still_there_tests_it_again(self, droplet: Droplet) -> None:
        for mark in ("a", "b", "a"):
            droplet.put(version(mark=mark))
            droplet.once()
        assert (droplet.programs / "current/droplet/mark.txt").read_text() == "a"

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            ({"__main__.py": BROKEN}, "SystemError: it does not work"),
            (version(self_test="3"), "self-test"),
            ({"droplet/__init__.py": ""}, "self-test"),
            ({"../outside.py": ""}, "'../outside.py' is not a path below the version's folder"),
            ({"/etc/passwd": ""}, "'/etc/passwd' is not a path below the version's folder"),
            *(
                ({**version(), name: ""}, f"{name!r} is not a path below the version's folder")
                for name in ("", ".", "droplet/", "droplet/.", "./x.py", "droplet//x.py", "x/../y.py", "..")
            ),
        ],
    )
    def test_to_a_version_that_does_not_work_is_refused(
        self, running: Droplet, capsys: pytest.CaptureFixture[str], files: Mapping[str, str], reason: str
    ) -> None:
        before = running.current
        running.put(files)
        # What runs goes on with what was fetched.
        assert running.once() == [f"{running.state}/programs/current", "converge"]
        assert running.current == before
        assert not running.success
        assert reason in capsys.readouterr().out
        assert not (running.programs / "outside.py").exists()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"files": []}', '{"files": {"a": 1}}'])
    def test_to_what_is_not_a_version_is_refused(self, running: Droplet, text: str) -> None:
        before = running.current
        running.put_text(text)
        assert running.once()
        assert running.current == before
        assert not running.success

    def test_that_was_cut_short_is_made_again(
        self, running: Droplet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running.put(version(mark="second"))

        def full(_: Path) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(fetch, "sync", full)
            assert running.once()
        assert not running.success
        before = running.current
        monkeypatch.setattr(fetch, "has_to_wait", lambda *_: False)
        running.once()
        assert running.current != before
        assert running.success

    def test_stops_while_the_bucket_does_not_answer(self, running: Droplet) -> None:
        running.put(version(mark="second"))
        before = running.current
        running.cut_off()
        assert running.once() == [f"{running.state}/programs/current", "converge", "--heal"]
        assert running.current == before
        assert not running.success


def test_metrics_that_cannot_be_written_keep_converge_from_nothing(
    running: Droplet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A file stands where the folder would be.
    monkeypatch.setattr(fetch, "METRICS", running.folder / "rclone/fetch.prom")
    assert running.once() == [f"{running.state}/programs/current", "converge"]
    assert "<3>metrics: [Errno " in capsys.readouterr().out


class TestQuestion:
    def test_wait_means_wait(self, running: Droplet) -> None:
        before = running.current
        running.put(version(mark="second"))
        running.once()
        assert running.current == before
        # It is no failure.
        assert running.success

    @pytest.mark.parametrize(
        "answer", ["0", "1", "64", "1 / 0", "__import__('os').abort()", "time.sleep(60)"], ids=str
    )
    def test_anything_else_means_yes(self, droplet: Droplet, answer: str) -> None:
        droplet.put(version(answer))
        droplet.once()
        before = droplet.current
        droplet.put(version(mark="second"))
        start = time.monotonic()
        droplet.once()
        assert droplet.current != before
        # Not for as long as it would sleep.
        assert time.monotonic() - start < 50

    @pytest.mark.parametrize(
        ("derived", "limit"), [('{"turns": 3, "slot_seconds": 100}', 400), ("{}", 720), ("", 720)]
    )
    def test_is_not_asked_after_a_round_and_a_slot(
        self, running: Droplet, derived: str, limit: float
    ) -> None:
        (running.state / "current").mkdir()
        (running.state / "current/derived.json").write_text(derived)
        before = running.current
        running.put(version(mark="second"))
        running.once()
        waiting = running.programs / "waiting"
        self._since(waiting, limit - 10)
        running.once()
        assert running.current == before
        self._since(waiting, limit + 10)
        running.once()
        assert running.current != before

    def test_begins_again_for_another_version(self, running: Droplet) -> None:
        before = running.current
        running.put(version(mark="second"))
        running.once()
        self._since(running.programs / "waiting", 100_000)
        running.put(version(mark="third"))
        running.once()
        assert running.current == before

    def test_begins_again_when_the_bucket_went_back(self, running: Droplet) -> None:
        first, before = (running.folder / "bucket/programs.json").read_text(), running.current
        running.put(version(mark="second"))
        running.once()
        self._since(running.programs / "waiting", 100_000)
        running.put_text(first)
        running.once()
        running.put(version(mark="second"))
        running.once()
        assert running.current == before

    @staticmethod
    def _since(waiting: Path, seconds: float) -> None:
        os.utime(waiting, (time.time() - seconds, time.time() - seconds))


def test_the_program_becomes_converge(droplet: Droplet) -> None:
    """As systemd starts it; its folders are set before."""
    files = version()
    files["__main__.py"] = "import sys\nprint('ran', sys.argv[1:])\n"
    droplet.put(files)
    settings = "; ".join(
        f"fetch.{name} = {value}"
        for name, value in {
            "RCLONE": [str(droplet.folder / "rclone")],
            "PYTHON": fetch.PYTHON,
            "STATE": f"fetch.Path({str(droplet.state)!r})",
            "METRICS": f"fetch.Path({str(fetch.METRICS)!r})",
        }.items()
    )
    code = (
        f"from droplet import fetch; {settings}; command = fetch.once(); fetch.os.execv(command[0], command)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("ran ['converge']\n"), done.stderr
