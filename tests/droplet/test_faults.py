"""Faults in converging that once ended quietly: each ends in a status, a metric, or is made good."""

import fcntl
import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

from droplet.converge import attempts, paths, run, units, upkeep
from model.status import Phase, Result
from tests.droplet.machine import OTHER_TURN, Host


class TestContainers:
    def test_an_edit_of_nginx_alone_neither_drains_nor_starts_anything(self, healthy: Host) -> None:
        healthy.bucket["nginx.conf"] += " suspended"
        healthy.now = OTHER_TURN
        assert healthy.once() == 0
        assert healthy.slept == []
        assert not healthy.did(" up ")
        assert healthy.loaded

    def test_a_setting_is_seen_by_its_content(self, healthy: Host) -> None:
        healthy.bucket["settings.env"] = "COLOUR=green\n"
        assert healthy.once() == 0
        assert healthy.did(" up ")
        assert healthy.slept == [(20, True)]


class TestNginx:
    def test_a_reload_that_a_killed_run_missed_is_made_up_for(self, healthy: Host) -> None:
        before = healthy.loaded
        healthy.bucket["nginx.conf"] += " other"
        healthy.deaf = True
        healthy.once()
        healthy.deaf = False
        # As a run that was killed between the link and the reload.
        healthy.loaded = before
        paths.link(healthy.paths.current, healthy.paths.releases / healthy.digest)
        healthy.paths.failed.unlink()
        assert healthy.once() == 0
        assert healthy.did("reload-or-restart")
        assert healthy.loaded != before
        assert healthy.success

    def test_a_reload_that_nginx_ignores_is_a_failure_and_is_undone(self, healthy: Host) -> None:
        before = healthy.current
        healthy.bucket["nginx.conf"] += " other"
        healthy.deaf = True
        assert healthy.once() == 1
        assert not healthy.success
        assert (healthy.status.phase, healthy.current) == (Phase.FAILED, before)
        assert "nginx does not take release" in healthy.status.reason

    def test_is_left_alone_when_it_runs_what_it_should(self, healthy: Host) -> None:
        healthy.once()
        assert not healthy.did("reload")

    def test_drains_before_nginx_restarts_but_not_after_a_crash(self, healthy: Host) -> None:
        assert healthy.once("--drain-nginx") == 0
        assert healthy.slept == [(20, True)]
        assert healthy.paths.restarting.exists()
        assert not healthy.paths.leaving.exists()
        healthy.slept.clear()
        healthy.paths.restarting.unlink()
        healthy.loaded = None
        assert healthy.once("--drain-nginx") == 0
        assert healthy.slept == []

    def test_drains_once_where_the_droplet_shuts_down(self, healthy: Host) -> None:
        healthy.once("--drain")
        healthy.slept.clear()
        healthy.once("--drain-nginx")
        assert healthy.slept == []


