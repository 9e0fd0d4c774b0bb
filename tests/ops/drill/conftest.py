"""The local DigitalOcean with an environment's network, cluster and buckets, and a droplet that answers a drill."""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lab import backup_programs
from lab.debian import MissingError
from lab.local_digitalocean.clock import Durations
from lab.local_digitalocean.server import Server
from model.drill_status import said_key, sent_key
from model.loader import load_environments
from model.naming import Names
from model.plan import EnvironmentPlan, plan_environment
from model.restore_drill import REQUEST_KEY
from ops.bucket import Bucket
from ops.drill.forks import Forks
from ops.drill.place import Place
from ops.terraform import Terraform
from ops.waiting import Clock
from tests.support import ENVIRONMENTS, synthesize_folder

NAME = "production-restore-drill"
CHURCH = "tenant_10000000-0000-4000-8000-000000000001"


@dataclass
class Cloud:
    """The account.

    Attributes:
        environ: what programs are given.
        folder: for states and output.
        said: what the program told.
    """

    server: Server
    environ: dict[str, str]
    folder: Path
    said: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  (an address of loopback)
            self.environ["DIGITALOCEAN_API_URL"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.environ['DIGITALOCEAN_TOKEN']}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def cluster(self, name: str, *tags: str, project: str | None = None) -> str:
        body = {
            "name": name, "engine": "pg", "version": "17", "size": "db-s-4vcpu-8gb", "region": "fra1", "num_nodes": 1,
            "tags": list(tags), "project_id": project,
        }  # fmt: skip
        return str(self.ask("POST", "/v2/databases", body)["database"]["id"])

    def clusters(self) -> list[str]:
        return sorted(one["name"] for one in self.ask("GET", "/v2/databases?per_page=200")["databases"])

    def bucket(self, what: str) -> Bucket:
        return Bucket.of(self.environ, "fra1", Names("production").bucket(what))

    def fork(self) -> str:
        """Make what a drill makes first: a cluster with all three of its marks."""
        project = {"name": f"{NAME}-presence360", "purpose": "Web Application"}
        found = [
            one
            for one in self.ask("GET", "/v2/projects?per_page=200")["projects"]
            if one["name"] == project["name"]
        ]
        made = found[0] if found else self.ask("POST", "/v2/projects", project)["project"]
        return self.cluster(NAME, NAME, project=made["id"])

    def says(self, run_id: str, state: str) -> None:
        """Write what a droplet says of a run; by a clock of its own, which is days behind."""
        said = {
            "version": 1,
            "id": run_id,
            "droplet": "control-1",
            "time": "2026-11-20T00:00:00Z",
            "state": state,
        }
        self.bucket("status-control").write(said_key(run_id), json.dumps(said).encode())

    def wait(self, minutes: int) -> None:
        """Let time pass at Spaces: what is in the two buckets was written so much earlier."""
        for what in ("config-control", "status-control"):
            stored = self.server.spaces._backend.buckets[Names("production").bucket(what)]
            for key in stored.keys.values():
                key.last_modified -= timedelta(minutes=minutes)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    server = Server(durations=Durations(cluster=0.0)).start()
    server.spaces.forget()
    environ = server.environment()
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, environ[name])
    made = Cloud(server, environ, tmp_path)
    made.ask("POST", "/v2/vpcs", {"name": "production-vpc", "region": "fra1", "ip_range": "10.61.0.0/20"})
    made.ask("POST", "/v2/tags", {"name": "production-group-control"})
    made.cluster("production-pg-shared", "production")
    for what in ("config-control", "status-control", "tenant-registry", "tenant-credentials", "backups"):
        made.bucket(what)._call("create_bucket", Bucket=Names("production").bucket(what))
    entry: dict[str, Any] = {
        "id": CHURCH.removeprefix("tenant_"),
        "status": "active",
        "tier": "shared",
        "cell": "production",
    }
    entry |= {"database": CHURCH, "credentials": {"bucket": "x", "key": "tenants/1.json"}}
    gone = {**entry, "id": "2", "database": "tenant_2", "status": "retired", "credentials": None}
    made.bucket("tenant-registry").write("tenants/1.json", json.dumps(entry).encode())
    made.bucket("tenant-registry").write("tenants/2.json", json.dumps(gone).encode())
    record = {"database": CHURCH, "user": f"{CHURCH}_g1", "role": f"{CHURCH}_owner", "password": "of today"}
    made.bucket("tenant-credentials").write("tenants/1.json", json.dumps(record).encode())
    try:
        yield made
    finally:
        server.stop()


