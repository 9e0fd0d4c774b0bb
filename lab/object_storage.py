"""Ceph's object gateway on this machine: Debian 13's, the software that DigitalOcean's Spaces is made of.

Its signatures, policies of forms, CORS rules and headers are therefore those that Spaces has, as far as a version does
not matter. It keeps everything in a file of SQLite ("dbstore"), so it needs no cluster of Ceph.
"""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3

from lab import debian
from lab.local_digitalocean.tls import Authority

REGION = "fra1"
DOMAIN = "digitaloceanspaces.com"
_USER = "services"


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs.

    Attributes:
        port: on loopback, without TLS.
        tls_port: the same with TLS.
        access_key: of a user, who owns the buckets that it makes and opens no others, unless they have a policy.
        secret_key: of the same.
        users: the names of the others.
    """

    port: int
    tls_port: int
    access_key: str
    secret_key: str
    users: Sequence[str] = ()

    def as_user(self, name: str) -> "Gateway":
        """Return the same gateway with the key of another user."""
        assert name in self.users  # noqa: S101  (a name that the test has not asked for)
        access_key, secret_key = _key(name)
        return replace(self, access_key=access_key, secret_key=secret_key)

    @property
    def endpoint(self) -> str:
        """What a client on this machine takes for the endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Tell whether something listens there."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def client(self) -> Any:
        """Return a client of boto3 with the user's key."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        )


def unpacked() -> Path:
    """Return the folder with `radosgw` and `radosgw-admin`; made in about half a minute where it is not there yet.

    Raises:
        debian.MissingError: this machine cannot have one.
    """
    return debian.unpacked("radosgw", {name: f"usr/bin/{name}" for name in ("radosgw", "radosgw-admin")})


@contextmanager
def gateway(folder: Path, authority: Authority, *, users: Sequence[str] = ()) -> Iterator[Gateway]:
    """Start a gateway without buckets, and end it.

    Args:
        folder: a new one, which is its own.
        authority: signs its certificate.
        users: names of users beside the one that it has: each has a key of its own.

    Raises:
        debian.MissingError: this machine cannot have one.
        RuntimeError: it did not start; its log says why.
    """
    programs = unpacked()
    port, tls_port = free_port(), free_port()
    for name, text in zip(("certificate", "key"), authority.sign("127.0.0.1"), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    settings = folder / "ceph.conf"
    settings.write_text(
        f"[global]\nrun dir = {folder}\nlog file = {folder}/log\nadmin socket =\n"
        f"[client]\nrgw backend store = dbstore\nrgw config store = dbstore\ndbstore db dir = {folder}\n"
        f"dbstore config uri = file:{folder}/config.db\nrgw data = {folder}\n"
        f"rgw frontends = beast endpoint=127.0.0.1:{port} ssl_endpoint=127.0.0.1:{tls_port} "
        f"ssl_certificate={folder}/certificate ssl_private_key={folder}/key\nrgw dns name = {REGION}.{DOMAIN}\n",
        encoding="utf-8",
    )
    common = ["--conf", str(settings), "--name", "client.admin", "--no-mon-config"]
    for name in (_USER, *users):
        access_key, secret_key = _key(name)
        user = ["user", "create", f"--uid={name}", f"--display-name={name}"]
        keys = [f"--access-key={access_key}", f"--secret-key={secret_key}"]
        command = [str(programs / "radosgw-admin"), *common, *user, *keys]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"radosgw-admin: {done.stderr}")
    with (folder / "output").open("wb") as output:
        command = [str(programs / "radosgw"), *common, "--foreground"]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        made = Gateway(port, tls_port, *_key(_USER), users=tuple(users))
        _wait(made, process, folder)
        yield made
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _key(user: str) -> tuple[str, str]:
    """Return a user's key: its public and its secret half."""
    return f"DO00LAB{user.upper()}", f"lab-{user}"


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(made: Gateway, process: "subprocess.Popen[bytes]", folder: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not made.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            logs = (folder / name for name in ("output", "log"))
            said = "".join(
                path.read_text(encoding="utf-8", errors="replace") for path in logs if path.exists()
            )
            raise RuntimeError(f"the object gateway did not start:\n{said}")
        time.sleep(0.05)
