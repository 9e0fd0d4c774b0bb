"""The wait for a release after a deploy, by what the local DigitalOcean's droplets say."""

import dataclasses
import json
from collections.abc import Callable

import pytest

from model.loader import load_environments
from model.migration_status import DETAILS_KEY
from model.plan import EnvironmentPlan, plan_environment
from model.status import parse_status
from ops import after_deploy
from ops.digitalocean import Droplet
from ops.fleet import Fleet, Report
from ops.migrations import Migrations
from ops.release_wait import (
    Progress,
    ReleaseError,
    SupersededError,
    Wanted,
    deployed,
    from_text,
    to_text,
)
from ops.release_wait import wait as wait_for_release
from ops.waiting import LIMIT_VARIABLE
from tests.ops.cloud import APP, Cloud, Time, status
from tests.support import ENVIRONMENTS

Wait = Callable[..., list[str]]


@pytest.fixture(scope="module")
def plan() -> EnvironmentPlan:
    loaded = load_environments(ENVIRONMENTS)
    return next(plan_environment(one) for one in loaded if one.file.environment == "staging")


@pytest.fixture
def droplets(cloud: Cloud) -> list[str]:
    """Three droplets of one group and one of another, which serve release r1."""
    cloud.deploy("r1")
    return [*cloud.boot("app-1", "app-2", "app-3"), *cloud.boot("worker-1", group="worker")]


@pytest.fixture
def wait(cloud: Cloud, plan: EnvironmentPlan) -> Wait:
    def run(limit: str | None = None, wanted: object = None) -> list[str]:
        environ = {**cloud.environ} | ({} if limit is None else {LIMIT_VARIABLE: limit})
        said: list[str] = []
        given = wanted if wanted is None else from_text(str(wanted))
        after_deploy.wait_for(plan, environ, given, say=said.append, clock=cloud.time.clock)
        return said

    return run


def written(cloud: Cloud, plan: EnvironmentPlan) -> str:
    return to_text(after_deploy.written(plan, cloud.environ, cloud.time.clock))


@pytest.mark.usefixtures("droplets")
def test_a_deploy_that_changes_no_release_waits_for_nothing(wait: Wait, time: Time) -> None:
    assert wait()[-1] == "staging: every droplet runs what was deployed, after 0 s"
    assert time.sleeps == 0


@pytest.mark.usefixtures("droplets")
def test_a_release_is_waited_for_until_the_last_droplet_runs_it(cloud: Cloud, wait: Wait) -> None:
    wait()
    cloud.deploy("r2")
    assert wait() == [
        "staging: Terraform has ended; waiting until every droplet runs what was deployed",
        "  app-1: starting",
        "  app-2: waiting: waits for app-1",
        "  app-3: waiting: waits for app-1",
        "  worker-1: starting",
        "  app-2: starting",
        "  app-3: waiting: waits for app-2",
        "  app-3: starting",
        "staging: every droplet runs what was deployed, after 1 min 30 s",
    ]


def test_programs_are_part_of_what_was_deployed(cloud: Cloud, time: Time, droplets: list[str]) -> None:
    (said,) = (parse_status(status(droplets[0], time)),)
    now = cloud.time.clock.time()
    report = Report("app", Droplet(droplets[0], "app-1", "active"), said)
    assert Progress.judge([report], {"app": Wanted("r1", "p1")}, now) == Progress((), ())
    assert Progress.judge([report], {"app": Wanted("r1", None)}, now) == Progress((), ())
    pending = Progress.judge([report], {"app": Wanted("r1", "p2")}, now).pending
    assert pending == ("app-1: serving, with the programs before",)
    # Who is in maintenance as well, and programs of before do not say it.
    pending = Progress.judge([report], {"app": Wanted("r1", "p1", "m2")}, now).pending
    assert pending == ("app-1: serving, with the maintenance before",)
    told = parse_status(status(droplets[0], time, maintenance="m2", closed="environment"))
    arrived = Report("app", Droplet(droplets[0], "app-1", "active"), told)
    assert Progress.judge([arrived], {"app": Wanted("r1", "p1", "m2")}, now) == Progress((), ())


