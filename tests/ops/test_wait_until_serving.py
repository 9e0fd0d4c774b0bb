"""The program that holds an old droplet's end back: alone, and under a real Terraform and provider."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.wait_until_serving import EXIT_NOT_SERVING, EXIT_USAGE, LIMIT_VARIABLE, Clock, main
from tests.support import ENVIRONMENTS

ROOT = Path(__file__).parents[2]
LOAD_BALANCER = "4de7ac8b-495b-4884-9a69-1050c6793cd6"


class DigitalOcean:
    """The droplet endpoints and the one metric, on loopback; records what happened in which order."""

    def __init__(self) -> None:
        self.droplets: dict[str, dict[str, Any]] = {}
        self.healthy: set[str] = set()
        self.label = "server"
        self.label_is = "name"
        self.events: list[str] = []
        self.fail_with = 0
        self._next = 100
        handler = type("Handler", (_Handler,), {"account": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, *, status: str = "active", tags: list[str] | None = None) -> str:
        self._next += 1
        number = self._next
        self.droplets[str(number)] = {
            "id": number,
            "name": name,
            "status": status,
            "locked": False,
            "region": {"slug": "fra1"},
            "size": {"slug": "s-2vcpu-4gb", "price_hourly": 0.1, "price_monthly": 1.0},
            "size_slug": "s-2vcpu-4gb",
            "image": {"id": 1, "slug": "debian-13-x64"},
            "features": ["monitoring"],
            "tags": sorted(set(tags or [])),
            "disk": 80,
            "vcpus": 2,
            "memory": 4096,
            "created_at": "2026-01-01T00:00:00Z",
            "vpc_uuid": "5a4981aa-9653-4bd1-bef5-d6bff52042e4",
            "networks": {
                "v4": [
                    {"ip_address": f"10.60.0.{number % 250}", "type": "private"},
                    {"ip_address": f"192.0.2.{number % 250}", "type": "public"},
                ],
                "v6": [],
            },
        }
        self.events.append(f"created {number}")
        return str(number)

    def health(self) -> list[dict[str, Any]]:
        values = []
        for droplet_id, droplet in self.droplets.items():
            label = {
                "name": droplet["name"],
                "id": f"droplet-{droplet_id}",
                "address": droplet["networks"]["v4"][0]["ip_address"] + ":443",
            }[self.label_is]
            value = "100" if droplet_id in self.healthy else "0"
            values.append({"metric": {"lb_id": LOAD_BALANCER, self.label: label}, "values": [[1, value]]})
        return values


class _Handler(BaseHTTPRequestHandler):
    account: DigitalOcean

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""

    def _answer(self, status: int, body: Any = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        content = b"" if body is None else json.dumps(body).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        account, url = self.account, urlsplit(self.path)
        if account.fail_with:
            self._answer(account.fail_with, {"message": "no"})
        elif found := re.fullmatch(r"/v2/droplets/(\d+)", url.path):
            droplet = account.droplets.get(found[1])
            self._answer(200, {"droplet": droplet}) if droplet else self._answer(
                404, {"message": "not found"}
            )
        elif url.path == "/v2/monitoring/metrics/load_balancer/droplets_health_checks":
            query = parse_qs(url.query)
            assert query["lb_id"] == [LOAD_BALANCER]
            assert int(query["end"][0]) - int(query["start"][0]) == 600
            assert self.headers["Authorization"] == "Bearer token"
            self._answer(
                200, {"status": "success", "data": {"resultType": "matrix", "result": account.health()}}
            )
        else:
            self._answer(500, {"message": f"unexpected GET {self.path}"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path == "/v2/droplets":
            droplet_id = self.account.add(body["name"], tags=body["tags"])
            self._answer(202, {"droplet": self.account.droplets[droplet_id]})
        elif found := re.fullmatch(r"/v2/droplets/(\d+)/actions", self.path):
            assert body["type"] == "shutdown"
            self.account.events.append(f"shut down {found[1]}")
            self.account.droplets[found[1]]["status"] = "off"
            self._answer(201, {"action": {"id": 1, "status": "completed", "type": "shutdown"}})
        else:
            self._answer(500, {"message": f"unexpected POST {self.path}"})

    def do_DELETE(self) -> None:
        droplet_id = self.path.rsplit("/", 1)[1]
        self.account.events.append(f"deleted {droplet_id}")
        del self.account.droplets[droplet_id]
        self._answer(204)


@pytest.fixture
def digitalocean() -> Iterator[DigitalOcean]:
    account = DigitalOcean()
    yield account
    account.close()


class FakeClock:
    """Time that passes in sleep only; what is to happen then may be given."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0
        self.then: dict[int, Any] = {}
        self.sleeps = 0

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.seconds += seconds
        self.then.get(self.sleeps, lambda: None)()

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep)


