"""Staging at the local DigitalOcean with real Postgres, its buckets at a real gateway, and a droplet that answers.

What an operator runs is the real command, in a checkout of its own; Terraform and its provider are real too.
"""

import base64
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg

from lab import backup_programs, programs
from lab.local_digitalocean.server import Server as LocalDigitalOcean
from lab.local_postgres import SUPERUSER
from lab.managed_cluster import ADMINISTRATOR, Cluster, Tenant
from lab.object_storage import Gateway
from model.naming import CONTROL_PLANE_DATABASE, CONTROL_PLANE_USER, Names
from model.restore_drill import REQUEST_KEY
from ops.bucket import Bucket
from ops.drill.asking import Asking
from tests.backups.site import Site
from tests.drill.aging import Aging
from tests.drill.site import HOST, Droplet
from tests.ops.cdktf_deploy.checkout import Checkout

STAGING = Names("staging")
FORK = "staging-restore-drill"
GROUP = "app"
"""In staging it is the control group too."""

BACKUPS = "# Environment variables of every service.\n"


@dataclass
class Deployed(Cluster):
    """A cluster of the local DigitalOcean: what the API makes is made by the API.

    Attributes:
        ask: asks the API.
        identifier: the cluster's.
    """

    ask: Callable[..., Any] = lambda *_: None
    identifier: str = ""

    def create(self, *, control_plane: bool = True) -> "Cluster":
        """Take what DigitalOcean has made, and make what Terraform makes."""
        assert control_plane
        (administrator,) = self.ask("GET", f"{self._path}/users")["users"]
        self.passwords[ADMINISTRATOR] = administrator["password"]
        self.api_database(CONTROL_PLANE_DATABASE)
        self.api_user(CONTROL_PLANE_USER)
        programs.lay_out(self.droplet / "programs")
        for folder in ("scratch", "state"):
            (self.droplet / folder).mkdir()
        return self

    @property
    def _path(self) -> str:
        return f"/v2/databases/{self.identifier}"

    @property
    def connection(self) -> dict[str, Any]:
        """How it is reached in its network."""
        found: dict[str, Any] = self.ask("GET", self._path)["database"]["private_connection"]
        return found

    @property
    def reached(self) -> dict[str, Any]:
        """Host, port and authority, as Terraform writes them into objects."""
        encoded = self.ask("GET", f"{self._path}/ca")["ca"]["certificate"]
        shown = self.connection
        return {"host": shown["host"], "port": shown["port"], "ca": base64.b64decode(encoded).decode()}

    def api_database(self, name: str) -> None:
        self.ask("POST", f"{self._path}/dbs", {"name": name})

    def api_user(self, name: str) -> None:
        user = self.ask("POST", f"{self._path}/users", {"name": name})["user"]
        self.passwords[name] = user["password"]

    def configuration(self, overrides: dict[str, int]) -> dict[str, Any]:
        configuration = super().configuration(overrides)
        configuration["clusters"][0] |= self.reached
        return configuration

    def credentials(self, tenant: Tenant, generation: int = 1, *keep: int) -> dict[str, Any]:
        return {**super().credentials(tenant, generation, *keep), **self.reached}

    def _address(self, user: str, password: str, database: str) -> str:
        # Only the superuser is let in by the socket.
        host, sslmode = (self.server.host, "prefer") if user == SUPERUSER else (HOST, "require")
        port = self.connection["port"]
        return psycopg.conninfo.make_conninfo(
            host=host, port=port, user=user, password=password, dbname=database, sslmode=sslmode
        )


@dataclass
class Group:
    """The control group: fetches what is asked for and starts the drill's program, as its timers do.

    Attributes:
        droplet: its one droplet.
        config, status: its buckets.
        paused: whether the droplet is off.
        logs: of each start that had something to do.
    """

    droplet: Droplet
    config: Bucket
    status: Bucket
    paused: threading.Event = field(default_factory=threading.Event)
    logs: list[str] = field(default_factory=list)
    busy: threading.Event = field(default_factory=threading.Event)
    _end: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._end.set()

    def _run(self) -> None:
        while not self._end.wait(0.5):
            content = None if self.paused.is_set() else self.config.read(REQUEST_KEY)
            if content is None:
                continue
            request = json.loads(content)
            self.droplet.write(Asking(request.pop("id"), self.config, self.status), request)
            self.busy.set()
            log, _ = self.droplet.start().communicate(timeout=600)
            self.busy.clear()
            if log:
                self.logs.append(log)


