"""Logs, from a droplet's journal to the store: systemd's programs of Debian 13, through both nginx."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from droplet.logs.flush import flush
from droplet.logs.keep import DAY_SECONDS, Keep, made_at
from droplet.logs.position import sent_until
from droplet.telemetry.command import token
from lab.debian import MissingError
from lab.journal_programs import unpacked
from lab.processes import bound
from model.loader import load_environments
from model.plan import plan_environment
from ops import logs as asked
from tests.support import ENVIRONMENTS
from tests.telemetry.conftest import SECRETS, Way, until

BOOT = 32 * "b"


@pytest.fixture(scope="session")
def programs() -> Path:
    try:
        return unpacked()
    except MissingError as why:
        pytest.skip(str(why))


@dataclass
class Logs:
    """A droplet's journal, and what the observability group keeps."""

    programs: Path
    way: Way
    folder: Path
    written: int = 0
    running: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.way.sender.folders.sent

    def write(self, *lines: str, at: float | None = None, **fields: str) -> None:
        """Write lines into the droplet's journal, as journald does."""
        began = at or time.time()
        text = ""
        for line in lines:
            self.written += 1
            known = {
                "__REALTIME_TIMESTAMP": f"{(began * 1e6 + self.written):.0f}",
                "__MONOTONIC_TIMESTAMP": str(self.written),
                "_BOOT_ID": BOOT,
                "_HOSTNAME": self.way.sender.name,
                "MESSAGE": line,
                **fields,
            }
            text += "".join(f"{name}={value}\n" for name, value in known.items()) + "\n"
        export = self.folder / "export"
        export.write_text(text)
        journal = self.folder / "journal"
        journal.mkdir(exist_ok=True)
        output = ["--split-mode=none", f"--output={journal / 'system.journal'}", str(export)]
        subprocess.run([self.programs / "journal-remote", *output], check=True, capture_output=True)

    def keep(self, group: str) -> None:
        """As presence360-journal-<group>.service."""
        place = self.place(group)
        place.mkdir(parents=True, exist_ok=True)
        port = self.way.receiver.journals[group]
        options = [f"--listen-http=127.0.0.1:{port}", "--split-mode=host", f"--output={place}"]
        with (self.folder / f"{group}.log").open("ab") as log:
            command = [str(self.programs / "journal-remote"), *options]
            self.running[group] = subprocess.Popen(bound(command), stderr=log)
        until("it listens", lambda: self._listens(port))

    def _listens(self, port: int) -> bool:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        with refused.value as answer:
            return answer.code > 0

    def stop(self, group: str) -> None:
        process = self.running.pop(group)
        process.terminate()
        process.wait(10)

    def send(self) -> "subprocess.CompletedProcess[str]":
        """As presence360-logs.service, up to the journal's end."""
        options = [f"--url=http://127.0.0.1:{self.way.sender.upload_port}", f"--save-state={self.state}"]
        options += [f"--directory={self.folder / 'journal'}", "--follow=no"]
        command = [str(self.programs / "journal-upload"), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def place(self, group: str) -> Path:
        return self.folder / "kept" / group

    def kept(self, group: str, *options: str) -> list[str]:
        """What the store has, by journalctl; empty where nothing has come yet."""
        command = [
            str(self.programs / "journalctl"),
            f"--directory={self.place(group)}",
            "--output=json",
            *options,
        ]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        return [json.loads(line)["MESSAGE"] for line in shown.splitlines()]

    def run(self, args: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        """For the droplet's own programs."""
        del env
        if args[0] == "systemctl":
            verb, unit = args[1:]
            group = unit.removeprefix("presence360-journal-").removesuffix(".service")
            (self.stop if verb == "stop" else self.keep)(group)
            return ""
        assert args[0] == "journalctl"
        command = [str(self.programs / "journalctl"), *args[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
        return done.stdout


@pytest.fixture
def logs(programs: Path, way: Way, tmp_path: Path) -> Iterator[Logs]:
    assert way.receiver.once()
    way.receiver.say()
    assert way.sender.once()
    found = Logs(programs, way, tmp_path)
    for group in SECRETS:
        found.keep(group)
    yield found
    for group in list(found.running):
        found.stop(group)


def test_lines_arrive_in_the_folder_of_the_group_and_in_a_file_of_the_droplet(logs: Logs) -> None:
    logs.write("one", "two", _SYSTEMD_UNIT="docker.service", CONTAINER_TAG="tenant-api")
    assert logs.send().returncode == 0
    assert logs.kept("worker", "CONTAINER_TAG=tenant-api") == ["one", "two"]
    # A client that asks at 127.0.0.2 has this address; on droplets each has its own (tests/droplets/test_logs.py).
    assert [path.name for path in logs.place("worker").iterdir()] == ["remote-127.0.0.1.journal"]
    assert list(logs.place("app").iterdir()) == []
    # How far it has come is a metric, for the alert LogsStopped.
    assert abs(sent_until(logs.state) - time.time()) < 60
    assert logs.way.sender.once()
    text = (logs.way.sender.folders.run / "telemetry.prom").read_text()
    assert text.count(f"presence360_logs_sent_timestamp_seconds {sent_until(logs.state):.0f}\n") == 1


def test_what_is_written_while_the_observability_group_is_away_arrives_later(logs: Logs) -> None:
    logs.write("before")
    assert logs.send().returncode == 0
    logs.stop("worker")
    logs.write(*(f"meanwhile {number}" for number in range(500)))
    assert logs.send().returncode != 0
    logs.way.receiver.stop()
    assert logs.send().returncode != 0
    logs.keep("worker")
    logs.way.receiver.start()
    logs.write("after")
    assert logs.send().returncode == 0
    # When it starts, journal-upload sends the line again that it had come to.
    meanwhile = [f"meanwhile {number}" for number in range(500)]
    assert logs.kept("worker") == ["before", "before", *meanwhile, "after"]


def test_without_a_receiver_nothing_is_lost(logs: Logs) -> None:
    """As on a droplet that boots before the observability group's."""
    for path in logs.way.sender.status_bucket.iterdir():
        path.unlink()
    assert logs.way.sender.once()
    logs.write("early")
    refused = logs.send()
    assert refused.returncode != 0
    assert refused.stderr.count("failed with code 503") == 1
    logs.way.receiver.say()
    assert logs.way.sender.once()
    assert logs.send().returncode == 0
    assert logs.kept("worker") == ["early"]


@pytest.mark.parametrize(("secret", "status"), [("", 401), ("a guess", 401), (SECRETS["worker"], 202)])
def test_a_key_opens_its_own_groups_folder_and_no_other(logs: Logs, secret: str, status: int) -> None:
    """Whatever the lines say of themselves: somebody with the worker's key says that they are the app's."""
    line = f"__REALTIME_TIMESTAMP=1\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID={BOOT}\n_HOSTNAME=staging-app-1\nMESSAGE=x\n\n"
    url = f"https://127.0.0.2:{logs.way.receiver.receiver_port}/upload"
    command = ["curl", "--silent", "--insecure", "--data-binary", line, url, "--output", "/dev/null"]
    command += ["--header", "Content-Type: application/vnd.fdo.journal", "--write-out", "%{http_code}"]
    command += ["--header", f"Authorization: Bearer {token(secret) if secret else ''}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == str(status)
    assert list(logs.place("app").iterdir()) == []
    assert logs.kept("worker") == (["x"] if status == 202 else [])


def test_a_droplet_that_ends_waits_until_its_last_lines_are_sent(
    logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.write("the last one")
    journal = f"--directory={logs.folder / 'journal'}"

    def run(args: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        return logs.run([args[0], journal, *args[1:]], env, timeout)

    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            assert logs.send().returncode == 0

    assert flush(run, logs.state, sleep=sleep)
    assert len(naps) == 3
    assert logs.kept("worker") == ["the last one"]
    # While the observability group is away, it does not wait for ever.
    logs.stop("worker")
    logs.write("lost, if the droplet is destroyed now")
    ticks = iter(range(1000))
    assert not flush(run, logs.state, clock=lambda: float(next(ticks)), sleep=lambda _: None)
    assert capsys.readouterr().out.count("the last lines were not sent within 20 s") == 1


@pytest.fixture
def units(tmp_path: Path) -> Path:
    folder = tmp_path / "units"
    folder.mkdir()
    for group in SECRETS:
        (folder / f"presence360-journal-{group}.service").touch()
    return folder


def test_lines_are_kept_for_so_many_days(logs: Logs, tmp_path: Path, units: Path) -> None:
    now = time.time()
    for day in (0, 1, 2, 3, 4):
        at = now - (4 - day) * DAY_SECONDS
        logs.write(f"day {day}", at=at)
        assert logs.send().returncode == 0
        # The times of files are those of today, and systemd takes the older of both.
        later = at + DAY_SECONDS + 60
        keep = Keep(logs.run, tmp_path / "kept", 100, clock=lambda later=later: later, units=units)  # type: ignore[misc]
        assert keep.once(tmp_path / "logs.prom")
    assert list(dict.fromkeys(logs.kept("worker"))) == [f"day {day}" for day in range(5)]
    assert len(list(logs.place("worker").glob("remote-127.0.0.1@*.journal"))) == 5
    assert Keep(logs.run, tmp_path / "kept", 1, units=units).once(tmp_path / "logs.prom")
    assert list(dict.fromkeys(logs.kept("worker"))) == ["day 3", "day 4"]
    # journal-remote runs, and writes a new file.
    logs.write("today")
    assert logs.send().returncode == 0
    assert logs.kept("worker")[-1] == "today"
    text = (tmp_path / "logs.prom").read_text()
    assert text.count("presence360_logs_kept_success 1\n") == 1
    assert text.count('presence360_logs_kept_bytes{sender="worker"} 0\n') == 0


def test_lines_of_a_group_that_is_gone_are_kept_as_long(logs: Logs, tmp_path: Path, units: Path) -> None:
    logs.write("the last of it", at=time.time() - 5 * DAY_SECONDS)
    assert logs.send().returncode == 0
    logs.stop("worker")
    (units / "presence360-journal-worker.service").unlink()
    assert Keep(logs.run, tmp_path / "kept", 10, units=units).once(tmp_path / "logs.prom")
    assert logs.kept("worker") == ["the last of it"]
    assert Keep(logs.run, tmp_path / "kept", 2, units=units).once(tmp_path / "logs.prom")
    assert list(logs.place("worker").iterdir()) == []
    assert "worker" not in logs.running


def made(path: Path, days: float) -> None:
    """As if systemd had made it so many days ago."""
    when = int((time.time() - days * DAY_SECONDS) * 1e6)
    os.setxattr(path, "user.crtime_usec", when.to_bytes(8, "little"))


def test_a_line_of_the_future_keeps_nothing_for_ever(logs: Logs, tmp_path: Path, units: Path) -> None:
    """As a droplet whose clock is wrong sends it, or somebody who has its group's key."""
    logs.write("2100", at=4102444800)
    assert logs.send().returncode == 0
    keep = Keep(logs.run, tmp_path / "kept", 1, units=units)
    (file,) = logs.place("worker").iterdir()
    assert abs((made_at(file) or 0) - time.time()) < 60
    # Not each hour: files would be many.
    assert keep.once(tmp_path / "logs.prom")
    assert list(logs.place("worker").iterdir()) == [file]
    made(file, 1.1)
    assert keep.once(tmp_path / "logs.prom")
    (aside,) = logs.place("worker").glob("*@*.journal")
    assert logs.kept("worker") == ["2100"]
    made(aside, 2.1)
    assert keep.once(tmp_path / "logs.prom")
    assert list(logs.place("worker").iterdir()) == []


def test_a_file_without_a_mark_is_set_aside_for_its_first_line(
    logs: Logs, tmp_path: Path, units: Path
) -> None:
    logs.write("2100", at=4102444800)
    assert logs.send().returncode == 0
    (file,) = logs.place("worker").iterdir()
    os.removexattr(file, "user.crtime_usec")
    assert Keep(logs.run, tmp_path / "kept", 1, units=units).once(tmp_path / "logs.prom")
    assert len(list(logs.place("worker").glob("*@*.journal"))) == 1


def test_a_file_that_stays_too_long_is_no_success(
    logs: Logs, tmp_path: Path, units: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.write("today")
    assert logs.send().returncode == 0
    keep = Keep(lambda *_: "", tmp_path / "kept", 1, units=units)
    (file,) = logs.place("worker").iterdir()
    made(file, 2.9)
    assert keep.once(tmp_path / "logs.prom")
    (aside,) = logs.place("worker").iterdir()
    made(aside, 3.1)
    assert not keep.once(tmp_path / "logs.prom")
    said = f"<3>worker: {aside.name} is 3 days old and was not removed (`days` is 1)"
    assert capsys.readouterr().out.count(said) == 1
    assert (tmp_path / "logs.prom").read_text().count("presence360_logs_kept_success 0\n") == 1


def test_a_file_that_is_no_journal_is_left_alone(logs: Logs, tmp_path: Path) -> None:
    shutil.copy(__file__, logs.place("app") / "remote-127.0.0.9.journal")
    assert Keep(logs.run, tmp_path / "kept", 1).once(tmp_path / "logs.prom")
    assert [path.name for path in logs.place("app").iterdir()] == ["remote-127.0.0.9.journal"]


def test_what_operators_ask_for_is_found(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of `presence360 logs`, on the droplet that keeps the lines."""
    monkeypatch.setattr(asked, "FOLDER", str(logs.folder / "kept"))
    monkeypatch.setenv("PATH", f"{logs.programs}:{os.environ['PATH']}")
    loaded = next(one for one in load_environments(ENVIRONMENTS) if one.file.environment == "staging")
    plan = plan_environment(loaded)
    church, other = loaded.tenants[0], loaded.tenants[1]
    ours, theirs = 32 * "a", 32 * "b"

    def line(tenant: object, request: str, message: str) -> str:
        return json.dumps({"message": message, "request_id": request, "tenant": str(tenant)})

    logs.write("two days ago", at=time.time() - 2 * DAY_SECONDS, CONTAINER_TAG="worker")
    logs.write(line(church.id, ours, "sent"), line(other.id, theirs, "sent"), CONTAINER_TAG="worker")
    logs.write(line(church.slug, ours, "GET").replace(": ", ":"), SYSLOG_IDENTIFIER="nginx")
    logs.write(line(church.id, theirs, "Traceback\n  timed out"), CONTAINER_TAG="worker")
    assert logs.send().returncode == 0

    def found(**query: Any) -> list[str]:
        said: list[str] = []
        command = asked.remote_command(asked.Query(**query), plan, loaded.tenants)
        asked.read(command, ssh=["sh", "-c"], out=said.append, as_json=True)
        messages = [json.loads(one)["MESSAGE"] for one in said]
        return [json.loads(one)["message"].split()[0] if one.startswith("{") else one for one in messages]

    assert found(what="worker") == ["sent", "sent", "Traceback"]
    assert found(what="worker", since="3d") == ["two days ago", "sent", "sent", "Traceback"]
    assert found(church=church.slug) == ["sent", "GET", "Traceback"]
    assert found(request=ours) == ["sent", "GET"]
    assert found(church=str(church.id), grep="timed out") == ["Traceback"]
    assert found(what="nginx") == ["GET"]
    assert found(request="0" * 32) == []
    assert found(droplet="staging-app-9-000000") == []
    # What comes while they are followed is passed on.
    command = asked.remote_command(asked.Query(follow=True, grep="later"), plan, loaded.tenants)
    with subprocess.Popen(bound(command), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout
        logs.write("much later")
        assert logs.send().returncode == 0
        assert json.loads(following.stdout.readline())["MESSAGE"] == "much later"
        following.terminate()
