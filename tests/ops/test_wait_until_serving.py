"""The program that Terraform runs for new droplets and pools, alone; rehearsals run it in deploys."""

import subprocess
import sys

import pytest

from lab.local_digitalocean.monitoring import HEALTH
from ops.wait_until_serving import EXIT_NOT_SERVING, EXIT_USAGE, main
from ops.waiting import LIMIT_VARIABLE
from tests.ops.cloud import APP, BOOT_SECONDS, Cloud, Time, droplet, status
from tests.support import ROOT

WORKER = APP.replace("app", "worker")


def run(
    cloud: Cloud, what: str, *more: str, bucket: str = APP, limit: str | None = None, **environ: str
) -> int:
    given = {**cloud.environ, **environ} | ({} if limit is None else {LIMIT_VARIABLE: limit})
    kind = () if "--pool" in more else ("--droplet",)
    how = ("--name", "new", "--status", bucket, "--region", "fra1", *more)
    return main([*how, *kind, what], given, cloud.time.clock)


def behind(cloud: Cloud) -> tuple[str, str]:
    return "--load-balancer", cloud.load_balancer


@pytest.fixture(autouse=True)
def deployed(cloud: Cloud) -> None:
    cloud.deploy("r1")


def test_waits_until_the_droplet_says_so_and_the_load_balancer_too(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.boot("app-1-aaaaaa")
    new = cloud.add("app-1-bbbbbb")
    time.then[4] = lambda: cloud.heal(new)

    assert run(cloud, new, *behind(cloud)) == 0

    assert time.sleeps == 4
    assert capsys.readouterr().out.splitlines() == [
        "new: it is new",
        "new: it is starting: the first release",
        "new: serves, after 60 s",
    ]
    queries = {call.query for call in cloud.server.calls if call.route == HEALTH}
    for query in queries:
        begin, end = (int(part.partition("=")[2]) for part in query.split("&")[1:])
        assert query.startswith(f"lb_id={cloud.load_balancer}&start=")
        assert end - begin == 600
    assert queries


def test_a_droplet_that_serves_by_its_own_word_alone_is_waited_for(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    (new,) = cloud.boot("app-1")
    cloud.said(new, status(new, time))
    cloud.heal(new, healthy=False)
    time.then[2] = lambda: cloud.heal(new)
    assert run(cloud, new, *behind(cloud)) == 0
    assert "new: it fails its health checks (last result 0)" in capsys.readouterr().out


def test_a_worker_has_no_load_balancer_and_is_asked_itself(cloud: Cloud, time: Time) -> None:
    new = cloud.add("worker-1", "worker")
    time.then[6] = lambda: cloud.heal(new)
    assert run(cloud, new, bucket=WORKER) == 0
    assert time.sleeps == 6


def test_gives_up_after_a_quarter_of_an_hour_and_says_what_is_missing(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    new = cloud.add("app-1")
    begin = time.seconds
    assert run(cloud, new) == EXIT_NOT_SERVING
    assert time.seconds - begin == 15 * 60
    said = capsys.readouterr().out
    assert "new: does not serve after 900 s. What it replaces, if anything, stays." in said


@pytest.mark.parametrize("phase", ["failed", "held"])
def test_a_droplet_that_failed_is_not_waited_for_and_its_reason_is_told(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str], phase: str
) -> None:
    (new,) = cloud.boot("app-1")
    cloud.said(
        new, status(new, time, phase=phase, result="failed", release=None, reason="worker: no heartbeat")
    )
    assert run(cloud, new) == EXIT_NOT_SERVING
    assert time.sleeps == 0
    told = f"new: {phase}: worker: no heartbeat. What it replaces, if anything, stays."
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "what it says of itself cannot be read (status: not JSON)"),
        (b"{}", "what it says of itself cannot be read (status: KeyError in a member)"),
        (None, "it has been silent since 22:13:40 UTC (last: serving)"),
    ],
)
def test_what_says_nothing_of_the_present_is_not_trusted(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str], content: bytes | None, told: str
) -> None:
    (new,) = cloud.boot("app-1")
    cloud.said(new, content or status(new, time))
    time.seconds += 0 if content else 301
    assert run(cloud, new) == EXIT_NOT_SERVING
    assert f"new: {told}" in capsys.readouterr().out