@pytest.mark.usefixtures("droplets")
def test_the_first_failure_ends_the_wait_with_the_droplets_reasons(
    cloud: Cloud, wait: Wait, time: Time
) -> None:
    wait()
    cloud.releases_work(False)
    cloud.deploy("r2", "p1", "app")
    with pytest.raises(ReleaseError) as raised:
        wait()
    assert str(raised.value).splitlines() == [
        "staging: the deploy is done, and its release failed:",
        "  app-1: failed: container presence360-tenant-api-1 is unhealthy",
        "  app-2: held: app-1 failed with this release",
        "  app-3: held: app-1 failed with this release",
        "What ran before goes on there. Fix the cause, or take the edit back, and deploy again.",
    ]
    assert time.sleeps == 0


@pytest.mark.usefixtures("droplets")
def test_a_failure_with_an_earlier_release_says_nothing_of_this_one(cloud: Cloud, wait: Wait) -> None:
    """The deploy that repairs a failed release must not end at what the failed one left behind."""
    wait()
    cloud.releases_work(False)
    cloud.deploy("r2")
    with pytest.raises(ReleaseError, match="its release failed"):
        wait()
    cloud.releases_work(True)
    cloud.deploy("r3")
    assert wait()[-1].startswith("staging: every droplet runs what was deployed")
    said = parse_status(
        status("1", cloud.time, wanted="r2", phase="failed", result="failed", reason="no image")
    )
    report = Report("app", Droplet("1", "app-1", "active"), said)
    progress = Progress.judge([report], {"app": Wanted("r3", "p1")}, cloud.time.clock.time())
    assert progress == Progress((), ("app-1: it has not fetched this deploy yet (failed: no image)",))


def test_the_limit_is_the_files_and_the_variable_overrides_it(
    cloud: Cloud, wait: Wait, plan: EnvironmentPlan, droplets: list[str], time: Time
) -> None:
    wait()
    cloud.set_status(droplets[0], "off")
    cloud.deploy("r2", "p1", "app")
    begin = time.seconds
    with pytest.raises(ReleaseError) as raised:
        wait()
    assert time.seconds - begin == plan.wait_minutes * 60
    said = str(raised.value).splitlines()
    assert said[0] == "staging: not every droplet runs what is deployed after 30 min 0 s:".replace(
        "is", "was"
    )
    assert said[1].startswith("  app-1: it is off; silent since ")
    assert said[-1] == "Droplets go on by themselves: presence360 status staging --watch"
    begin = time.seconds
    with pytest.raises(ReleaseError, match="after 50 s"):
        wait("50")
    assert time.seconds - begin == 50


def test_with_a_limit_of_0_nothing_is_asked(cloud: Cloud, wait: Wait) -> None:
    before = len(list(cloud.server.calls))
    assert wait("0") == ["staging: the release is not waited for, because PRESENCE360_WAIT_SECONDS is 0"]
    assert len(list(cloud.server.calls)) == before
    with pytest.raises(ReleaseError, match="PRESENCE360_WAIT_SECONDS is not a number of seconds: 'soon'"):
        wait("soon")


@pytest.mark.usefixtures("droplets")
def test_a_second_deploy_during_the_wait_succeeds_and_the_first_ends_as_superseded(
    cloud: Cloud, wait: Wait, time: Time
) -> None:
    wait()
    cloud.deploy("r2")
    second: list[str] = []

    def deploy_again() -> None:
        cloud.deploy("r3", "p1", "app")
        second.extend(wait())

    time.then[time.sleeps + 1] = deploy_again
    with pytest.raises(
        SupersededError, match="staging: superseded: another deploy has written something newer"
    ):
        wait()
    assert second[-1].startswith("staging: every droplet runs what was deployed")


@pytest.mark.usefixtures("droplets")
def test_a_wait_elsewhere_knows_what_its_own_apply_wrote(
    cloud: Cloud, wait: Wait, plan: EnvironmentPlan
) -> None:
    mine = written(cloud, plan)
    assert mine == '{"app":{"release":"r1","programs":"p1"},"worker":{"release":"r1","programs":"p1"}}'
    assert wait(wanted=mine)[-1].startswith("staging: every droplet runs")
    cloud.deploy("r2")
    with pytest.raises(SupersededError):
        wait(wanted=mine)
    for wrong in ("[]", "{", '{"app": 1}', '{"app": {"x": 1}}'):
        with pytest.raises(ValueError, match=r"not what an apply wrote|Expecting"):
            from_text(wrong)


def test_a_droplet_that_never_spoke_and_a_group_without_droplets_are_waited_for(
    cloud: Cloud, wait: Wait
) -> None:
    cloud.deploy("r1")
    cloud.add("app-1")
    with pytest.raises(ReleaseError) as raised:
        wait("5")
    said = str(raised.value)
    assert "  worker: it has no droplet" in said
    assert "  app-1: it is new" in said


