"""A client of the stand-in for tests: no port, a clock that passes when told, and a record of what was exchanged."""

import json
from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import Client

from lab.local_digitalocean.app import App
from lab.local_digitalocean.calls import CallLog
from lab.local_digitalocean.clock import Clock
from lab.local_digitalocean.faults import Faults
from lab.local_digitalocean.spaces import Spaces
from lab.local_digitalocean.store import Account, Servers

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA nobody@example.com"
ENOUGH_SECONDS = 600
"""After so long everything is ready."""


@dataclass
class Time:
    """Time that passes when told."""

    seconds: float = 1_750_000_000.0
    slept: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep)


@dataclass(frozen=True)
class Exchange:
    """A request and its answer."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any
    headers: dict[str, str]


@dataclass
class Api:
    """The API, asked in this process."""

    time: Time = field(default_factory=Time)
    servers: Servers | None = None
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.account = Account(clock=self.time.clock, servers=self.servers)
        self.faults = Faults(self.time.clock)
        self.calls = CallLog()
        app = App(self.account, Spaces(self.account), self.faults, self.calls)
        self._client = Client(app)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Exchange:
        """Send a request; return what was exchanged."""
        sent = {
            "Authorization": "Bearer local",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        response = self._client.open(path, method=method, json=body, headers=sent)
        text = response.get_data(as_text=True)
        exchange = Exchange(
            method, path.partition("?")[0], body, response.status_code, json.loads(text) if text else None,
            {name.lower(): value for name, value in response.headers.items()},
        )  # fmt: skip
        self.exchanges.append(exchange)
        return exchange

    def do(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request that succeeds; return the answer's one object, or all of it."""
        exchange = self.ask(method, path, body, **headers)
        assert exchange.status < 300, exchange
        objects = [value for value in (exchange.answer or {}).values() if isinstance(value, dict)]
        return objects[0] if method == "POST" and objects else exchange.answer

    def refused(self, status: int, method: str, path: str, body: Any = None) -> str:
        """Send a request that is refused; return why."""
        exchange = self.ask(method, path, body)
        assert exchange.status == status, exchange
        assert set(exchange.answer) == {"id", "message", "request_id"}
        return str(exchange.answer["message"])

    def wait(self, seconds: float = ENOUGH_SECONDS) -> None:
        """Let time pass."""
        self.time.seconds += seconds

    def vpc(self, name: str = "net", ip_range: str = "10.60.0.0/20") -> dict[str, Any]:
        made: dict[str, Any] = self.do(
            "POST", "/v2/vpcs", {"name": name, "region": "fra1", "ip_range": ip_range}
        )
        return made

    def droplet(self, **more: Any) -> dict[str, Any]:
        wanted = {"name": "web-1", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", **more}
        made: dict[str, Any] = self.do("POST", "/v2/droplets", wanted)
        return made

    def cluster(self, **more: Any) -> dict[str, Any]:
        wanted = {"name": "main-db", "engine": "pg", "version": "17", "size": "db-s-1vcpu-2gb", "region": "fra1",
                  "num_nodes": 1, **more}  # fmt: skip
        made: dict[str, Any] = self.do("POST", "/v2/databases", wanted)
        return made

    def certificate(self, name: str = "edge", *names: str) -> dict[str, Any]:
        wanted = {"name": name, "type": "lets_encrypt", "dns_names": list(names) or ["example.com"]}
        made: dict[str, Any] = self.do("POST", "/v2/certificates", wanted)
        return made

    def balancer(self, certificate: str, **more: Any) -> dict[str, Any]:
        rule = {"entry_protocol": "https", "entry_port": 443, "target_protocol": "https", "target_port": 443,
                "certificate_id": certificate}  # fmt: skip
        wanted = {"name": "front", "region": "fra1", "forwarding_rules": [rule], **more}
        made: dict[str, Any] = self.do("POST", "/v2/load_balancers", wanted)
        return made