class TestErrors:
    @pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"digest": 1}'])
    def test_a_record_that_a_power_cut_emptied_is_made_again(self, healthy: Host, content: str) -> None:
        before = healthy.current
        (healthy.current / "derived.json").write_text(content)
        assert healthy.once() == 0
        assert (healthy.success, healthy.current) == (True, before)
        assert json.loads((healthy.current / "derived.json").read_text())["digest"] == healthy.digest
        assert not healthy.did(" up ")
        assert healthy.slept == []

    def test_a_damaged_release_gives_way_to_the_next_one_in_turn_and_after_a_drain(
        self, healthy: Host
    ) -> None:
        (healthy.current / "derived.json").write_text("")
        (healthy.current / "compose.yaml").write_text("")
        healthy.release("2")
        healthy.now = OTHER_TURN
        healthy.once()
        assert not healthy.did(" up ")
        healthy.now += 360
        healthy.slept.clear()
        assert healthy.once() == 0
        assert healthy.slept == [(20, True)]
        assert healthy.success

    @pytest.mark.parametrize("name", ["failed", "waiting", "restarts", "status"])
    @pytest.mark.parametrize("content", ["", "[]", '{"tries": "x", "digest": null}'])
    def test_no_record_stops_a_run(self, healthy: Host, name: str, content: str) -> None:
        getattr(healthy.paths, name).write_text(content)
        healthy.release("2")
        assert healthy.once() == 0
        assert healthy.success

    def test_an_error_of_no_kind_that_was_foreseen_is_a_failed_run(
        self, healthy: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("not foreseen")

        monkeypatch.setattr(healthy, "resolved", broken)
        healthy.release("2")
        assert healthy.once() == 1
        assert not healthy.success
        assert (healthy.status.phase, healthy.status.result) == (Phase.FAILED, Result.FAILED)
        assert healthy.status.reason == "RuntimeError: not foreseen"

    def test_files_are_on_the_disk_before_they_have_their_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        happened: list[str] = []
        fsync, replace = os.fsync, Path.replace

        def synced(descriptor: int) -> None:
            happened.append("fsync")
            fsync(descriptor)

        def renamed(draft: Path, target: Path) -> Path:
            happened.append("rename")
            return replace(draft, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "replace", renamed)
        paths.write(tmp_path / "file", b"text", mode=0o600)
        assert happened == ["fsync", "rename", "fsync"]


class TestFullDisk:
    def test_is_seen_before_the_drain(self, healthy: Host) -> None:
        healthy.release("2")
        healthy.free = 1024
        for _ in range(2):
            assert healthy.once() == 1
        assert healthy.slept == []
        assert not healthy.success
        assert "MiB free" in healthy.status.reason
        healthy.free = 10**12
        assert healthy.once() == 0

    def test_that_takes_no_record_is_seen_before_the_drain(
        self, healthy: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(attempts, "write", full)
        healthy.release("2")
        assert healthy.once() == 1
        assert healthy.slept == []
        assert not healthy.success

    def test_during_a_change_drains_twice_and_then_no_more(
        self, healthy: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that is full once containers start: the record of the try stays as it was when it began."""

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(attempts.Attempts, "fail", full)
        healthy.release("2")
        healthy.ill = True
        for _ in range(4):
            healthy.once()
            assert not healthy.success
        assert healthy.slept.count((20, True)) == 2

    def test_a_try_that_was_interrupted_is_repeated_once(self, healthy: Host) -> None:
        healthy.release("2")
        for number in (1, 2):
            attempts.Attempts(healthy.paths).begin(healthy.digest)
            assert json.loads(healthy.paths.failed.read_text())["tries"] == number
        assert healthy.once() == 0
        assert not healthy.did(" up ")
        assert not healthy.success
        assert healthy.once("--retry") == 0
        assert healthy.success

    @pytest.mark.parametrize("name", ["announce_isolation", "mark_tenants"])
    def test_that_takes_no_note_of_tenants_keeps_nothing_from_being_started_again(
        self,
        healthy: Host,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        name: str,
    ) -> None:
        def full(_: paths.Paths) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(run, name, full)
        healthy.containers["worker"]["State"] = "exited"
        assert healthy.once() == 1
        assert healthy.did(" up ")
        assert not healthy.success
        reason = "OSError: [Errno 28] No space left on device"
        assert (healthy.status.phase, healthy.status.result) == (Phase.SERVING, Result.FAILED)
        assert healthy.status.reason == reason
        assert f"<3>{reason}\n" in capsys.readouterr().out

    def test_that_takes_no_unit_keeps_nothing_from_being_started_again(
        self, healthy: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(units, "install", full)
        healthy.containers["worker"]["State"] = "exited"
        assert healthy.once() == 1
        assert healthy.did(" up ")
        assert not healthy.success


class TestLock:
    def test_is_roots_alone(self, healthy: Host) -> None:
        assert healthy.paths.lock.stat().st_mode & 0o777 == 0o600
        assert not [
            path
            for path in healthy.paths.run.iterdir()
            if path.name.endswith("lock") and path.stat().st_mode & 0o077
        ]

    @pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to be somebody else")
    def test_cannot_be_held_by_another_user(self, healthy: Host) -> None:
        for folder in (healthy.paths.run, *healthy.paths.run.parents):
            if folder.stat().st_uid == 0 and folder.is_relative_to("/tmp/pytest-of-root"):  # noqa: S108
                folder.chmod(0o755)
        shared = f"flock --shared --nonblock {healthy.paths.lock} true"
        done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", shared], check=False)
        assert done.returncode != 0

    def test_a_run_beside_another_changes_nothing(self, healthy: Host) -> None:
        healthy.release("2")
        with healthy.paths.lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            healthy.once()
        assert healthy.commands == []


class TestWholeSets:
    def test_a_fetch_that_met_an_apply_changes_nothing(self, healthy: Host) -> None:
        before = healthy.current
        healthy.halfway = True
        healthy.release("2")
        assert healthy.once() == 0
        assert healthy.current == before
        assert (healthy.status.phase, healthy.status.result) == (Phase.WAITING, Result.PENDING)
        assert healthy.status.reason == "set incomplete: release.json is not the one of the manifest"
        assert healthy.success
        healthy.halfway = False
        assert healthy.once() == 0
        assert healthy.current.name == healthy.digest

    def test_an_object_that_nobody_lists_is_not_used(self, healthy: Host) -> None:
        before = healthy.current
        healthy.sync()
        (healthy.paths.incoming / "ca.pem").write_text("from an earlier apply")
        healthy.halfway = True
        healthy.bucket["ca.pem"] = "from an earlier apply"
        assert healthy.once() == 0
        assert healthy.current == before
        assert healthy.status.phase is Phase.SERVING

    def test_one_that_stays_mixed_becomes_a_failure(self, healthy: Host) -> None:
        healthy.halfway = True
        healthy.bucket["settings.env"] = "BY=hand\n"
        healthy.once()
        healthy.now += 601
        healthy.once()
        assert (healthy.status.phase, healthy.status.result) == (Phase.WAITING, Result.FAILED)
        assert not healthy.success

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"objects": []}', '{"objects": {"../x": "0"}}'])
    def test_a_manifest_that_is_none_is_waited_for(self, healthy: Host, text: str) -> None:
        healthy.sync()
        healthy.halfway = True
        (healthy.paths.manifests / "environment.json").write_text(text)
        assert healthy.once() == 0
        assert healthy.status.reason.startswith("set incomplete")

    def test_a_cells_part_is_announced_when_its_stack_is_through(self, healthy: Host) -> None:
        healthy.halfway = True
        healthy.bucket["isolation/cell-2.json"] = "{}"
        healthy.once()
        assert not healthy.paths.isolation_changed.exists()
        # It holds up no release.
        assert healthy.status.phase is Phase.SERVING
        healthy.halfway = False
        healthy.once()
        told = healthy.paths.isolation_changed.read_text()
        assert "cell-2.json" in told
        healthy.halfway = True
        healthy.bucket["isolation/cell-2.json"] = "{ }"
        healthy.once()
        assert healthy.paths.isolation_changed.read_text() == told
        healthy.halfway = False
        healthy.once()
        assert healthy.paths.isolation_changed.read_text() not in {told, ""}


UNHEALTHY_AFTER_SECONDS = 40 + 3 * 10


class TestHangs:
    def test_a_worker_that_hangs_is_restarted_and_shows(self, healthy: Host) -> None:
        healthy.containers["worker"]["Health"] = "unhealthy"
        assert healthy.once() == 1
        assert healthy.did("compose.yaml restart worker")
        assert not healthy.did("restart api")
        assert (healthy.status.phase, healthy.status.reason) == (Phase.FAILED, "unhealthy: worker")
        metrics = healthy.paths.metrics.read_text()
        assert 'presence360_service_healthy{service="worker"} 0\n' in metrics
        assert 'presence360_service_healthy{service="api"} 1\n' in metrics
        assert "presence360_converge_success 0\n" in metrics
        healthy.containers["worker"]["Health"] = "healthy"
        assert healthy.once() == 0
        assert healthy.success
        assert healthy.status.phase is Phase.SERVING

    def test_less_and_less_often(self, healthy: Host) -> None:
        healthy.containers["worker"]["Health"] = "unhealthy"
        start, restarts = healthy.now, []
        for _ in range(180):
            healthy.once()
            if healthy.did(" restart worker"):
                restarts.append(healthy.now - start)
            healthy.now += 60
            # As Docker has it: starting, until the check may have failed often enough (compose.yaml.j2, healthcheck).
            waits = healthy.now - start - restarts[-1] < UNHEALTHY_AFTER_SECONDS
            healthy.containers["worker"]["Health"] = "starting" if waits else "unhealthy"
        assert restarts[:4] == [0, 240, 720, 1680]
        assert all(b - a == upkeep.LONGEST_PAUSE_SECONDS for a, b in itertools.pairwise(restarts[3:]))
        healthy.containers["worker"]["Health"] = "healthy"
        healthy.once()
        healthy.containers["worker"]["Health"] = "unhealthy"
        healthy.once()
        assert healthy.did(" restart worker")

    def test_is_no_verdict_on_another_release(self, healthy: Host) -> None:
        healthy.name = "staging-app-2-3fa9c2"
        healthy.peer(1, "starting")
        healthy.release("2")
        healthy.containers["worker"]["Health"] = "unhealthy"
        healthy.once()
        assert healthy.status.phase is Phase.WAITING
        assert healthy.did(" restart worker")