@pytest.mark.usefixtures("droplets")
def test_digitalocean_that_stumbles_ends_no_wait(cloud: Cloud, wait: Wait) -> None:
    cloud.fail("GET /v2/droplets 503 1 2", "GET /.*config-app/.* 500 1 3")
    said = wait()
    assert "  the API answered 503 to /v2/droplets" in said
    assert said[-1] == "staging: every droplet runs what was deployed, after 20 s"


def test_spaces_that_do_not_answer_for_half_a_minute_end_the_deploy(
    cloud: Cloud, plan: EnvironmentPlan, time: Time
) -> None:
    cloud.fail("GET /.*config-app/.* 500 1 6")
    begin = time.seconds
    with pytest.raises(ReleaseError, match="staging: what was deployed cannot be read: Spaces answered 500"):
        written(cloud, plan)
    assert time.seconds - begin == 25


def test_a_key_that_reads_no_status_is_named(cloud: Cloud, plan: EnvironmentPlan) -> None:
    environ = {**cloud.environ, "SPACES_ACCESS_KEY_ID": "another"}
    with pytest.raises(ReleaseError, match="the key in SPACES_ACCESS_KEY_ID may not read the bucket"):
        after_deploy.wait_for(plan, environ, say=print, clock=cloud.time.clock)


def test_a_bucket_that_no_deploy_has_described_is_no_success(wait: Wait) -> None:
    with pytest.raises(
        ReleaseError, match="does not say which release it holds: deploy the stack staging first"
    ):
        wait()


def test_a_cells_stack_releases_nothing(plan: EnvironmentPlan) -> None:
    assert after_deploy.own_stacks([plan], ["staging-cell-2", "bootstrap"]) == []
    assert after_deploy.own_stacks([plan], ["staging-cell-2", "staging"]) == [plan]


def test_droplets_that_are_held_for_migrations_fail_the_deploy_with_the_churches(
    cloud: Cloud, plan: EnvironmentPlan, droplets: list[str], time: Time
) -> None:
    fleet = Fleet.of(plan, cloud.environ, time.clock)
    spoken = Migrations("staging", APP, APP, {"11": "grace"}, fleet.spaces)
    row = {"cluster": "shared", "image": None, "revision": None, "since": None, "tries": 2}
    rows = [
        {**row, "database": "tenant_11", "result": "failed", "reason": "UniqueViolation"},
        {**row, "database": "control_plane", "result": "done", "reason": ""},
    ]
    cloud.server.spaces.put(APP, DETAILS_KEY, json.dumps({"databases": rows}).encode())
    held = status(droplets[0], time, wanted="r2", phase="held", result="failed", reason="migrations: 1 of 2")
    cloud.deploy("r2")
    cloud.said(droplets[0], held)
    with pytest.raises(ReleaseError) as error:
        wait_for_release(
            dataclasses.replace(fleet, migrations=spoken), deployed(fleet), limit=60, say=lambda _: None
        )
    text = str(error.value)
    assert "app-1: held: migrations: 1 of 2\n" in text
    assert (
        "Migrations that failed:\n  grace: UniqueViolation (2. try)\nAll of them: presence360 migrations staging"
        in text
    )


def test_what_a_droplet_says_of_the_deploy_before_fails_no_later_one(
    cloud: Cloud, plan: EnvironmentPlan, droplets: list[str], time: Time
) -> None:
    """An edit of `share` repairs a release whose digest stays the same: only the manifest tells the two apart."""
    fleet = Fleet.of(plan, cloud.environ, time.clock)
    cloud.deploy("r2")
    ours = deployed(fleet)["app"].manifest
    for phase in ("held", "failed"):
        stale = {"wanted": "r2", "phase": phase, "result": "failed", "reason": "migrations: 1 of 2"}
        cloud.said(droplets[0], status(droplets[0], time, **stale, manifest="0" * 16))
        said: list[str] = []
        with pytest.raises(ReleaseError, match="not every droplet runs what was deployed after 25 s"):
            wait_for_release(fleet, deployed(fleet), limit=25, say=said.append)
        assert f"  app-1: it has not fetched this deploy yet ({phase}: migrations: 1 of 2)" in said
        cloud.said(droplets[0], status(droplets[0], time, **stale, manifest=ours))
        with pytest.raises(ReleaseError, match=f"its release failed:\n  app-1: {phase}: migrations: 1 of 2"):
            wait_for_release(fleet, deployed(fleet), limit=25, say=said.append)
