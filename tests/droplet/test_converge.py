"""Runs of converge: from what was fetched to what runs."""

import fcntl
import json
import os

import pytest

from tests.droplet.machine import OTHER_TURN, OWN_TURN, Host


class TestFirstRelease:
    def test_starts_at_once_without_a_turn_or_a_drain(self, host: Host) -> None:
        host.now = OTHER_TURN
        assert host.once() == 0
        assert host.did("up --detach --wait")
        assert host.slept == []
        assert host.current.parent == host.paths.releases
        assert host.success

    def test_pulls_before_it_starts_with_the_registrys_login(self, host: Host) -> None:
        host.bucket["registry.json"] = '{"auths": {"registry": {"auth": "eDp5"}}}'
        host.once()
        pull, up = (next(i for i, c in enumerate(host.commands) if word in c) for word in (" pull ", " up "))
        assert pull < up
        login = host.current / "docker/config.json"
        assert json.loads(login.read_text())["auths"]
        assert login.stat().st_mode & 0o777 == 0o600

    def test_that_fails_is_tried_again(self, host: Host) -> None:
        host.failing = " up "
        assert host.once() == 1
        assert not host.success
        host.failing = None
        assert host.once() == 0
        assert host.success

    def test_keeps_secrets_from_others(self, healthy: Host) -> None:
        modes = {
            path.name: path.stat().st_mode & 0o777 for path in healthy.current.iterdir() if path.is_file()
        }
        assert modes.pop("derived.json") == modes.pop("loaded.conf") == 0o644
        assert set(modes.values()) == {0o600}
        derived = (healthy.current / "derived.json").read_text()
        assert "one" not in derived
        assert json.loads(derived)["targets"] == [
            {"service": "api", "port": 18001, "path": "/healthz", "public": True}
        ]


class TestNextRelease:
    def test_drains_before_it_starts_and_serves_again_after(self, healthy: Host) -> None:
        before = healthy.current
        healthy.release("2")
        assert healthy.once() == 0
        assert healthy.slept == [(20, True)]
        assert not healthy.paths.draining.exists()
        assert healthy.current != before
        assert healthy.commands.index(
            next(c for c in healthy.commands if " up " in c)
        ) < healthy.commands.index("systemctl reload-or-restart nginx.service")

    def test_waits_for_its_turn(self, healthy: Host) -> None:
        before = healthy.current
        healthy.release("2")
        healthy.now = OTHER_TURN
        assert healthy.once() == 0
        assert healthy.current == before
        assert not healthy.did(" up ")
        # What can be done before is done before.
        assert healthy.did(" pull ")
        healthy.now = OWN_TURN
        assert healthy.once() == 0
        assert healthy.current != before

    def test_does_not_begin_late_in_its_turn(self, healthy: Host) -> None:
        healthy.release("2")
        healthy.now = OWN_TURN + 61
        healthy.once()
        assert not healthy.did(" up ")

    def test_that_changes_no_container_reloads_nginx_in_any_turn(self, healthy: Host) -> None:
        before = healthy.current
        healthy.bucket["nginx.conf"] = "events {} # other"
        healthy.now = OTHER_TURN
        assert healthy.once() == 0
        assert healthy.current != before
        assert healthy.did("reload-or-restart nginx.service")
        assert not healthy.did(" up ")
        assert healthy.slept == []

    @pytest.mark.parametrize("name", ["settings.env", "secrets.worker.env"])
    def test_may_be_a_setting_or_a_secret_alone(self, healthy: Host, name: str) -> None:
        healthy.bucket[name] = "OTHER=value\n"
        assert healthy.once() == 0
        assert healthy.did(" up ")

    def test_that_changes_a_secret_changes_the_container_that_reads_it_alone(self, healthy: Host) -> None:
        def hashes() -> dict[str, str]:
            return dict(json.loads((healthy.current / "derived.json").read_text())["hashes"])

        before = hashes()
        healthy.bucket["secrets.worker.env"] = "OTHER=value\n"
        assert healthy.once() == 0
        after = hashes()
        assert {name for name in before if before[name] != after[name]} == {"worker"}

    def test_that_has_the_secrets_of_the_whole_group_runs_as_before(self, healthy: Host) -> None:
        """A revert of the change that gave each service its own."""
        for service in ("api", "worker"):
            del healthy.bucket[f"secrets.{service}.env"]
        healthy.bucket["secrets.env"] = 'SECRET="one"\n'
        assert healthy.once() == 0
        assert healthy.current.name == healthy.digest
        # As after a power cut.
        (healthy.current / "derived.json").write_text("")
        assert healthy.once() == 0
        assert (healthy.current.name, healthy.success) == (healthy.digest, True)

    def test_that_is_the_same_does_nothing(self, healthy: Host) -> None:
        assert healthy.once() == 0
        assert [command.split()[0] for command in healthy.commands] == ["docker"]
        assert healthy.did(" ps ")

    def test_keeps_three_and_the_images_they_use(self, healthy: Host) -> None:
        os.utime(healthy.current, (1, 1))
        for number, version in enumerate("2345", start=2):
            healthy.release(version)
            assert healthy.once() == 0
            os.utime(healthy.current, (number, number))
        assert len(list(healthy.paths.releases.iterdir())) == 3
        assert healthy.did("docker image rm registry/api:2")
        assert not healthy.did("docker image rm registry/worker:1")