def test_names_the_droplets_that_the_load_balancer_reports_on_when_it_is_not_among_them(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    (known,) = cloud.boot("app-1-aaaaaa")
    new = cloud.add("worker-1-bbbbbb", "worker")
    time.seconds += BOOT_SECONDS
    cloud.heal(new)
    assert run(cloud, new, *behind(cloud), bucket=WORKER) == EXIT_NOT_SERVING
    expected = f"new: the load balancer does not know it yet (it reports on {known})"
    assert capsys.readouterr().out.splitlines()[0] == expected


def pool(cloud: Cloud, least: int) -> str:
    config = {
        "min_instances": least,
        "max_instances": 9,
        "target_cpu_utilization": 0.5,
        "cooldown_minutes": 10,
    }
    wanted = {"name": "staging-app", "config": config, "droplet_template": droplet("app")}
    made: str = cloud.ask("POST", "/v2/droplets/autoscale", wanted)["autoscale_pool"]["id"]
    return made


def members(cloud: Cloud, pool_id: str) -> list[str]:
    found = cloud.ask("GET", f"/v2/droplets/autoscale/{pool_id}/members")["droplets"]
    return [str(one["droplet_id"]) for one in found]


def test_a_pool_serves_when_its_smallest_number_of_droplets_do(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    made = pool(cloud, 2)
    first, second = members(cloud, made)
    time.then[3] = lambda: cloud.heal(first)
    time.then[5] = lambda: cloud.heal(second)
    assert run(cloud, made, *behind(cloud), "--least", "2", "--pool") == 0
    assert time.sleeps == 5
    assert "new: 1 of 2 droplets serve; " in capsys.readouterr().out


def test_a_pool_has_failed_when_too_few_are_left_that_could_serve(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    made = pool(cloud, 2)
    time.seconds += BOOT_SECONDS
    first, second = members(cloud, made)
    cloud.said(first, status(first, time, phase="failed", result="failed", reason="no image"))
    cloud.said(second, status(second, time))
    assert run(cloud, made, "--least", "1", "--pool") == 0
    assert run(cloud, made, "--least", "2", "--pool") == EXIT_NOT_SERVING
    assert f"new: {first}: failed: no image." in capsys.readouterr().out
    assert run(cloud, "none", "--pool") == EXIT_USAGE


def test_a_droplet_that_its_pool_removed_is_no_reason_to_give_up(cloud: Cloud, time: Time) -> None:
    made = pool(cloud, 1)
    (only,) = members(cloud, made)
    time.seconds += BOOT_SECONDS
    cloud.heal(only)
    cloud.fail(f"GET /v2/droplets/{only} 404")
    assert run(cloud, made, "--pool") == 0
    assert time.sleeps == 1


def test_an_api_that_stumbles_is_asked_again(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    (new,) = cloud.boot("app-1")
    cloud.fail("GET /v2/.* 503 1 1", "GET /v2/.* drop 2 1", f"GET /{APP}/.* 500")
    assert run(cloud, new) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("new: the API answered 503 to /v2/droplets/")
    assert said[1].startswith("new: the API did not answer /v2/droplets/")
    assert said[2] == "new: Spaces answered 500"
    assert time.sleeps == 3


def test_a_token_that_nobody_knows_is_reported_at_once(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cloud, cloud.add("app-1"), DIGITALOCEAN_TOKEN="another") == EXIT_USAGE
    assert time.sleeps == 0
    assert "the token needs the scopes droplet:read and monitoring:read" in capsys.readouterr().out


def test_a_key_that_may_not_read_the_status_is_reported_at_once(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    (new,) = cloud.boot("app-1")
    assert run(cloud, new, SPACES_ACCESS_KEY_ID="another") == EXIT_USAGE
    assert time.sleeps == 0
    told = f"new: Spaces answered 403: the key in SPACES_ACCESS_KEY_ID may not read the bucket {APP}"
    assert told in capsys.readouterr().out


def test_a_droplet_that_is_gone_is_not_waited_for(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cloud, "1") == EXIT_USAGE
    assert capsys.readouterr().out == "new: the droplet is gone\n"


@pytest.mark.parametrize("name", ["DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"])
def test_without_a_key_it_says_so(cloud: Cloud, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(cloud, "1", **{name: ""}) == EXIT_USAGE
    assert capsys.readouterr().out == f"new: {name} is not set; see .env.example\n"


def test_the_limit_can_be_set_and_waiting_left_out(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    new = cloud.add("app-1")
    begin = time.seconds
    assert run(cloud, new, limit="60") == EXIT_NOT_SERVING
    assert time.seconds - begin == 60
    assert run(cloud, new, limit="0") == 0
    assert run(cloud, new, limit="soon") == EXIT_USAGE
    assert "PRESENCE360_WAIT_SECONDS is not a number of seconds: 'soon'" in capsys.readouterr().out


def test_it_runs_with_the_standard_library_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "ops.wait_until_serving", "--help"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