class Command:
    """One run of `presence360`; what it says is read meanwhile."""

    def __init__(self, checkout: Checkout, *arguments: str, **environ: str) -> None:
        self.lines: list[str] = []
        self._checkout = checkout
        self.process = subprocess.Popen(
            [checkout.folder / "bin/presence360", *arguments],
            cwd=checkout.folder,
            env={**checkout.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as said:
            for line in said:
                self.lines.append(line.rstrip())

    @property
    def said(self) -> str:
        """All that it said."""
        return "\n".join(self.lines)

    def until(self, what: str | Callable[[], object], seconds: float = 600) -> None:
        """Wait until it has said something, or until something is so."""
        end = time.monotonic() + seconds
        while not (what in self.said if isinstance(what, str) else what()):
            assert self.process.poll() is None, f"it ended before {what!r}:\n{self.said}"
            assert time.monotonic() < end, f"not within {seconds} s: {what!r}:\n{self.said}"
            time.sleep(0.05)

    def ended(self, seconds: float = 900) -> int:
        """Wait for its end; return its exit status."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def kill(self, *, terraform: bool = False) -> None:
        """End it at once, and what it has started too, or not."""
        started = self.process.pid
        children = psutil.Process(started).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        for child in children if terraform else ():
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait(30)
        self._reader.join(1)


@dataclass
class Estate:
    """Staging, with churches that have content, dumps, and a backup between two of them.

    Attributes:
        cloud: the local DigitalOcean.
        storage: the operator's way to the object gateway.
        checkout: where the operator is.
        cluster: the environment's own.
        site: of the dumps.
        tenants: the churches.
        group: the control group.
        folder: for files of the operator's.
    """

    cloud: LocalDigitalOcean
    storage: Aging
    checkout: Checkout
    cluster: Deployed
    site: Site
    tenants: Sequence[Tenant]
    group: Group
    folder: Path

    def command(self, *arguments: str, **environ: str) -> Command:
        """Start `presence360 drill staging`."""
        identity = self.folder / "drill.key"
        identity.write_text(self.site.keys[1].secret, encoding="utf-8")
        return Command(self.checkout, "drill", "staging", "--identity", str(identity), *arguments, **environ)

    def clusters(self) -> list[str]:
        """The account's clusters."""
        return sorted(one["name"] for one in self.ask("GET", "/v2/databases")["databases"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API."""
        return ask(self.cloud, method, path, body)

    def a_quarter_of_an_hour_later(self) -> None:
        """Make what a killed program said last as old as that."""
        self.storage.pass_by(timedelta(minutes=16))

    def orphans(self) -> list[psutil.Process]:
        """Terraform, without the program that started it."""
        return [
            one
            for one in psutil.process_iter(["cmdline"])
            if str(self.checkout.folder) in " ".join(one.info["cmdline"] or ())
            and one.name().startswith("terraform")
        ]

    def left(self) -> dict[str, Any]:
        """All that a drill may leave: nothing, where it is empty."""
        projects = [one["name"] for one in self.ask("GET", "/v2/projects")["projects"]]
        tags = [one["name"] for one in self.ask("GET", "/v2/tags")["tags"]]
        state = self.checkout.folder / f"terraform.{FORK}.tfstate"
        found = {
            "clusters": [name for name in self.clusters() if name != STAGING.cluster("shared")],
            "projects": [name for name in projects if "drill" in name],
            "tags": [name for name in tags if "drill" in name],
            "state": json.loads(state.read_text())["resources"] if state.exists() else [],
            "asked": [one.key for one in self.group.config.versions("requests/")],
            "sent": [one.key for one in self.group.status.versions("drill/") if one.key.endswith(".age")],
            "on the droplet": [
                str(one) for one in (self.group.droplet.home / "scratch").rglob("*") if one.is_dir()
            ],
            "terraform": [one.pid for one in self.orphans()],
        }
        return {name: value for name, value in found.items() if value}


def ask(cloud: LocalDigitalOcean, method: str, path: str, body: Any = None) -> Any:
    """Ask the local DigitalOcean."""
    request = urllib.request.Request(  # noqa: S310  (an address of loopback)
        cloud.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer local-digitalocean"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def operators_variables(cloud: LocalDigitalOcean, gateway: Gateway, storage: Aging) -> Mapping[str, str]:
    """What is in an operator's shell."""
    return {
        "DIGITALOCEAN_API_URL": cloud.url,
        "DIGITALOCEAN_TOKEN": "local-digitalocean",
        "SPACES_ENDPOINT_URL": storage.endpoint,
        "SPACES_ACCESS_KEY_ID": gateway.access_key,
        "SPACES_SECRET_ACCESS_KEY": gateway.secret_key,
        "NO_PROXY": HOST,
        "no_proxy": HOST,
        "PATH": f"{backup_programs.programs()}:{os.environ['PATH']}",
        # A line is a line.
        "COLUMNS": "1000",
    }