def run(
    account: DigitalOcean,
    droplet: str,
    *more: str,
    clock: FakeClock | None = None,
    limit: str | None = None,
) -> int:
    environ = {"DIGITALOCEAN_TOKEN": "token", "DIGITALOCEAN_API_URL": account.url}
    how = () if "--settle" in more else ("--load-balancer", LOAD_BALANCER)
    return main(
        ["--droplet", droplet, "--name", "new", *how, *more],
        environ if limit is None else {**environ, LIMIT_VARIABLE: limit},
        (clock or FakeClock()).clock,
    )


@pytest.mark.parametrize("label_is", ["name", "id", "address"])
def test_waits_until_the_load_balancer_calls_the_droplet_healthy(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str], label_is: str
) -> None:
    digitalocean.label_is = label_is
    old, new = digitalocean.add("app-1-aaaaaa"), digitalocean.add("app-1-bbbbbb")
    digitalocean.healthy = {old}
    clock = FakeClock()
    clock.then[3] = lambda: digitalocean.healthy.add(new)

    assert run(digitalocean, new, clock=clock) == 0

    assert clock.sleeps == 3
    assert capsys.readouterr().out.splitlines() == [
        "new: it fails its health checks (last result 0)",
        "new: serves, after 45 s",
    ]


@pytest.mark.parametrize("label_is", ["name", "id", "address"])
def test_another_droplets_health_is_not_taken_for_its_own(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str], label_is: str
) -> None:
    # Names, ids and addresses that begin alike: 101 and 1010, app-1 and app-1-bbbbbb.
    digitalocean.label_is = label_is
    new = digitalocean.add("app-1")
    droplet = digitalocean.droplets[new]
    digitalocean._next = 1009
    other = digitalocean.add("app-1-bbbbbb")
    digitalocean.droplets[other]["networks"]["v4"][0]["ip_address"] = (
        droplet["networks"]["v4"][0]["ip_address"] + "0"
    )
    digitalocean.healthy = {other}

    assert run(digitalocean, new) == EXIT_NOT_SERVING

    del digitalocean.droplets[other]
    assert "fails its health checks" in capsys.readouterr().out


def test_gives_up_after_a_quarter_of_an_hour_and_says_what_is_missing(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = digitalocean.add("app-1-aaaaaa"), digitalocean.add("app-1-bbbbbb")
    digitalocean.healthy = {old}
    clock = FakeClock()
    begin = clock.seconds

    assert run(digitalocean, new, clock=clock) == EXIT_NOT_SERVING

    assert clock.seconds - begin == 15 * 60
    said = capsys.readouterr().out
    assert "new: does not serve after 900 s. The droplet that it replaces, if any, stays." in said


def test_says_whom_the_load_balancer_reports_on_when_it_is_not_this_one(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str]
) -> None:
    digitalocean.add("app-1-aaaaaa")
    new = digitalocean.add("app-1-bbbbbb")
    digitalocean.droplets[new]["status"] = "new"
    known = digitalocean.health()[:1]
    digitalocean.health = lambda: known  # type: ignore[method-assign]
    clock = FakeClock()
    clock.then[1] = lambda: digitalocean.droplets[new].update(status="active")

    assert run(digitalocean, new, clock=clock) == EXIT_NOT_SERVING

    assert capsys.readouterr().out.splitlines()[:2] == [
        "new: it is new",
        "new: the load balancer does not know it yet (it reports on app-1-aaaaaa)",
    ]