class TestBadRelease:
    @pytest.mark.parametrize("fault", ["up", "answer", "nginx"])
    def test_goes_back_and_says_so(
        self, healthy: Host, fault: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = healthy.current
        healthy.release("bad")
        if fault == "up":
            healthy.failing = f"{healthy.digest}/compose.yaml up "
        elif fault == "answer":
            healthy.ill = True
        else:
            healthy.failing = "reload-or-restart"
        assert healthy.once() == 1
        assert healthy.current == before
        assert not healthy.success
        assert not healthy.paths.draining.exists()
        assert "<3>" in capsys.readouterr().out
        if fault == "up":
            ups = [command for command in healthy.commands if " up " in command]
            assert before.name in ups[-1]

    def test_is_not_tried_again_until_the_bucket_changes_or_somebody_asks(self, healthy: Host) -> None:
        healthy.release("bad")
        healthy.ill = True
        assert healthy.once() == 1
        assert healthy.once() == 0
        assert not healthy.did(" up ")
        assert not healthy.success
        healthy.ill = False
        assert healthy.once("--retry") == 0
        assert healthy.did(" up ")
        assert healthy.success

    def test_is_forgotten_when_the_bucket_goes_back(self, healthy: Host) -> None:
        good = dict(healthy.bucket)
        healthy.release("bad")
        healthy.ill = True
        healthy.once()
        healthy.ill, healthy.bucket = False, good
        assert healthy.once() == 0
        assert healthy.success
        assert not healthy.paths.failed.exists()

    def test_that_cannot_be_pulled_is_tried_again(self, healthy: Host) -> None:
        healthy.release("2")
        healthy.failing = " pull "
        assert healthy.once() == 1
        healthy.failing = None
        assert healthy.once() == 0
        assert healthy.success


class TestAround:
    def test_what_stopped_is_started_again(self, healthy: Host) -> None:
        healthy.containers["worker"]["State"] = "exited"
        assert healthy.once() == 0
        assert healthy.did(" up ")
        assert healthy.slept == []

    def test_a_drain_that_was_left_behind_ends(self, healthy: Host) -> None:
        healthy.paths.draining.touch()
        healthy.once()
        assert not healthy.paths.draining.exists()

    def test_drains_before_the_droplet_goes_down(self, healthy: Host) -> None:
        assert healthy.once("--drain") == 0
        assert healthy.slept == [(20, True)]
        assert [command.split()[0] for command in healthy.commands] == ["/usr/bin/rclone"]
        assert (healthy.status.phase, healthy.status.reason) == ("draining", "the droplet shuts down")
        # A run of the timer meanwhile does not call the load balancer back.
        healthy.once()
        assert healthy.paths.leaving.exists()

    def test_a_droplet_without_a_release_need_not_drain(self, host: Host) -> None:
        assert host.once("--drain") == 0
        assert host.slept == []

    def test_only_one_runs_at_a_time(self, healthy: Host) -> None:
        with healthy.paths.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert healthy.once() == 0
        assert healthy.commands == []

    def test_without_a_fetch_only_what_stopped_is_started(self, healthy: Host) -> None:
        before = healthy.current
        healthy.release("2")
        healthy.containers["worker"]["State"] = "exited"
        assert healthy.once("--heal") == 1
        assert healthy.current == before
        assert healthy.did(f"{before.name}/compose.yaml up ")
        assert not healthy.did(" pull ")
        assert not healthy.success


class TestIsolation:
    """The isolation job's configurations, which are fetched beside the release."""

    CONFIGURATION = "isolation/environment.json"

    def test_is_started_by_a_change_and_by_nothing_else(self, healthy: Host) -> None:
        changed = healthy.paths.isolation_changed
        assert not changed.exists()
        healthy.bucket[self.CONFIGURATION] = "{}"
        healthy.once()
        first = changed.read_text()
        assert self.CONFIGURATION.rpartition("/")[2] in first
        os.utime(changed, (1, 1))
        healthy.release("2")
        healthy.once()
        assert changed.stat().st_mtime == 1
        healthy.bucket[self.CONFIGURATION] = "{ }"
        healthy.once()
        assert changed.read_text() != first
        del healthy.bucket[self.CONFIGURATION]
        healthy.once()
        assert changed.read_text() == ""

    def test_makes_no_release(self, healthy: Host) -> None:
        before = healthy.current
        healthy.bucket[self.CONFIGURATION] = "{}"
        assert healthy.once() == 0
        assert healthy.current == before

    def test_hears_of_a_change_even_if_the_release_is_bad(self, healthy: Host) -> None:
        healthy.bucket |= {self.CONFIGURATION: "{}", "release.json": "{"}
        assert healthy.once() == 1
        assert healthy.paths.isolation_changed.exists()
