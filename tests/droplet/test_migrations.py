"""A droplet waits for the databases before it changes to a release, and not for ever."""

import json
from pathlib import Path

import pytest

from droplet.converge.migrations import asked_by
from droplet.converge.paths import Paths
from droplet.converge.peers import write_time
from droplet.converge.store import LARGEST
from model.status import Phase, Result
from tests.droplet.machine import Host

IMAGES = "registry/tenant-api"


def object_of(version: str, share: int = 100) -> str:
    """What the group's bucket says."""
    jobs = [{"service": "tenant-api", "image": f"{IMAGES}:{version}"}]
    return json.dumps({"version": 1, "jobs": jobs, "share": share})


def said(
    host: Host, version: str, state: str, reason: str = "", *, age: float = 0, asked: str | None = None
) -> None:
    """Let the control group say something, of the object that it was asked by."""
    more = {} if asked is None else {"asked": asked_by(asked.encode())}
    host.control["migrations.json"] = json.dumps(
        {
            "version": 1,
            "images": {"tenant-api": f"{IMAGES}:{version}"},
            "state": state,
            "reason": reason,
            "time": write_time(host.now - age),
            **more,
        }
    )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A droplet alone in its group, that runs the first release, whose migrations are done."""
    paths = Paths(*(tmp_path / part for part in ("state", "run", "units", "defaults", "cloud/instance-id")))
    (tmp_path / "bootstrap").mkdir()
    paths.releases.mkdir(parents=True)
    paths.current.symlink_to(tmp_path / "bootstrap")
    made = Host(paths)
    made.config = {**made.config, "x-presence360": {**made.config["x-presence360"], "turns": 1}}
    made.bucket["migrations.json"] = object_of("1")
    assert made.once() == 0
    return made


def phase(host: Host) -> Phase:
    return host.status.phase


def release(host: Host, version: str) -> None:
    host.release(version)
    host.bucket["migrations.json"] = object_of(version)


def test_the_first_release_waits_for_nobody(host: Host) -> None:
    # No control group has said anything: see the fixture.
    assert phase(host) == Phase.SERVING


def test_a_release_waits_until_the_databases_are_done(host: Host) -> None:
    release(host, "2")
    said(host, "1", "done")
    assert host.once() == 0
    assert (host.status.phase, host.status.result) == (Phase.WAITING, Result.PENDING)
    assert "migrations: the control group has not begun with this release" in host.status.reason
    said(host, "2", "running", "12 of 250 databases are migrated")
    assert host.once() == 0
    assert "migrations: 12 of 250 databases are migrated" in host.status.reason
    assert not host.did(" up ")
    said(host, "2", "done")
    assert host.once() == 0
    assert phase(host) == Phase.SERVING
    assert host.did(" up ")


def test_a_failure_holds_the_release_and_says_why_and_old_code_goes_on(host: Host) -> None:
    before = host.current
    release(host, "2")
    said(host, "2", "failed", "249 of 250 databases are migrated; failed: tenant_x: UniqueViolation\x1b[2J")
    assert host.once() == 0
    assert (host.status.phase, host.status.result) == (Phase.HELD, Result.FAILED)
    assert "failed: tenant_x: UniqueViolation [2J" in host.status.reason
    assert host.current == before
    # It goes on by itself when the control group has done it.
    said(host, "2", "done")
    assert host.once() == 0
    assert phase(host) == Phase.SERVING


def test_what_is_said_of_another_share_is_no_verdict(host: Host) -> None:
    release(host, "2")
    said(host, "2", "failed", "9 of 10 databases are migrated", asked=object_of("2"))
    assert host.once() == 0
    assert phase(host) == Phase.HELD
    before = host.status.manifest
    # Somebody is content with less: the release is the same, what the control group said is about the edit before.
    host.bucket["migrations.json"] = object_of("2", share=90)
    assert host.once() == 0
    assert phase(host) == Phase.WAITING
    assert "the control group has not begun with this release" in host.status.reason
    assert host.status.manifest not in {None, before}
    said(host, "2", "done", asked=object_of("2", share=90))
    assert host.once() == 0
    assert phase(host) == Phase.SERVING


@pytest.mark.parametrize("silent", ["nothing", "old"])
def test_a_silent_control_group_is_waited_for_and_then_holds_the_release(host: Host, silent: str) -> None:
    release(host, "2")
    if silent == "old":
        said(host, "2", "done", age=301)
    assert host.once() == 0
    assert phase(host) == Phase.WAITING
    assert "the control group has not said anything yet" in host.status.reason
    host.now += 330
    assert host.once() == 0
    assert phase(host) == Phase.HELD
    assert "the control group says nothing of them for 6 minutes" in host.status.reason
    assert not host.did(" up ")


def test_an_object_store_that_does_not_answer_is_silence(host: Host) -> None:
    release(host, "2")
    host.failing = "control-status:"
    assert host.once() == 0
    assert phase(host) == Phase.WAITING


def test_an_object_without_end_is_silence(host: Host) -> None:
    """Of what the control group's droplets write, a stolen key of theirs may write as much as it likes."""
    release(host, "2")
    said(host, "2", "done")
    host.control["migrations.json"] = " " * LARGEST + host.control["migrations.json"]
    assert host.once() == 0
    assert phase(host) == Phase.WAITING
    assert (host.paths.run / "control-migrations.json").stat().st_size == LARGEST


@pytest.mark.parametrize("state", ["failed", "nothing"])
def test_the_way_out_is_retry(host: Host, state: str) -> None:
    release(host, "2")
    if state == "failed":
        said(host, "2", "failed", "it failed")
    assert host.once("--retry") == 0
    assert phase(host) == Phase.SERVING


def test_the_way_back_and_a_new_setting_wait_for_nothing(host: Host) -> None:
    release(host, "2")
    said(host, "2", "done")
    assert host.once() == 0
    # A church that came later fails, and nobody speaks any more.
    said(host, "2", "failed", "it failed")
    host.bucket["settings.env"] = "COLOUR=red\n"
    assert host.once() == 0
    assert phase(host) == Phase.SERVING
    host.control.clear()
    release(host, "1")
    assert host.once() == 0
    assert phase(host) == Phase.SERVING
    assert host.did(" up ")


def test_a_group_that_a_release_does_not_change_has_not_accepted_its_migrations(host: Host) -> None:
    """tenant-api is released, and its migrations fail; then this group's own services need what they bring."""
    host.bucket["migrations.json"] = object_of("2")
    said(host, "2", "failed", "it failed")
    assert host.once() == 0
    assert phase(host) == Phase.SERVING
    host.release("2")
    assert host.once() == 0
    assert phase(host) == Phase.HELD
    # Once they are done, that is remembered.
    host.release("1")
    said(host, "2", "done")
    assert host.once() == 0
    said(host, "2", "failed", "another church fails")
    host.release("2")
    assert host.once() == 0
    assert phase(host) == Phase.SERVING


def test_an_environment_without_migrations_waits_for_nothing(host: Host) -> None:
    host.release("2")
    del host.bucket["migrations.json"]
    assert host.once() == 0
    assert phase(host) == Phase.SERVING


def test_an_object_that_cannot_be_read_holds_the_release(host: Host) -> None:
    release(host, "2")
    host.bucket["migrations.json"] = "{}"
    assert host.once() == 1
    assert phase(host) == Phase.FAILED
    assert "migrations.json is not what Terraform writes" in host.status.reason