def test_the_last_sample_decides(digitalocean: DigitalOcean) -> None:
    new = digitalocean.add("app-1")
    samples = [[3, "0"], [1, "100"], [2, "100"]]
    series = {"metric": {"server": "app-1"}, "values": samples}
    digitalocean.health = lambda: [series]  # type: ignore[method-assign]
    assert run(digitalocean, new) == EXIT_NOT_SERVING
    samples[0][1] = "100"
    assert run(digitalocean, new) == 0
    samples[0][1] = "50"  # one of the load balancer's two nodes
    assert run(digitalocean, new) == EXIT_NOT_SERVING
    samples.clear()
    assert run(digitalocean, new) == EXIT_NOT_SERVING


def test_an_api_that_stumbles_is_asked_again(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str]
) -> None:
    new = digitalocean.add("app-1")
    digitalocean.healthy = {new}
    digitalocean.fail_with = 503
    clock = FakeClock()
    clock.then[2] = lambda: setattr(digitalocean, "fail_with", 0)
    assert run(digitalocean, new, clock=clock) == 0
    assert capsys.readouterr().out.splitlines()[0] == "new: the API answered 503"


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_may_not_ask_is_said_at_once(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    digitalocean.fail_with = status
    clock = FakeClock()
    assert run(digitalocean, "1", clock=clock) == EXIT_USAGE
    assert clock.sleeps == 0
    assert "the token needs the scopes droplet:read and monitoring:read" in capsys.readouterr().out


def test_a_droplet_that_is_gone_is_not_waited_for(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(digitalocean, "1") == EXIT_USAGE
    assert capsys.readouterr().out == "new: the droplet is gone\n"


def test_without_a_token_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--droplet", "1", "--name", "new", "--settle", "1"], {}) == EXIT_USAGE
    assert capsys.readouterr().out == "new: DIGITALOCEAN_TOKEN is not set; see .env.example\n"


def test_without_a_load_balancer_a_droplet_has_to_run_for_a_while(digitalocean: DigitalOcean) -> None:
    new = digitalocean.add("worker-1", status="new")
    clock = FakeClock()
    clock.then[2] = lambda: digitalocean.droplets[new].update(status="active")
    begin = clock.seconds
    assert run(digitalocean, new, "--settle", "300", clock=clock) == 0
    assert clock.seconds - begin == 2 * 15 + 300


def test_a_restart_begins_the_while_anew(digitalocean: DigitalOcean) -> None:
    new = digitalocean.add("worker-1")
    clock = FakeClock()
    clock.then[10] = lambda: digitalocean.droplets[new].update(status="off")
    clock.then[11] = lambda: digitalocean.droplets[new].update(status="active")
    begin = clock.seconds
    assert run(digitalocean, new, "--settle", "300", clock=clock) == 0
    assert clock.seconds - begin == 11 * 15 + 300


def test_the_limit_can_be_set_and_waiting_left_out(
    digitalocean: DigitalOcean, capsys: pytest.CaptureFixture[str]
) -> None:
    new = digitalocean.add("app-1")
    clock = FakeClock()
    begin = clock.seconds
    assert run(digitalocean, new, clock=clock, limit="60") == EXIT_NOT_SERVING
    assert clock.seconds - begin == 60
    assert run(digitalocean, new, limit="0") == 0
    assert run(digitalocean, new, limit="soon") == EXIT_USAGE
    assert "PRESENCE360_WAIT_SECONDS is no number of seconds: 'soon'" in capsys.readouterr().out


def test_it_runs_with_the_standard_library_alone() -> None:
    program = ROOT / "ops" / "wait_until_serving.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Terraform:
    """One stack's folder, where cdktf would run Terraform in it."""

    def __init__(self, folder: Path, account: DigitalOcean) -> None:
        self.folder = folder
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TF_VAR_")},
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "DIGITALOCEAN_TOKEN": "token",
            "DIGITALOCEAN_API_URL": account.url,
            LIMIT_VARIABLE: "3",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def apply(self) -> subprocess.CompletedProcess[str]:
        return self.run("apply", "-auto-approve", "-input=false")


@pytest.fixture
def terraform(tmp_path: Path, digitalocean: DigitalOcean) -> Terraform:
    """The droplet of staging's group `app` and what waits for it, as synthesized; the rest is given."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on the PATH")
    from model.loader import load_environments  # noqa: PLC0415
    from model.plan import plan_environment  # noqa: PLC0415
    from stacks.app import synthesize  # noqa: PLC0415

    plans = [plan_environment(environment) for environment in load_environments(ENVIRONMENTS)]
    synthesize(plans, tmp_path / "cdktf.out", local_state=True)
    folder = tmp_path / "cdktf.out" / "stacks" / "staging"
    (tmp_path / "ops").symlink_to(ROOT / "tools")
    stack = json.loads((folder / "cdk.tf.json").read_text())
    droplets = _of_group(stack["resource"]["digitalocean_droplet"])
    waits = _of_group(stack["resource"]["terraform_data"])
    for droplet in droplets.values():
        del droplet["depends_on"]
    for wait in waits.values():
        interpreter = wait["provisioner"][0]["local-exec"]["interpreter"]
        interpreter[2:2] = ["--poll", "1"]
    reduced = {
        "terraform": {"required_providers": stack["terraform"]["required_providers"]},
        "provider": stack["provider"],
        "resource": {"digitalocean_droplet": droplets, "terraform_data": waits},
        "locals": _of_group(stack["locals"]),
    }
    given = {"loadbalancer": LOAD_BALANCER, "vpc": "5a4981aa-9653-4bd1-bef5-d6bff52042e4"}
    text = re.sub(
        r"\$\{digitalocean_(?!droplet\.)(\w+)\.[^}]*\}",
        lambda reference: given.get(reference[1], "given"),
        json.dumps(reduced),
    )
    (folder / "cdk.tf.json").write_text(text)
    terraform = Terraform(folder, digitalocean)
    initialized = terraform.run("init", "-input=false")
    if "Failed to query available provider packages" in initialized.stderr:
        pytest.skip(f"terraform init finds no provider here: {' '.join(initialized.stderr.split())[:200]}")
    assert initialized.returncode == 0, initialized.stderr
    return terraform


def _of_group(resources: dict[str, Any]) -> dict[str, Any]:
    return {name: body for name, body in resources.items() if name.startswith("group-app_")}


def replace_droplets(terraform: Terraform) -> None:
    """Change what forces replacement, the user data, and the generation in the name with it."""
    file = terraform.folder / "cdk.tf.json"
    stack = json.loads(file.read_text())
    for droplet in stack["resource"]["digitalocean_droplet"].values():
        droplet["user_data"] = droplet["user_data"].replace("}", "}# and more\n")
        droplet["name"] = droplet["name"][:-6] + "ffffff"
    file.write_text(json.dumps(stack))


def test_an_old_droplet_goes_only_after_its_successor_serves(
    digitalocean: DigitalOcean, terraform: Terraform
) -> None:
    digitalocean.healthy = {"101"}
    done = terraform.apply()
    assert done.returncode == 0, done.stderr
    replace_droplets(terraform)

    # The successor comes up and does not serve: the deploy fails and says so, and nothing else happens.
    done = terraform.apply()
    assert done.returncode == 1
    assert "does not serve after 3 s. The droplet that it replaces, if any, stays." in done.stdout
    assert digitalocean.events == ["created 101", "created 102"]

    # Deployed again while it still does not serve, it is waited for again.
    done = terraform.apply()
    assert done.returncode == 1
    assert digitalocean.events == ["created 101", "created 102"]

    digitalocean.healthy.add("102")
    done = terraform.apply()
    assert done.returncode == 0, done.stderr
    assert digitalocean.events == ["created 101", "created 102", "shut down 101", "deleted 101"]
    assert terraform.run("plan", "-detailed-exitcode").returncode == 0
