"""The program that Terraform runs for a new droplet, alone. The rehearsal runs it in deploys (lab/rehearsal)."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.local_digitalocean import clock as local
from lab.local_digitalocean.faults import Fault
from lab.local_digitalocean.monitoring import HEALTH
from lab.local_digitalocean.server import Server
from ops.wait_until_serving import (
    EXIT_NOT_SERVING,
    EXIT_USAGE,
    LIMIT_VARIABLE,
    Clock,
    Droplet,
    main,
    state_behind,
)
from tests.support import ROOT

TOKEN = "the-token"
BOOT_SECONDS = 20


@dataclass
class Time:
    """Time that passes only in `sleep`, with what happens then by the number of the sleep."""

    seconds: float = 1_700_000_000.0
    then: dict[int, Callable[[], object]] = field(default_factory=dict)
    sleeps: int = 0

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.seconds += seconds
        self.then.get(self.sleeps, lambda: None)()


class Cloud:
    """A local DigitalOcean with a load balancer in front of the droplets that carry the tag `app`."""

    def __init__(self, time: Time) -> None:
        self.server = Server(
            token=TOKEN,
            clock=local.Clock(now=lambda: time.seconds, sleep=time.sleep),
            durations=local.Durations(droplet=BOOT_SECONDS, serving=10),
        ).start()
        self.ask("PUT", "/_local/droplets", {"serve": False})
        self.ask("POST", "/v2/tags", {"name": "app"})
        rule = {"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 80}
        balancer = {"name": "front", "region": "fra1", "tag": "app", "forwarding_rules": [rule]}
        self.load_balancer: str = self.ask("POST", "/v2/load_balancers", balancer)["load_balancer"]["id"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  (an address of loopback)
            self.server.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=30
        ) as response:
            return json.loads(response.read() or b"null")

    def add(self, name: str, *tags: str) -> str:
        """Make a droplet, which boots for `BOOT_SECONDS`."""
        wanted = {
            "name": name,
            "region": "fra1",
            "size": "s-1vcpu-1gb",
            "image": "debian-13-x64",
            "tags": list(tags),
        }
        return str(self.ask("POST", "/v2/droplets", wanted)["droplet"]["id"])

    def heal(self, droplet: str) -> None:
        self.ask("PUT", f"/_local/droplets/{droplet}", {"healthy": True})

    def set_status(self, droplet: str, status: str) -> None:
        self.server.account.tables["droplets"][droplet]["status"] = status

    def fail(self, *faults: str) -> None:
        self.server.faults.faults = [Fault.read(one) for one in faults]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cloud(time: Time) -> Iterator[Cloud]:
    cloud = Cloud(time)
    yield cloud
    cloud.server.stop()


def run(
    cloud: Cloud, droplet: str, time: Time, *more: str, limit: str | None = None, token: str = TOKEN
) -> int:
    environ = {"DIGITALOCEAN_TOKEN": token, "DIGITALOCEAN_API_URL": cloud.server.url}
    how = () if "--settle" in more else ("--load-balancer", cloud.load_balancer)
    return main(
        ["--droplet", droplet, "--name", "new", *how, *more],
        environ if limit is None else {**environ, LIMIT_VARIABLE: limit},
        Clock(now=lambda: time.seconds, sleep=time.sleep),
    )


def test_waits_until_the_load_balancer_calls_the_droplet_healthy(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.heal(cloud.add("app-1-aaaaaa", "app"))
    time.seconds += BOOT_SECONDS
    new = cloud.add("app-1-bbbbbb", "app")
    time.then[4] = lambda: cloud.heal(new)

    assert run(cloud, new, time) == 0

    assert time.sleeps == 4
    assert capsys.readouterr().out.splitlines() == [
        "new: it is new",
        "new: it fails its health checks (last result 0)",
        "new: serves, after 60 s",
    ]
    queries = {call.query for call in cloud.server.calls if call.route == HEALTH}
    for query in queries:
        begin, end = (int(part.partition("=")[2]) for part in query.split("&")[1:])
        assert query.startswith(f"lb_id={cloud.load_balancer}&start=")
        assert end - begin == 600
    assert queries


def test_gives_up_after_a_quarter_of_an_hour_and_says_what_is_missing(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.heal(cloud.add("app-1-aaaaaa", "app"))
    new = cloud.add("app-1-bbbbbb", "app")
    begin = time.seconds

    assert run(cloud, new, time) == EXIT_NOT_SERVING

    assert time.seconds - begin == 15 * 60
    said = capsys.readouterr().out
    assert "new: does not serve after 900 s. The droplet that it replaces, if any, stays." in said


def test_names_the_droplets_that_the_load_balancer_reports_on_when_it_is_not_among_them(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    known = cloud.add("app-1-aaaaaa", "app")
    time.seconds += BOOT_SECONDS
    new = cloud.add("app-1-bbbbbb")

    assert run(cloud, new, time) == EXIT_NOT_SERVING

    assert capsys.readouterr().out.splitlines()[:2] == [
        "new: it is new",
        f"new: the load balancer does not know it yet (it reports on {known})",
    ]


def test_an_api_that_stumbles_is_asked_again(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    new = cloud.add("app-1", "app")
    time.seconds += BOOT_SECONDS
    cloud.heal(new)
    cloud.fail("GET /v2/.* 503 1 1", "GET /v2/.* drop 2 1")
    assert run(cloud, new, time) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "new: the API answered 503"
    assert said[1].startswith("new: the API did not answer: ")
    assert time.sleeps == 2


def test_a_token_that_nobody_knows_is_reported_at_once(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cloud, cloud.add("app-1", "app"), time, token="another") == EXIT_USAGE
    assert time.sleeps == 0
    assert "the token needs the scopes droplet:read and monitoring:read" in capsys.readouterr().out


def test_a_token_without_the_scopes_is_reported_at_once(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    new = cloud.add("app-1", "app")
    cloud.fail("GET /v2/droplets/.* 403")
    assert run(cloud, new, time) == EXIT_USAGE
    assert time.sleeps == 0
    assert "the API answered 403" in capsys.readouterr().out


def test_a_droplet_that_is_gone_is_not_waited_for(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cloud, "1", time) == EXIT_USAGE
    assert capsys.readouterr().out == "new: the droplet is gone\n"


def test_without_a_token_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--droplet", "1", "--name", "new", "--settle", "1"], {}) == EXIT_USAGE
    assert capsys.readouterr().out == "new: DIGITALOCEAN_TOKEN is not set; see .env.example\n"


def test_without_a_load_balancer_a_droplet_has_to_run_for_a_while(cloud: Cloud, time: Time) -> None:
    new = cloud.add("worker-1")
    begin = time.seconds
    assert run(cloud, new, time, "--settle", "300") == 0
    # It boots for 20 s, which the third question sees after 30 s.
    assert time.seconds - begin == 2 * 15 + 300


def test_a_restart_begins_the_while_anew(cloud: Cloud, time: Time) -> None:
    new = cloud.add("worker-1")
    time.seconds += BOOT_SECONDS
    time.then[10] = lambda: cloud.set_status(new, "off")
    time.then[11] = lambda: cloud.set_status(new, "active")
    begin = time.seconds
    assert run(cloud, new, time, "--settle", "300") == 0
    assert time.seconds - begin == 11 * 15 + 300


def test_the_limit_can_be_set_and_waiting_left_out(
    cloud: Cloud, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    new = cloud.add("app-1", "app")
    begin = time.seconds
    assert run(cloud, new, time, limit="60") == EXIT_NOT_SERVING
    assert time.seconds - begin == 60
    assert run(cloud, new, time, limit="0") == 0
    assert run(cloud, new, time, limit="soon") == EXIT_USAGE
    assert "PRESENCE360_WAIT_SECONDS is not a number of seconds: 'soon'" in capsys.readouterr().out


# The API's document does not say which label of the metric names the droplet, so each of these has to do.
LABELS = {
    "name": "{name}",
    "id": "droplet-{id}",
    "address": "{address}:443",
}


def series(label: str, droplet: str, name: str, address: str, *samples: list[object]) -> dict[str, Any]:
    text = LABELS[label].format(id=droplet, name=name, address=address)
    return {"metric": {"lb_id": "4de7ac8b", "server": text}, "values": list(samples)}


NEW = Droplet("active", frozenset({"101", "app-1", "10.60.0.101"}))
MINE = ("101", "app-1", "10.60.0.101")


@pytest.mark.parametrize("label", LABELS)
def test_a_droplet_is_known_by_its_name_its_id_or_its_address(label: str) -> None:
    assert state_behind([series(label, *MINE, [1, "100"])], NEW) is None


@pytest.mark.parametrize("label", LABELS)
def test_another_droplets_health_is_not_taken_for_its_own(label: str) -> None:
    """Names, ids and addresses that begin alike: 101 and 1010, app-1 and app-1-bbbbbb."""
    others = ("1010", "app-1-bbbbbb", "10.60.0.1010")
    state = state_behind([series(label, *others, [1, "100"])], NEW)
    assert state is not None
    assert state.startswith("the load balancer does not know it yet")
    state = state_behind([series(label, *others, [1, "100"]), series(label, *MINE, [1, "0"])], NEW)
    assert state == "it fails its health checks (last result 0)"


@pytest.mark.parametrize(
    ("samples", "healthy"),
    [
        ([[3, "0"], [1, "100"], [2, "100"]], False),
        ([[3, "100"], [1, "0"], [2, "0"]], True),
        ([[3, "1"]], True),
        ([[3, "50"]], False),  # one of the load balancer's two nodes
        ([], False),
    ],
)
def test_the_last_sample_decides(samples: list[list[object]], healthy: bool) -> None:
    assert (state_behind([series("name", *MINE, *samples)], NEW) is None) == healthy


def test_it_runs_with_the_standard_library_alone() -> None:
    program = ROOT / "ops" / "wait_until_serving.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
