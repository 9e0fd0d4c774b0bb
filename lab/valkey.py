"""Debian 13's Valkey on this machine, set up as DigitalOcean sells it: TLS and a password, nothing evicted.

The package is unpacked, not installed, so nothing starts by itself. What DigitalOcean blocks (`REFUSED`) is blocked
where a test asks for that.
"""

import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lab import debian
from lab.local_digitalocean.tls import Authority

PORT = 25061
"""DigitalOcean's managed clusters listen on ports of their own, and never on 6379."""
USER = "default"

REFUSED = (
    "acl", "bgrewriteaof", "bgsave", "cluster", "config", "debug", "failover", "lastsave", "migrate", "monitor",
    "replicaof", "save", "shutdown", "slaveof",
)  # fmt: skip
"""What Aiven refuses, who runs DigitalOcean's databases (Aiven documentation, "Restricted commands in Aiven for
Valkey"; docs/digitalocean.md, "Valkey")."""
SCRIPTS = ("eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro", "function", "script")
"""What DigitalOcean may refuse: nothing of ours may need it."""


def unpacked() -> Path:
    """Return the folder with `valkey-server` and `valkey-cli`; made in about ten seconds where it is not there yet.

    Raises:
        debian.MissingError: this machine cannot have one.
    """
    programs = {name: f"usr/bin/{name}" for name in ("valkey-server", "valkey-cli")}
    return debian.unpacked("valkey-server", programs, "valkey-tools")


@dataclass
class Server:
    """A Valkey that runs.

    Attributes:
        address: where it listens, with TLS alone.
        password: of the user `default`.
        folder: its own, with its certificate and its log.
    """

    address: str
    password: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """Its address as DigitalOcean shows it."""
        return f"rediss://{USER}:{quote(self.password, safe='')}@{self.address}:{PORT}/0"

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End it."""
        # A server that a test has stopped by a signal takes no other one.
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    folder: Path,
    authority: Authority,
    address: str,
    password: str,
    *,
    also: str = "",
    refuse: Sequence[str] = (),
) -> Server:
    """Start a server in a folder of its own, in the network of the thread that calls; return it when it answers.

    Args:
        folder: its own.
        authority: who signs its certificate.
        address: where it listens, and what its certificate is for.
        password: of the user `default`.
        also: another address where it listens, which its certificate is not for.
        refuse: commands that it does not know.

    Raises:
        debian.MissingError: this machine cannot have one.
        RuntimeError: it did not start; its log says why.
    """
    program = unpacked() / "valkey-server"
    for name, text in zip(("certificate", "key"), authority.sign(address), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    settings = {
        "port": "0",
        "tls-port": str(PORT),
        "tls-cert-file": str(folder / "certificate"),
        "tls-key-file": str(folder / "key"),
        "tls-auth-clients": "no",
        "tls-ca-cert-file": str(folder / "certificate"),
        "requirepass": password,
        "maxmemory-policy": "noeviction",
        "dir": str(folder),
        "save": "",
    }
    lines = [f'{name} "{value}"\n' for name, value in settings.items()]
    lines += [f"bind {address} {also}\n"]
    lines += [f'rename-command {command} ""\n' for command in refuse]
    (folder / "valkey.conf").write_text("".join(lines), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), str(folder / "valkey.conf")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    server = Server(address, password, folder, process)
    deadline = time.monotonic() + 20
    while "Ready to accept connections" not in server.log:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"Valkey did not start:\n{server.log}")
        time.sleep(0.02)
    return server
