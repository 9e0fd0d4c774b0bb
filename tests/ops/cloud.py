"""A local DigitalOcean in this process, whose time passes only where a test's clock sleeps."""

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.local_digitalocean import clock as local
from lab.local_digitalocean.faults import Fault
from lab.local_digitalocean.server import Server
from model.config import config_bucket, status_bucket
from model.naming import Names
from model.status import ENVIRONMENT_MANIFEST, manifest_key, status_key
from ops.waiting import Clock

TOKEN = "the-token"
BOOT_SECONDS = 20
NAMES = Names("staging")
APP = status_bucket(NAMES, "app")


@dataclass
class Time:
    """Time that passes only in `sleep`, with what happens then by the number of the sleep."""

    seconds: float = 1_700_000_000.0
    then: dict[int, Callable[[], object]] = field(default_factory=dict)
    sleeps: int = 0

    def sleep(self, seconds: float) -> None:
        """Pass some seconds at once."""
        self.sleeps += 1
        self.seconds += seconds
        self.then.get(self.sleeps, lambda: None)()

    @property
    def clock(self) -> Clock:
        """The clock of what is tested."""
        return Clock(now=lambda: self.seconds, sleep=self.sleep)


class Cloud:
    """Groups `app` and `worker` of staging, with a load balancer in front of `app`.

    Attributes:
        environ: the variables with which programs use it.
    """

    def __init__(self, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = time
        self.server = Server(
            token=TOKEN,
            clock=local.Clock(now=lambda: time.seconds, sleep=time.sleep),
            durations=local.Durations(droplet=BOOT_SECONDS, serving=10, release=25),
        ).start()
        self.server.spaces.forget()
        self.environ = self.server.environment()
        for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, self.environ[name])
        self.serve(False)
        for group in ("app", "worker"):
            for bucket in (status_bucket(NAMES, group), config_bucket(NAMES, group)):
                self._make_bucket(bucket)
        rule = {"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 80}
        front = {"name": "front", "region": "fra1", "tag": "staging-group-app", "forwarding_rules": [rule]}
        self.load_balancer: str = self.ask("POST", "/v2/load_balancers", front)["load_balancer"]["id"]

    def _make_bucket(self, name: str) -> None:
        credential = f"Credential={self.environ['SPACES_ACCESS_KEY_ID']}/20260101/us-east-1/s3/aws4_request"
        request = urllib.request.Request(
            f"http://{name}.fra1.digitaloceanspaces.test/",
            method="PUT",
            headers={"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=none"},
        )
        urllib.request.build_opener().open(request, timeout=30).close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the API or to a switch."""
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

    def add(self, name: str, group: str = "app") -> str:
        """Make a droplet, which boots for `BOOT_SECONDS`."""
        made = self.ask("POST", "/v2/droplets", {"name": name, **droplet(group)})
        return str(made["droplet"]["id"])

    def boot(self, *names: str, group: str = "app") -> list[str]:
        """Make droplets that run what is deployed."""
        made = [self.add(name, group) for name in names]
        self.time.seconds += BOOT_SECONDS
        for one in made:
            self.heal(one)
        return made

    def serve(self, serve: bool) -> None:
        """Set whether new droplets get healthy by themselves."""
        self.ask("PUT", "/_local/droplets", {"serve": serve})

    def heal(self, droplet_id: str, healthy: bool = True) -> None:
        """Make a droplet healthy, or not."""
        self.ask("PUT", f"/_local/droplets/{droplet_id}", {"healthy": healthy})

    def releases_work(self, work: bool) -> None:
        """Set whether new releases succeed."""
        self.ask("PUT", "/_local/releases", {"work": work})

    def set_status(self, droplet_id: str, status: str) -> None:
        """Set what the API says of a droplet."""
        self.server.account.tables["droplets"][droplet_id]["status"] = status

    def deploy(self, release: str, programs: str = "p1", *groups: str) -> None:
        """Write a manifest, as Terraform does at the end of a deploy."""
        manifest = {"objects": {}, "release": release, "programs": programs}
        for group in groups or ("app", "worker"):
            bucket = config_bucket(NAMES, group)
            self.server.spaces.put(bucket, manifest_key(ENVIRONMENT_MANIFEST), json.dumps(manifest).encode())

    def said(self, droplet_id: str, content: bytes, bucket: str = APP) -> None:
        """Write a status in place of the droplet, which does not speak any more: nothing lists it as its group's."""
        self.server.account.tables["droplets"][droplet_id]["tags"] = ["staging-group-app"]
        self.server.spaces.put(bucket, status_key(droplet_id), content)

    def fail(self, *faults: str) -> None:
        """Turn these faults on."""
        self.server.faults.faults = [Fault.read(one) for one in faults]


def droplet(group: str) -> dict[str, Any]:
    """What is asked of DigitalOcean for a droplet of a group."""
    tags = ["staging", f"staging-group-{group}"]
    return {"region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", "tags": tags}


def status(droplet_id: str, time: Time, **changed: object) -> bytes:
    """What a droplet says that serves release r1."""
    stamp = Clock(now=lambda: time.seconds).time().strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"version": 1, "droplet": droplet_id, "name": "app-1", "release": "r1", "wanted": "r1", "programs": "p1",
            "phase": "serving", "result": "ok", "reason": "", "since": stamp, "time": stamp}  # fmt: skip
    return json.dumps({**said, **changed}).encode()
