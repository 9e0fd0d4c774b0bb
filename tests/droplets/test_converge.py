"""Releases, settings and secrets reach droplets through the bucket and the timer, and nothing else."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.droplets.conftest import DOMAIN, Laboratory
from tests.droplets.laboratory import Droplet, ask_https, eventually

API = f"api.{DOMAIN}"


@pytest.fixture(autouse=True)
def _put_back(laboratory: Laboratory) -> Iterator[None]:
    """Leave the droplets as they were."""
    configuration = laboratory.configuration
    before = (dict(configuration.versions), dict(configuration.settings), dict(configuration.secrets))
    yield
    configuration.versions, configuration.settings, configuration.secrets = before
    configuration.turns = 1
    laboratory.publish()


def _containers(droplet: Droplet) -> dict[str, str]:
    shown = droplet.sh("docker ps --format '{{.Label \"app.presence360.service\"}} {{.ID}}'")
    return dict(line.split() for line in shown.splitlines())


def test_a_release_restarts_its_service_and_no_other(laboratory: Laboratory) -> None:
    before = _containers(laboratory.droplet)
    laboratory.configuration.versions["tenant-api"] = "2.0.0"
    laboratory.publish()
    assert {droplet.ask(API).json["version"] for droplet in laboratory.droplets} == {"2.0.0"}
    after = _containers(laboratory.droplet)
    assert {name for name in before if before[name] != after[name]} == {"tenant-api"}
    image = "registry.test/presence360/tenant-api:2.0.0"
    sample = f'presence360_service_image_info{{service="tenant-api",image="{image}"}}'
    assert laboratory.droplet.metrics[sample] == 1


def test_a_changed_secret_alone_converges(laboratory: Laboratory) -> None:
    laboratory.configuration.secrets["SECRET"] = "rotated"
    laboratory.publish()
    assert {droplet.ask(API).json["secret"] for droplet in laboratory.droplets} == {"rotated"}


def test_a_bad_release_is_rolled_back_and_not_tried_again(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    tried = droplet.journal("presence360-converge").count("starting, instead of")
    laboratory.configuration.versions["tenant-api"] = "6.6.6"
    laboratory.configuration.publish()

    def failed(one: Droplet) -> bool:
        return one.metrics["presence360_converge_success"] == 0

    laboratory.converged("the failure shows", failed)
    assert droplet.ask(API).json["version"] == "1.0.0"
    errors = droplet.sh("journalctl --unit presence360-converge --priority err --output cat")
    assert "going back to" in errors
    time.sleep(12)
    assert droplet.journal("presence360-converge").count("starting, instead of") == tried + 1
    assert failed(droplet)
    # The old release again is a healthy state again, without a restart.
    before = _containers(droplet)
    laboratory.configuration.versions["tenant-api"] = "1.0.0"
    laboratory.publish()
    assert _containers(droplet) == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("release.json", '{"images": {"tenant-api": "no tag"}}', "is no image with a tag or digest"),
        ("secrets.env", "SECRET='open\n", "secrets.env, line 1: not NAME=value"),
        ("compose.yaml", "services: {tenant-api: {imagee: x}}", "imagee"),
        ("nginx.conf", "events {} http { server { listen 443 ssl; } nonsense; }", "nonsense"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_touched(
    laboratory: Laboratory, name: str, content: str, message: str
) -> None:
    droplet = laboratory.droplet
    before, link = _containers(droplet), droplet.sh("readlink /var/lib/presence360/current")
    bucket = laboratory.plan.config.bucket

    def put() -> None:
        laboratory.configuration.store().put_object(Bucket=bucket, Key=name, Body=content.encode())

    laboratory.network.inside(put)
    eventually("it is refused", 30, lambda: droplet.metrics["presence360_converge_success"] == 0)
    assert message in droplet.sh("journalctl --unit presence360-converge --priority err --output cat")
    assert _containers(droplet) == before
    assert droplet.sh("readlink /var/lib/presence360/current") == link
    assert droplet.health.status == 200


@dataclass
class LoadBalancer:
    """Round robin among droplets that pass the health check: 2 failures and out, 2 successes and in.

    As DigitalOcean's (constructs_lib/edge.py), but with a second between checks and not five.
    """

    droplets: tuple[Droplet, ...]
    healthy: dict[str, bool] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    least: int = 2
    stopping: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        streaks = {droplet.name: 2 for droplet in self.droplets}
        while not self.stopping.wait(1):
            for droplet in self.droplets:
                try:
                    good = ask_https(droplet.address, droplet.address, "/healthz").status == 200
                except (OSError, ValueError):
                    good = False
                streak = streaks[droplet.name]
                streaks[droplet.name] = max(1, streak + 1) if good else min(-1, streak - 1)
                if abs(streaks[droplet.name]) >= 2:
                    self.healthy[droplet.name] = streaks[droplet.name] > 0
            self.least = min(self.least, sum(self.healthy.values()))

    def send(self) -> None:
        turn = 0
        while not self.stopping.is_set():
            able = [droplet for droplet in self.droplets if self.healthy[droplet.name]]
            if not able:
                self.failures.append("no droplet is healthy")
                time.sleep(0.05)
                continue
            droplet = able[(turn := turn + 1) % len(able)]
            try:
                answer = ask_https(droplet.address, API)
                if answer.status == 200:
                    self.answers[str(json.loads(answer.body)["version"])] += 1
                else:
                    self.failures.append(f"{droplet.name}: {answer.status}")
            except Exception as error:
                self.failures.append(f"{droplet.name}: {error!r}")
            time.sleep(0.02)


def test_no_request_fails_during_a_release(laboratory: Laboratory) -> None:
    laboratory.configuration.turns = 2
    laboratory.publish()
    balancer = LoadBalancer(laboratory.droplets, {droplet.name: True for droplet in laboratory.droplets})
    threads = [
        threading.Thread(target=laboratory.network.inside, args=(work,))
        for work in (balancer.check, balancer.send, balancer.send)
    ]
    for thread in threads:
        thread.start()
    try:
        time.sleep(2)
        laboratory.configuration.versions["tenant-api"] = "3.0.0"
        laboratory.publish(240)
        time.sleep(4)
    finally:
        balancer.stopping.set()
        for thread in threads:
            thread.join()
    assert balancer.failures == []
    assert balancer.answers["1.0.0"] > 50
    assert balancer.answers["3.0.0"] > 50
    # One at a time was away, and each of them was.
    assert balancer.least == 1
    starts = [
        droplet.sh(
            "journalctl --unit presence360-converge --output short-unix --grep 'starting, instead' -n 1"
        )
        for droplet in laboratory.droplets
    ]
    first, second = sorted(float(line.split()[0]) for line in starts)
    assert second - first > 10
