"""A small DigitalOcean for tests: droplets that boot for real, an object store, a metadata address.

All of it in network namespaces of its own: nothing listens on, or talks to, the machine's network.
"""

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, TypeVar

from tests.droplets.image import Image

VPC = "10.60.0.0/20"
GATEWAY = "10.60.0.1"
"""Where the load balancer, that is the test, comes from; and the object store's address."""
OUTSIDE = "198.51.100.9"
"""Somebody who is not in the VPC."""
METADATA = "169.254.169.254"
STORE_PORT = 9000
STORE_HOST = "spaces.test"

# dockerd switches forwarding on in its namespace, and calls what nspawn's filter refuses (keyctl, bpf).
_NSPAWN = {
    "UNIFIED_CGROUP_HIERARCHY": "1",
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
    "SYSTEMD_SECCOMP": "0",
}

_IN_CGROUPS = 'for group in $0; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

PATIENCE = 3

T = TypeVar("T")


def run(*command: str | Path, timeout: float = 120, check: bool = True) -> str:
    """Run a program on the machine."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{shlex.join(map(str, command))}: {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done.stdout


def eventually(what: str, seconds: float, ask: Callable[[], T], pause: float = 0.5) -> T:
    """Ask until the answer is true, and return it; the last answer or error is in the message otherwise.

    The seconds are an idle machine's; one with other work has `PATIENCE` times as long.
    """
    end, last = time.monotonic() + PATIENCE * seconds, None
    while time.monotonic() < end:
        try:
            last = ask()
            if last:
                return last
        except (OSError, ValueError, http.client.HTTPException, AssertionError) as error:
            last = error  # type: ignore[assignment]
        time.sleep(pause)
    raise AssertionError(f"not within {PATIENCE * seconds} s: {what}; last: {last!r}")


LABORATORIES = 2
"""More at a time, each of two droplets, take so long on two cores that what waits for them gives up."""


def sweep() -> None:
    """Remove what a run that was killed left behind; everything has its process's number in its name."""
    dead = re.compile(r"p360-(\d+)-[0-9a-f]{4}")

    def left(text: str) -> bool:
        found = dead.search(text)
        return found is not None and not Path(f"/proc/{found[1]}").exists()

    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if words[0].endswith("systemd-nspawn") and left(" ".join(words)):
                _kill(int(process.name))
            # Where nspawn itself was killed, the droplet lives on, in the control group that is named for it.
            elif left((process / "cgroup").read_text()):
                os.kill(int(process.name), signal.SIGKILL)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for path in sorted(filter(left, mounts), reverse=True):
        run("umount", "--lazy", path, check=False)
    for line in filter(left, run("ip", "netns", "list").splitlines()):
        run("ip", "netns", "delete", line.split()[0], check=False)
    for root in control_group_roots():
        for group in filter(lambda path: left(path.name), root.iterdir()):
            _remove_group(group)


def wait_for_room() -> IO[str]:
    """Wait until fewer than LABORATORIES run on this machine, and return what keeps the place until it is closed."""
    while True:
        for number in range(LABORATORIES):
            place = Path(tempfile.gettempdir(), f"p360-laboratory-{number}").open("w")  # noqa: SIM115 (the caller closes it)
            try:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                place.close()
            else:
                return place
        time.sleep(1)


def _kill(nspawn: int) -> None:
    """End a droplet by its nspawn: all that runs in it ends with its init."""
    for pid in (*_children(nspawn), nspawn):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def control_group_roots() -> list[Path]:
    """Return where groups of processes are made: as systemd in a droplet needs them."""
    roots = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        kind, options = fields[fields.index("-") + 1], fields[-1]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options):
            roots.append(Path(fields[4]))
    return roots


