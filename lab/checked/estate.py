"""A deployed environment at the local DigitalOcean, with what its droplets say and what answers at its addresses."""

import json
import socket
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.checked.front import Front, trusting
from lab.checked.name_server import NameServer, Zones
from model.alert_receipt import RECEIPT
from model.backup_status import INDEX, STATUS_KEY, DumpName
from model.edge import NAME_SERVERS
from model.loader import Environment
from model.migration_status import DETAILS_KEY, SUMMARY_KEY
from model.naming import CONTROL_PLANE_DATABASE, tenant_database
from model.plan import plan_environment
from model.restore_drill import REPORTS
from ops.bucket import Bucket
from ops.check.checks import CHECKS
from ops.check.finding import Colour
from ops.check.look import Look
from ops.check.run import Line, run
from ops.check.world import World
from ops.digitalocean import Spaces
from ops.name_servers import Server, plain
from ops.waiting import SYSTEM_CLOCK

VANTAGE = "8.8.4.4"
"""Some public address that is nobody's here; nothing is sent there."""


class Estate:
    """The environment, and what can be broken of it.

    Attributes:
        environment: its files.
        plan: what they decide.
        environ: the variables with which programs use the local DigitalOcean.
        front: what answers at the load balancers.
        names: the zones' name server.
        delegated: whom resolvers name as the zone's servers.
        open: addresses and ports that answer although they should not.
        seen_as: where the check runs.
    """

    def __init__(
        self, environment: Environment, environ: Mapping[str, str], root: Path, outdir: Path
    ) -> None:
        self.environment, self.environ = environment, dict(environ)
        self.plan = plan_environment(environment)
        self.front = Front(self.plan.edge.certificate_domains)
        self.names = NameServer(self._zones)
        self.delegated = plain(NAME_SERVERS)
        self.open: set[tuple[str, int]] = set()
        self.seen_as = VANTAGE
        self.root, self.outdir = root, outdir

    @property
    def state(self) -> Path:
        """The file with the state of the environment's own stack, where Terraform made it in the lab."""
        return self.outdir.parent / f"terraform.{self.plan.name}.tfstate"

    def close(self) -> None:
        """Stop what answers."""
        self.front.close()
        self.names.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the API, or to a switch."""
        request = urllib.request.Request(  # noqa: S310 (an address of loopback)
            self.environ["DIGITALOCEAN_API_URL"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.environ['DIGITALOCEAN_TOKEN']}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def all(self, path: str, key: str) -> list[dict[str, Any]]:
        """Return a list of the API."""
        found: list[dict[str, Any]] = self.ask("GET", f"{path}?per_page=200")[key]
        return found

    def named(self, path: str, key: str, name: str) -> dict[str, Any]:
        """Return the entry of a list with a name."""
        return next(one for one in self.all(path, key) if one["name"] == name)

    @property
    def spaces(self) -> Spaces:
        """The region's Spaces."""
        return Spaces.of(self.environ, self.plan.network.region)

    def put(self, bucket: str, key: str, value: object) -> None:
        """Write an object of JSON, or of text."""
        content = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.spaces.write(bucket, key, content)

    def speak(self, now: datetime | None = None) -> None:
        """Write what the droplets' programs say of alerts, dumps, drills and migrations when all is well."""
        at = now or SYSTEM_CLOCK.time()
        stamp = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        plan = self.plan
        if plan.observability:
            receipt = {"version": 1, "id": "1", "by": "ada@laptop", "asked": stamp, "time": stamp, "name": "observer",
                       "reason": "", "ways": {"email": True}}  # fmt: skip
            self.put(plan.observability.status_bucket, RECEIPT, receipt)
        databases = [CONTROL_PLANE_DATABASE, *(tenant_database(one.key) for one in plan.tenants)]
        if plan.backups:
            dumped = [
                {"cluster": "shared", "database": one, "at": stamp, "bytes": 1, "tries": 0, "reason": ""}
                for one in databases
            ]
            said = {"time": stamp, "night": stamp, "trouble": [], "databases": dumped}
            self.put(plan.backups.bucket, STATUS_KEY, said)
            self.copy(at, databases)
            began = f"{at - timedelta(days=3):%Y%m%dT%H%M%SZ}"
            self.put(plan.backups.bucket, f"{REPORTS}/{began}.json", self.drill_report(stamp))
        for group in plan.groups:
            if group.isolation and group.migrations:
                images = {one.service: one.image for one in group.migrations.jobs}
                summary = {"state": "done", "reason": "", "images": images, "failed": [], "time": stamp}
                self.put(group.config.status_bucket, SUMMARY_KEY, summary)
                details = [
                    {"cluster": "shared", "database": one, "result": "done", "image": None, "revision": "0001",
                     "since": stamp, "reason": "", "tries": 0}
                    for one in databases
                ]  # fmt: skip
                self.put(group.config.status_bucket, DETAILS_KEY, {"databases": details})

    def copy(self, at: datetime, databases: Sequence[str]) -> None:
        """Write into the second bucket that dumps of these databases were copied."""
        if plan := self.plan.backups:
            bucket, folder = (
                Bucket.of(self.environ, plan.copy_region, plan.copy_bucket),
                next(iter(plan.copy_days)),
            )
            for one in databases:
                bucket.write(f"{folder}/{DumpName(one, at, 'shared').folder}/{INDEX}", b"{}")

    def drill_report(self, stamp: str, *problems: str) -> dict[str, Any]:
        """Return the report of a restore drill (model/drill_status.py); with a problem it failed."""
        return {
            "version": 1, "environment": self.plan.name, "source": "shared", "started": stamp, "finished": stamp,
            "backup": stamp, "passed": not problems, "problems": problems, "notes": [], "databases": [], "left": [],
            "rto_seconds": 60, "rpo_seconds": 3600, "dump_rpo_seconds": 3600, "fork_seconds": 300, "known": {},
        }  # fmt: skip

    def check(self, *names: str) -> dict[str, Line]:
        """Run the checks of these names, or all; return the lines by name."""
        look = Look(self.environment, self.environ, self._world(), SYSTEM_CLOCK, self.root, self.outdir)
        chosen = [one for one in CHECKS if not names or one.name in names]
        return {line.check.name: line for line in run(look, chosen)}

    def colour(self, name: str) -> Colour:
        """Return the colour of one line."""
        return self.check(name)[name].colour

    def _world(self) -> World:
        return World(
            connect=self._connect,
            trusted=trusting(self.front.authority),
            name_servers=lambda: dict.fromkeys(NAME_SERVERS, self.names.address),
            delegation=self._delegation,
            seen_as=self.seen_as,
            local=lambda _: "10.1.2.3",
        )

    def _delegation(self, _domain: str, _asked: Server | None = None) -> frozenset[str]:
        return self.delegated

    def _connect(self, host: str, port: int, seconds: float) -> socket.socket:
        """Connect to what stands for an address: load balancers and name servers answer, and nobody else anywhere."""
        balancers = {str(one["ip"]) for one in self.all("/v2/load_balancers", "load_balancers")}
        if (host, port) in {*self.open, self.names.address}:
            return self.front.connect(80, seconds)
        if host in balancers and port in {80, 443}:
            return self.front.connect(port, seconds)
        raise TimeoutError("nobody answers")

    def _zones(self) -> Zones:
        return {
            str(one["name"]): self.all(f"/v2/domains/{one['name']}/records", "domain_records")
            for one in self.all("/v2/domains", "domains")
        }