@pytest.fixture(scope="session")
def age() -> Path:
    try:
        return backup_programs.programs()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def production_plan() -> EnvironmentPlan:
    (file,) = (one for one in load_environments(ENVIRONMENTS) if one.file.environment == "production")
    return plan_environment(file)


@pytest.fixture
def place(cloud: Cloud, production_plan: EnvironmentPlan, age: Path) -> Place:
    """What a drill works with: real Terraform, and its state in a file."""
    drill = production_plan.drill
    assert drill
    outdir = cloud.folder / "out"

    def opened() -> Terraform:
        if not outdir.exists():
            synthesize_folder(ENVIRONMENTS, outdir, local_state=True)
        terraform = Terraform(outdir / "stacks" / NAME, {**subprocess.os.environ, **cloud.environ})  # type: ignore[attr-defined]
        terraform.init()
        return terraform

    return Place(
        plan=production_plan,
        drill=drill,
        forks=Forks.of(drill, cloud.environ),
        open_stack=opened,
        buckets=lambda name: Bucket.of(cloud.environ, "fra1", name),
        clock=Clock(sleep=lambda _: time.sleep(0.05)),
        age=str(age / "age"),
    )


def reported(**changed: Any) -> bytes:
    """Return a report as a droplet writes it."""
    at = "2026-11-27T01:00:00Z"
    database = {
        "database": CHURCH,
        "passed": True,
        "way": "dump",
        "tables": 3,
        "rows": 12,
        "restore_seconds": 1.5,
    }
    value = {
        "version": 1, "id": "run-12345678", "environment": "production", "source": "shared", "droplet": "control-1",
        "backup": at, "started": at, "finished": at, "passed": True, "problems": [], "notes": [], "fork_seconds": 600,
        "rto_seconds": 660, "rpo_seconds": 7200, "dump_rpo_seconds": 3600, "left": [], "databases": [database],
        "known": {CHURCH: {"at": at, "way": "dump"}},
    }  # fmt: skip
    return json.dumps({**value, **changed}).encode()


class Droplet:
    """Answers one drill as droplet/drill does, and keeps what it was sent."""

    def __init__(
        self, cloud: Cloud, age: Path, *, passed: bool = True, stop: Callable[[], object] | None = None
    ) -> None:
        self.cloud, self.age, self.passed, self.stop = cloud, age, passed, stop
        self.request: dict[str, Any] = {}
        self.sent: dict[str, Any] = {}
        self.problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(300)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._answer()
        except Exception as error:  # shown by the test
            self.problem = error

    def _answer(self) -> None:
        config, status = self.cloud.bucket("config-control"), self.cloud.bucket("status-control")
        self.request = json.loads(eventually(lambda: config.read(REQUEST_KEY)))
        if self.stop:
            self.stop()
            return
        made = subprocess.run([self.age / "age-keygen"], capture_output=True, text=True, check=True).stdout
        secret, public = made.splitlines()[-1], made.partition("public key: ")[2].splitlines()[0]
        said = {
            "version": 1,
            "id": self.request["id"],
            "droplet": "control-1",
            "time": "2026-11-27T01:00:00Z",
        }

        def say(**members: Any) -> None:
            status.write(said_key(self.request["id"]), json.dumps({**said, **members}).encode())

        say(state="waiting", recipient=public)
        content = eventually(lambda: status.read(sent_key(self.request["id"], public)))
        identity = self.cloud.folder / "identity"
        identity.write_text(secret, encoding="utf-8")
        done = subprocess.run(
            [self.age / "age", "--decrypt", "--identity", identity],
            input=content,
            capture_output=True,
            check=True,
        )
        self.sent = json.loads(done.stdout)
        say(state="running", done=1, of=2, failed=0)
        time.sleep(0.5)
        report = "drills/20261127T010000Z.json"
        problems = [] if self.passed else ["tenant_1: readable: damaged pages"]
        self.cloud.bucket("backups").write(report, reported(passed=self.passed, problems=problems))
        say(state="ended", passed=self.passed, problems=problems, report=report)


def eventually(question: Callable[[], Any], seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := question():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")