def _remove_group(group: Path) -> None:
    for folder in sorted(group.glob("**/"), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()


@dataclass(frozen=True)
class Answer:
    """What nginx on a droplet answered."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class Network:
    """A namespace with a bridge, where droplets plug in, and what a cloud has beside them."""

    name: str = field(default_factory=lambda: f"p360-{os.getpid()}-{secrets.token_hex(2)}")
    _stop: list[Callable[[], object]] = field(default_factory=list)

    def start(self) -> None:
        """Bring it up, when there is room for one more on this machine."""
        self._stop.append(wait_for_room().close)
        run("ip", "netns", "add", self.name)
        self._stop.append(lambda: run("ip", "netns", "delete", self.name))
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "vpc", "type", "bridge")
        for address in (f"{GATEWAY}/20", f"{OUTSIDE}/32", f"{METADATA}/16"):
            self.ip("address", "add", address, "dev", "vpc")
        self.ip("link", "set", "vpc", "up")

    def stop(self) -> None:
        """Take everything down, last first."""
        while self._stop:
            self._stop.pop()()

    def ip(self, *arguments: str) -> None:
        """Run ip(8) in it."""
        run("ip", "-netns", self.name, *arguments)

    def inside(self, work: Callable[[], T]) -> T:
        """Do something in a thread that is in the namespace; sockets made there stay there."""
        results: list[T] = []
        errors: list[BaseException] = []

        def body() -> None:
            try:
                with Path(f"/run/netns/{self.name}").open() as namespace:
                    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def plug(self, droplet: str, address: str) -> None:
        """Make a droplet's namespace with its address."""
        name = f"{self.name}-{droplet}"
        run("ip", "netns", "add", name)
        self._stop.append(lambda: run("ip", "netns", "delete", name))
        port = f"p{secrets.token_hex(4)}"
        self.ip("link", "add", port, "master", "vpc", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.ip("link", "set", port, "up")
        for arguments in (
            "link set lo up",
            f"address add {address}/20 dev eth0",
            "link set eth0 up",
            f"route add default via {GATEWAY}",
            f"route add {METADATA}/32 dev eth0",
        ):
            run("ip", "-netns", name, *arguments.split())

    def start_store(self, log: Path) -> None:
        """Start moto's S3 server: it knows buckets by host name, as Spaces does."""
        environment = {**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": f"http://{STORE_HOST}:{STORE_PORT}"}
        command = ["ip", "netns", "exec", self.name, sys.executable, "-m", "moto.server"]
        with log.open("w") as output:
            server = subprocess.Popen(
                [*command, "--host", GATEWAY, "--port", str(STORE_PORT)],
                env=environment,
                stdout=output,
                stderr=output,
            )
        self._stop.append(lambda: _end(server))
        eventually(
            "the object store answers", 30, lambda: self.http(GATEWAY, STORE_PORT, "/moto-api/").status
        )

    def start_metadata(self) -> None:
        """Answer on the metadata address, so that silence there means a firewall."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"the droplet's secrets")

            def log_message(self, *args: object) -> None:
                pass

        server = self.inside(lambda: ThreadingHTTPServer((METADATA, 80), Handler))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stop += [server.server_close, server.shutdown]

    def http(self, address: str, port: int, path: str, source: str = GATEWAY) -> Answer:
        """Ask in plain HTTP."""

        def ask() -> Answer:
            connection = http.client.HTTPConnection(address, port, timeout=5, source_address=(source, 0))
            connection.request("GET", path)
            return _answer(connection)

        return self.inside(ask)

    def https(
        self,
        address: str,
        host: str,
        path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        source: str = GATEWAY,
    ) -> Answer:
        """Ask nginx as the load balancer does: a certificate nobody verifies, and the client's Host."""
        return self.inside(lambda: ask_https(address, host, path, headers=headers, body=body, source=source))


def ask_https(
    address: str,
    host: str,
    path: str = "/",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    source: str = GATEWAY,
) -> Answer:
    """As `Network.https`, for a thread that is in the namespace already."""
    with open_tls(address, host, source=source) as wrapped:
        connection = http.client.HTTPConnection(address)
        connection.sock = wrapped
        connection.request(
            "GET" if body is None else "POST", path, body=body, headers={"Host": host, **(headers or {})}
        )
        return _answer(connection)


def open_tls(address: str, host: str, *, source: str = GATEWAY) -> ssl.SSLSocket:
    """Connect to nginx as the load balancer does, for a thread that is in the namespace already."""
    raw = socket.create_connection((address, 443), timeout=5, source_address=(source, 0))
    return _tls().wrap_socket(raw, server_hostname=host)


def _answer(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    body = b"" if response.status == 101 else response.read()
    answer = Answer(response.status, dict(response.getheaders()), body.decode())
    connection.close()
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Droplet:
    """A Debian 13 in systemd-nspawn, born with user data."""

    name: str
    address: str
    network: Network
    image: Image
    folder: Path
    user_data: str
    buckets: Sequence[str]
    _process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """Its file system, as the machine sees it; /run and /var/lib/docker are not in it."""
        return self.folder / "root"

    def start(self) -> None:
        """Boot it; the image is below, what the droplet writes is in memory."""
        self.network.plug(self.name, self.address)
        self.folder.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", "size=6g", "tmpfs", self.folder)
        for name in ("upper", "work", "root", "docker"):
            (self.folder / name).mkdir()
        layers = f"lowerdir={self.image.root},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run("mount", "-t", "overlay", "-o", layers, "overlay", self.root)
        self._seed()
        self._boot()

    def _boot(self) -> None:
        options = (
            "--quiet --keep-unit --register=no --boot --console=pipe --resolv-conf=off --link-journal=no"
        )
        with (self.folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                [
                    *("sh", "-ec", _IN_CGROUPS, " ".join(map(str, self._control_groups()))),
                    *("systemd-nspawn", *options.split(), "--capability=all", f"--machine={self.name[:60]}"),
                    f"--network-namespace-path=/run/netns/{self.network.name}-{self.name}",
                    f"--directory={self.root}",
                    # Docker's own overlays cannot lie on the droplet's, which is one; here they outlive a reboot.
                    f"--bind={self.folder}/docker:/var/lib/docker",
                ],
                env={**os.environ, **_NSPAWN},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        eventually(f"{self.name} has an init", 20, self._leader)

    def _control_groups(self) -> list[Path]:
        """Make this droplet's own groups: two inits in one would take each other's services for theirs."""
        groups = [root / f"{self.network.name}-{self.name}" for root in control_group_roots()]
        for group in groups:
            group.mkdir(exist_ok=True)
        return groups

    def _seed(self) -> None:
        seed = self.root / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True)
        (seed / "user-data").write_text(self.user_data)
        (seed / "meta-data").write_text(f"instance-id: {self.name}\nlocal-hostname: {self.name}\n")
        own = self.root / "etc/cloud/cloud.cfg.d/99-laboratory.cfg"
        own.write_text("network: {config: disabled}\ndatasource_list: [NoCloud]\n")
        # The network is made from outside, so nothing in the droplet has to wait for it.
        for unit in (
            "systemd-networkd.service",
            "systemd-networkd-wait-online.service",
            "systemd-firstboot.service",
        ):
            (self.root / "etc/systemd/system" / unit).unlink(missing_ok=True)
            (self.root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        self.find_store(GATEWAY)
        # A minute between looks at the bucket is for production.
        timer = self.root / "etc/systemd/system/presence360-converge.timer.d/laboratory.conf"
        timer.parent.mkdir(parents=True)
        timer.write_text("[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\n")

    def find_store(self, address: str) -> None:
        """Tell it the object store's address; where nobody listens there, it is cut off from its buckets."""
        names = " ".join((STORE_HOST, *(f"{bucket}.{STORE_HOST}" for bucket in self.buckets)))
        (self.root / "etc/hosts").write_text(
            f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n{address} {names}\n"
        )

    @contextlib.contextmanager
    def not_converging(self) -> Iterator[None]:
        """Keep converge from starting what a test stops: neither a run that is under way nor the next one does."""
        self.sh("systemctl stop presence360-converge.timer")
        try:
            eventually("no run is under way", 60, self._rests)
            yield
        finally:
            self.sh("systemctl start presence360-converge.timer")

    def _rests(self) -> bool:
        return self.sh("systemctl is-active presence360-converge", check=False).strip() in {
            "inactive",
            "failed",
        }

    def reboot(self) -> None:
        """Shut it down as systemd does, and boot it again; what was in /run is gone."""
        self.shut_down("reboot")
        self.boot()

    def shut_down(self, how: str = "poweroff") -> None:
        """Shut it down as systemd does."""
        assert self._process
        self.sh(f"systemctl {how}", check=False)
        # nspawn ends, as --keep-unit demands (systemd.nspawn(5)), for its own caller to start again.
        self._process.wait(90)

    def boot(self) -> None:
        """Boot it again after it was shut down."""
        self._boot()
        # Not `is-system-running`: it says "starting" while any job runs, and without a bucket a run of converge, which
        # asks for it for up to 50 s, may follow the last one at once.
        eventually(
            f"{self.name} is up",
            180,
            lambda: self.sh("systemctl is-active multi-user.target", check=False) == "active\n",
        )

    def stop(self) -> None:
        """End it, hard: nothing in it is worth a shutdown. Nothing happens if it has ended."""
        if self._process:
            if self._process.poll() is None and (leader := self._leader()):
                os.kill(leader, signal.SIGKILL)
            self._process.terminate()
            self._process.wait(20)
            self._process = None
        for group in self._control_groups():
            _remove_group(group)
        run("umount", "--recursive", "--lazy", self.root, check=False)
        run("umount", "--lazy", self.folder, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def leader(self) -> int | None:
        """The number of its init on the machine."""
        return self._leader()

    def _leader(self) -> int | None:
        assert self._process
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {(self.folder / 'console').read_text()[-2000:]}")
        return next(iter(_children(self._process.pid)), None)

    def sh(self, script: str, *, timeout: float = 120, check: bool = True) -> str:
        """Run a shell script in it as root."""
        return run(*self.command(script), timeout=timeout, check=check)

    def command(self, script: str) -> list[str]:
        """Return the command that runs a shell script in it as root."""
        return [
            *("nsenter", "--target", str(self._leader()), "--all", "--"),
            *("/usr/bin/env", "--ignore-environment"),
            *(
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                "HOME=/root",
                "/bin/sh",
                "-c",
                script,
            ),
        ]

    def ask(self, host: str, path: str = "/", **more: Any) -> Answer:
        """Ask its nginx from the load balancer's place."""
        return self.network.https(self.address, host, path, **more)

    @property
    def health(self) -> Answer:
        """What the load balancer's health check sees: it comes with an address for a host name."""
        return self.ask(self.address, "/healthz")

    @property
    def metrics(self) -> dict[str, float]:
        """What Prometheus would read."""
        text = self.network.http(self.address, 9360, "/metrics").body
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def journal(self, unit: str) -> str:
        """What a unit wrote."""
        return self.sh(f"journalctl --no-pager --output cat --unit {unit}")
