"""A droplet of the control group that makes readers, its two buckets, and an operator's machine with SSH to it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import backup_programs, programs
from lab.managed_cluster import Cluster
from lab.object_storage import Gateway
from lab.postgres_clients import clients
from model.sql_access import REQUESTS
from ops.bucket import Bucket
from ops.sql_access import Place, Terminal

SSH = """#!{python}
import os, shlex, sys
*_, there, words = sys.argv[1:]
assert there == "root@203.0.113.7", there
python3, *given = shlex.split(words)
given = [{programs!r} if one == "/var/lib/presence360/programs/current" else one for one in given]
os.execv(sys.executable, [sys.executable, *given, "--memory", {memory!r}, "--programs", {clients!r}])
"""
"""What a droplet's sshd does: a shell there reads the words. Folder and programs are this machine's."""


@dataclass
class Site:
    """All of it.

    Attributes:
        cluster: with churches.
        gateway: has the buckets.
        folder: for the droplet and for the operator.
        journal: what the droplet's program wrote.
    """

    cluster: Cluster
    gateway: Gateway
    folder: Path
    journal: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        stamp = time.time_ns()
        self.environ = {
            "SPACES_ACCESS_KEY_ID": self.gateway.access_key,
            "SPACES_SECRET_ACCESS_KEY": self.gateway.secret_key,
            "SPACES_ENDPOINT_URL": self.gateway.endpoint,
        }
        self.config, self.status = (
            Bucket.of(self.environ, "fra1", f"{kind}-{stamp}") for kind in ("config", "status")
        )
        for bucket in (self.config, self.status):
            bucket._call("create_bucket", Bucket=bucket.name)
        self.place = Place("staging", self.config, self.status)
        programs.lay_out(self.folder / "programs")
        self.memory = self.folder / "run"
        self.memory.mkdir()
        ssh = self.folder / "ssh"
        ssh.write_text(
            SSH.format(
                python=sys.executable,
                programs=str(self.folder / "programs"),
                memory=str(self.memory),
                clients=str(clients()),
            ),
            encoding="utf-8",
        )
        ssh.chmod(0o755)
        self.terminal = Terminal("203.0.113.7", str(ssh))

    def answering(self, droplets: int = 1) -> None:
        """Let droplets fetch the bucket and start the unit, again and again."""
        for number in range(droplets):
            thread = threading.Thread(target=self._droplet, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the droplets."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def start(self, number: int = 0, requests: Mapping[str, bytes] | None = None) -> int:
        """Start the unit once, with what the bucket holds; its exit status."""
        folder = self.folder / f"droplet-{number}"
        given = {name: folder / name for name in ("credentials", "scratch", "state")}
        for path in given.values():
            path.mkdir(parents=True, exist_ok=True)
        for left in given["credentials"].glob("sql_*"):
            left.unlink()
        configuration = json.dumps(self.cluster.configuration({}))
        (given["credentials"] / "isolation_environment.json").write_text(configuration, encoding="utf-8")
        (given["credentials"] / "rclone.conf").write_text(
            "[s3]\ntype = s3\nprovider = Ceph\n"
            f"access_key_id = {self.gateway.access_key}\nsecret_access_key = {self.gateway.secret_key}\n"
            f"endpoint = {self.gateway.endpoint}\n[status]\ntype = alias\nremote = s3:{self.status.name}\n",
            encoding="utf-8",
        )
        for key in self.config.keys(f"{REQUESTS}/") if requests is None else ():
            content = self.config.read(key)
            if content is not None:
                (given["credentials"] / f"sql_{key.rpartition('/')[2]}").write_bytes(content)
        for name, content in (requests or {}).items():
            (given["credentials"] / f"sql_{name}.json").write_bytes(content)
        command = programs.command(
            self.folder / "programs",
            "sql",
            "--programs",
            str(clients()),
            "--tools",
            str(backup_programs.programs()),
        )
        done = subprocess.run(
            command,
            env={
                "PATH": "/usr/bin:/bin",
                "CREDENTIALS_DIRECTORY": str(given["credentials"]),
                "RUNTIME_DIRECTORY": str(given["scratch"]),
                "STATE_DIRECTORY": str(given["state"]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.journal.append(done.stdout + done.stderr)
        return done.returncode

    def _droplet(self, number: int) -> None:
        while not self._ended.wait(0.2):
            self.start(number)
