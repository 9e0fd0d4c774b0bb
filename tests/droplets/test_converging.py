"""Turns, statuses, and faults in converging, on two droplets that boot for real.

A file of its own boots droplets of its own: they are put into states in which other tests would not find them.
"""

import json
import time

import pytest

from model.status import Phase, Result
from tests.droplets.conftest import DOMAIN, Laboratory
from tests.droplets.laboratory import Droplet, eventually, run
from tests.droplets.load_balancer import LoadBalancer

API = f"api.{DOMAIN}"
pytestmark = [pytest.mark.usefixtures("put_back"), pytest.mark.nightly("droplets")]


def containers(droplet: Droplet) -> dict[str, str]:
    shown = droplet.sh("docker ps --format '{{.Label \"app.presence360.service\"}} {{.ID}}'")
    return dict(line.split() for line in shown.splitlines())


def starts(droplet: Droplet) -> int:
    """How often a release was started since the droplet booted."""
    return droplet.journal("presence360-converge").count("starting, instead of")


def moment(droplet: Droplet, words: str) -> float:
    """When converge wrote a line last."""
    line = droplet.sh(
        f"journalctl --unit presence360-converge --output short-unix --grep '{words}' --lines 1 --quiet"
    )
    return float(line.split()[0])


def success(droplet: Droplet) -> float:
    return droplet.metrics["presence360_converge_success"]


class TestTurns:
    def test_no_request_fails_during_a_release_and_one_follows_the_other(
        self, laboratory: Laboratory
    ) -> None:
        laboratory.configuration.turns = 2
        laboratory.publish()
        balancer = LoadBalancer(laboratory.droplets, API)
        with balancer.working(laboratory.network):
            laboratory.configuration.versions["tenant-api"] = "3.0.0"
            laboratory.publish(240)
        assert balancer.failures == []
        assert balancer.answers["1.0.0"] > 50
        assert balancer.answers["3.0.0"] > 50
        # One at a time was away, and each of them was.
        assert balancer.least == 1
        first, second = laboratory.droplets
        digest = laboratory.configuration.digest
        assert moment(second, "starting, instead of") > moment(first, f"{digest}: healthy")
        for droplet in laboratory.droplets:
            status = laboratory.configuration.status(droplet)
            assert (status.phase, status.result, status.reason) == (Phase.SERVING, Result.OK, "")
            assert (status.release, status.wanted) == (digest, digest)
            assert status.programs == laboratory.configuration.version
            assert abs(status.time.timestamp() - time.time()) < 300

    def test_a_bad_release_touches_the_canary_and_the_others_say_that_they_are_held(
        self, laboratory: Laboratory
    ) -> None:
        first, second = laboratory.droplets
        before, tried = containers(second), (starts(first), starts(second))
        laboratory.configuration.turns = 2
        laboratory.configuration.versions["tenant-api"] = "6.6.6"
        laboratory.configuration.publish()
        status = laboratory.configuration.status
        eventually("the canary failed", 120, lambda: status(first).phase is Phase.FAILED)
        eventually("the other is held", 120, lambda: status(second).phase is Phase.HELD)
        digest = laboratory.configuration.digest
        assert status(second).reason.startswith(f"{first.name} failed with release {digest}: ")
        assert status(first).result is status(second).result is Result.FAILED
        assert status(first).release == status(second).release != digest
        assert "unhealthy" in status(first).reason
        assert (starts(first), starts(second)) == (tried[0] + 1, tried[1])
        assert containers(second) == before
        # The status says it before the way back, the metrics when the run ends.
        eventually("the metrics too", 60, lambda: [success(one) for one in laboratory.droplets] == [0, 0])
        assert {droplet.ask(API).json["version"] for droplet in laboratory.droplets} == {"1.0.0"}


