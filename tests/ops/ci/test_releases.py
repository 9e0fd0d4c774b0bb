"""What follows an apply: the wait for its release, here or in a step of its own, and after `cdktf deploy`."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ops.cdktf_invocation import Invocation
from ops.cdktf_release import wait_for_releases
from ops.ci import before, plans, releases, settings, steps
from ops.ci.__main__ import main
from ops.release_wait import ReleaseError, SupersededError
from ops.waiting import LIMIT_VARIABLE
from tests.ops.cloud import Cloud, Time
from tests.support import ENVIRONMENTS

HANDED_OVER = '{"app":{"release":"r1","programs":"p1"},"worker":{"release":"r1","programs":"p1"}}'


@pytest.fixture(autouse=True)
def deployed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setattr(releases, "ENVIRONMENTS", ENVIRONMENTS)
    monkeypatch.setattr(settings, "load", lambda _: cloud.environ)
    cloud.deploy("r1")
    cloud.boot("app-1", "app-2")
    cloud.boot("worker-1", group="worker")
    releases.after_apply(cloud.environ, ["staging"], wait=True, clock=cloud.time.clock)


def test_an_apply_waits_for_its_release(cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.deploy("r2")
    releases.after_apply(cloud.environ, ["staging", "staging-cell-2"], wait=True, clock=time.clock)
    assert "staging: every droplet runs what was deployed, after 1 min 0 s" in capsys.readouterr().out
    cloud.releases_work(False)
    cloud.deploy("r3")
    with pytest.raises(ReleaseError, match="app-2: held: app-1 failed with this release"):
        releases.after_apply(cloud.environ, ["staging"], wait=True, clock=time.clock)


def test_an_apply_that_does_not_wait_hands_over_what_it_wrote(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    begin = time.seconds
    releases.after_apply(cloud.environ, ["staging"], wait=False, clock=time.clock)
    assert capsys.readouterr().out == f"deployed={HANDED_OVER}\n"
    assert time.seconds == begin


def test_where_nothing_is_to_be_waited_for_nothing_is_handed_over(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    releases.after_apply(cloud.environ, ["staging-cell-2"], wait=False, clock=time.clock)
    assert capsys.readouterr().out == ""
    environ = {**cloud.environ, LIMIT_VARIABLE: "0"}
    releases.after_apply(environ, ["staging"], wait=False, clock=time.clock)
    said = "staging: the release is not waited for, because PRESENCE360_WAIT_SECONDS is 0\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("no_wait", [True, False])
def test_the_step_waits_when_its_last_plan_is_applied(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_wait: bool
) -> None:
    happened: list[str] = []
    stacks = [plans.PlannedStack("staging", "00", True), plans.PlannedStack("staging-cell-2", "00", False)]

    def applied(*_: object, **__: object) -> Iterator[str]:
        happened.append("applied")
        yield "staging"

    def after(_: object, changed: list[str], *, wait: bool) -> None:
        happened.append(f"{changed} {wait}")

    monkeypatch.setattr(steps, "_prepare", lambda _: (cloud.environ, ["staging"]))
    monkeypatch.setattr(steps, "plan_folder", lambda *_: tmp_path / "plans")
    (tmp_path / "plans").mkdir()
    monkeypatch.setattr(settings, "check_apply", lambda *_: None)
    monkeypatch.setattr(before, "credentials", lambda *_: None)
    monkeypatch.setattr(plans.Record, "read", lambda *_: plans.Record("", tuple(stacks)))
    monkeypatch.setattr(plans, "apply", applied)
    monkeypatch.setattr(releases, "after_apply", after)
    scope = {"environment": "staging", "stack": "", "keep": "", "digest": ""}
    assert steps.apply(argparse.Namespace(**scope, no_wait=no_wait)) == 0
    assert happened == ["applied", f"['staging'] {not no_wait}"]


def test_a_wait_elsewhere_ends_when_another_deploy_passes(cloud: Cloud, time: Time) -> None:
    wait = partial(
        releases.wait_elsewhere,
        cloud.environ,
        "staging",
        HANDED_OVER,
        environments=ENVIRONMENTS,
        clock=time.clock,
    )
    wait()
    cloud.deploy("r2")
    with pytest.raises(SupersededError):
        wait()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("stagin",), 2, "ci: there is no environment 'stagin'. Did you mean 'staging'?"),
        (("staging", "--deployed", "{}"), 1, "error: staging: superseded: another deploy has written"),
        (("staging", "--deployed", "7"), 2, "ci: DEPLOYED is not what an apply wrote"),
    ],
)
def test_how_the_step_ends(
    arguments: tuple[str, ...], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wait", "--environments", str(ENVIRONMENTS), "--environment", *arguments]) == code
    assert told in capsys.readouterr().err


def cdktf(cloud: Cloud, command: str, **environ: Any) -> int:
    call = Invocation.parse(command.split())
    return wait_for_releases(call, {**cloud.environ, **environ}, ENVIRONMENTS, cloud.time.clock)


def test_a_deploy_of_cdktf_waits_for_the_environments_among_its_stacks(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.deploy("r2")
    assert cdktf(cloud, "deploy bootstrap stag* --auto-approve") == 0
    assert "staging: every droplet runs what was deployed, after 1 min 0 s" in capsys.readouterr().err
    cloud.releases_work(False)
    cloud.deploy("r3")
    assert cdktf(cloud, "apply staging") == 1
    assert "app-1: failed: container presence360-tenant-api-1 is unhealthy" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["destroy staging", "deploy staging --app x.py", "deploy bootstrap", "diff staging"]
)
def test_other_commands_of_cdktf_wait_for_nothing(cloud: Cloud, command: str) -> None:
    cloud.deploy("r2")
    before = len(list(cloud.server.calls))
    assert cdktf(cloud, command) == 0
    assert len(list(cloud.server.calls)) == before


def test_an_interrupt_ends_the_wait_and_not_the_deploy(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    cloud.deploy("r2")
    time.then[time.sleeps + 1] = interrupt
    assert cdktf(cloud, "deploy staging") == 130
    assert "The deploy is done, and its droplets go on" in capsys.readouterr().err