class TestFaults:
    def test_a_suspended_church_restarts_and_drains_nothing(self, laboratory: Laboratory) -> None:
        droplet = laboratory.droplet
        before, tried = containers(droplet), starts(droplet)
        laboratory.configuration.closed["grace.staging.presence360.app"] = 503
        laboratory.publish()
        assert droplet.ask(f"grace.{DOMAIN}").status == 503
        assert (containers(droplet), starts(droplet)) == (before, tried)
        assert "no container changes, nginx reloaded" in droplet.journal("presence360-converge")

    def test_a_run_that_is_killed_before_nginx_reloads_is_made_up_for(self, laboratory: Laboratory) -> None:
        droplet = laboratory.droplet
        with droplet.not_converging():
            laboratory.configuration.closed["grace.staging.presence360.app"] = 503
            laboratory.configuration.publish()
            # A systemctl that kills who asks it to reload nginx.
            droplet.sh(
                "mkdir -p /run/killing && printf '#!/bin/sh\\ncase \"$*\" in *nginx*) kill -9 $PPID ;; esac\\n'"
                " > /run/killing/systemctl && chmod +x /run/killing/systemctl"
            )
            droplet.sh("PATH=/run/killing:$PATH presence360-fetch", check=False)
            current = droplet.sh("readlink /var/lib/presence360/current").strip()
            assert current.endswith(laboratory.configuration.digest)
            assert droplet.ask(f"grace.{DOMAIN}").status == 200
        eventually("nginx has it", 60, lambda: droplet.ask(f"grace.{DOMAIN}").status == 503)
        assert "nginx runs another configuration" in droplet.journal("presence360-converge")

    def test_an_emptied_record_is_made_again(self, laboratory: Laboratory) -> None:
        droplet = laboratory.droplet
        before, tried = containers(droplet), starts(droplet)
        derived = "/var/lib/presence360/current/derived.json"
        droplet.sh(f": > {derived}")
        eventually("it is made again", 60, lambda: json.loads(droplet.sh(f"cat {derived}"))["digest"])
        eventually("healthy", 60, lambda: droplet.health.status == 200 and success(droplet) == 1)
        assert (containers(droplet), starts(droplet)) == (before, tried)

    def test_a_full_disk_fails_before_the_drain_and_is_told(self, laboratory: Laboratory) -> None:
        droplet = laboratory.droplet
        used = int(run("df", "--output=used", "--block-size=1M", droplet.folder).split()[-1])
        laboratory.configuration.versions["tenant-api"] = "2.0.0"
        run("mount", "-o", f"remount,size={used + 40}m", droplet.folder)
        try:
            laboratory.configuration.publish()
            status = laboratory.configuration.status
            eventually("it says so", 90, lambda: "MiB free" in status(droplet).reason)
            assert (status(droplet).phase, success(droplet)) == (Phase.FAILED, 0)
            since = droplet.sh("date +%s").strip()
            time.sleep(15)
            assert droplet.health.status == 200
            assert "starting, instead of" not in droplet.sh(
                f"journalctl --unit presence360-converge --since @{since} --output cat"
            )
        finally:
            run("mount", "-o", "remount,size=6g", droplet.folder)
        laboratory.publish()
        assert droplet.ask(API).json["version"] == "2.0.0"

    def test_nobody_but_root_stops_converging(self, laboratory: Laboratory) -> None:
        droplet = laboratory.droplet
        lock = "find /run/presence360 -type f -exec"
        held = droplet.sh(
            f"{lock} setpriv --reuid=65534 --clear-groups flock --shared --nonblock {{}} echo {{}} ';' 2>/dev/null",
            check=False,
        )
        assert "lock" not in held
        before = droplet.metrics["presence360_converge_timestamp_seconds"]
        eventually(
            "it converges", 60, lambda: droplet.metrics["presence360_converge_timestamp_seconds"] > before
        )

    def test_a_fetch_during_an_apply_changes_nothing(self, laboratory: Laboratory) -> None:
        configuration, droplet = laboratory.configuration, laboratory.droplet
        before = containers(droplet)
        configuration.versions["tenant-api"] = "2.0.0"
        configuration.settings["COLOUR"] = "green"
        release = configuration.objects()["release.json"]
        configuration.change(put={"release.json": release}, whole=False)
        eventually("it waits", 60, lambda: configuration.status(droplet).phase is Phase.WAITING)
        status = configuration.status(droplet)
        assert status.reason == "set incomplete: release.json is not the one of the manifest"
        assert (status.result, status.wanted, success(droplet)) == (Result.PENDING, None, 1)
        time.sleep(8)
        assert containers(droplet) == before
        laboratory.publish()
        answer = droplet.ask(API).json
        assert (answer["version"], answer["colour"]) == ("2.0.0", "green")

    def test_an_nginx_that_restarts_is_drained(self, laboratory: Laboratory) -> None:
        """As an upgrade of its package restarts it."""
        droplet = laboratory.droplet
        balancer = LoadBalancer(laboratory.droplets, API)
        with balancer.working(laboratory.network):
            before = droplet.sh("cat /run/nginx.pid")
            droplet.sh("systemctl restart nginx", timeout=90)
            assert droplet.sh("cat /run/nginx.pid") != before
            eventually("healthy", 20, lambda: droplet.health.status == 200)
        assert balancer.failures == []
        assert balancer.least == 1

    def test_an_nginx_that_crashes_is_back_at_once(self, laboratory: Laboratory) -> None:
        droplet = laboratory.droplet
        # systemd itself starts it: converge, which would as well, does not run.
        with droplet.not_converging():
            droplet.sh("kill -9 $(cat /run/nginx.pid); pkill -9 nginx || true")
            eventually("it serves", 10, lambda: droplet.health.status == 200, pause=0.2)
