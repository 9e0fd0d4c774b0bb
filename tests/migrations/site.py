"""A droplet of the control group that migrates: real Postgres, real Alembic, and processes in place of containers."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet.converge.errors import ConvergeError
from droplet.converge.migrations import asked_by
from droplet.converge.paths import Paths
from droplet.converge.peers import write_time
from droplet.converge.store import Store
from droplet.isolation.folders import Folders
from droplet.migrate.run import REQUESTS, Run
from droplet.migrate.runner import Ended
from droplet.migrate.telling import DETAILS_KEY
from droplet.migrate.wanted import Job
from lab.managed_cluster import Cluster
from lab.schema import APP
from tests.droplet.machine import OBJECTS, with_manifest

VERSIONS = APP / "migrations/versions"
REGISTRY = "registry.example.org/presence360"
SERVICES = {"control_plane": "control-plane-api", "tenants": "tenant-api"}


class Zygote:
    """The process from which Alembic's are forked (zygote.py)."""

    def __init__(self, programs: Path) -> None:
        command = [str(programs / "python"), "-I", str(Path(__file__).with_name("zygote.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path
    ) -> int:
        """Start a process; return its id."""
        assert self._process.stdin
        assert self._process.stdout
        order = {
            "command": list(command),
            "folder": str(folder),
            "environment": {**environment, "PATH": "/usr/bin:/bin"},
            "output": str(output),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def image(service: str, version: str) -> str:
    """Return an image's reference."""
    return f"{REGISTRY}/{service}:{version}"


@dataclass
class Processes:
    """Runs a job's command as a process, with the variables that a container would have and no others.

    Attributes:
        images: a folder with a folder for each version: the application with its migrations.
        zygote: starts the processes.
    """

    images: Path
    zygote: "Zygote"
    ran: list[tuple[str, str]] = field(default_factory=list)
    """Version and database of every run."""
    seen: list[dict[str, str]] = field(default_factory=list)
    """The variables of every run."""
    most: int = 0
    """How many ran at once, at most."""
    missing: str = ""
    """A version that no registry has."""
    _running: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, version: str, *revisions: str) -> None:
        """Make a version of the application, with some of its migrations."""
        home = self.images / version
        shutil.copytree(APP, home, ignore=shutil.ignore_patterns("versions", "__pycache__"))
        (home / "migrations/versions").mkdir()
        for revision in revisions:
            (found,) = VERSIONS.glob(f"{revision}_*.py")
            shutil.copy(found, home / "migrations/versions")

    def change(self, version: str, name: str, text: str) -> None:
        """Write a migration of a version."""
        (self.images / version / "migrations/versions" / name).write_text(text, encoding="utf-8")

    def digest(self, job: Job, registry: bytes | None) -> str:
        """Return a digest for an image's reference."""
        del registry
        if job.image.endswith(f":{self.missing}"):
            raise ConvergeError(f"docker pull {job.image}: exit 1: not found")
        return "sha256:" + hashlib.sha256(job.image.encode()).hexdigest()

    def run(self, job: Job, name: str, variables: Mapping[str, str], authority: str) -> Ended:
        """Run the command in the version's folder."""
        del authority
        version = job.image.rpartition(":")[2]
        with self._lock:
            number = len(self.ran)
            self.ran.append((version, name.partition(f"{job.name}-")[2]))
            self.seen.append(dict(variables))
            output = self.images / f"{time.monotonic_ns()}-{number}.out"
            pid = self.zygote.start(job.command, self.images / version, variables, output)
            self._running.add(pid)
            self.most = max(self.most, len(self._running))
        code, until = output.with_name(f"{output.name}.code"), time.monotonic() + job.timeout_seconds
        try:
            while not code.exists():
                if not Path("/proc", str(pid)).exists() and not code.exists():
                    return Ended(137, output.read_text(encoding="utf-8"))
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                    return Ended(None, output.read_text(encoding="utf-8"))
                time.sleep(0.02)
        finally:
            with self._lock:
                self._running.discard(pid)
        return Ended(int(code.read_text(encoding="utf-8")), output.read_text(encoding="utf-8"))

    def when(self, number: int, act: Callable[[], object]) -> threading.Thread:
        """Do something when so many have begun."""

        def watch() -> None:
            until = time.monotonic() + 60
            while len(self.ran) < number and time.monotonic() < until:
                time.sleep(0.02)
            act()

        thread = threading.Thread(target=watch)
        thread.start()
        return thread

    def stop(self) -> None:
        """End what runs."""
        with self._lock:
            for pid in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def tidy(self, images: Sequence[str]) -> None:
        """There are no images to remove."""


@dataclass
class Bucket:
    """The status bucket of the control group, for rclone's place."""

    objects: dict[str, str] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    """Every summary that was written."""

    def run(self, args: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        *_, source, target = args
        if target.startswith("status:"):
            text = Path(source).read_text(encoding="utf-8")
            self.objects[target.removeprefix("status:")] = text
            if target == "status:migrations.json":
                self.history.append(json.loads(text))
        else:
            return self.objects.get(target.removeprefix("control-status:"), "")
        return ""


@dataclass
class Site:
    """A droplet of the control group, and the clusters that it reaches.

    Attributes:
        folder: the droplet's own.
        clusters: by name, the environment's own first.
        runner: runs migrations.
        bucket: what all groups read.
    """

    folder: Path
    clusters: Mapping[str, Cluster]
    runner: Processes
    bucket: Bucket = field(default_factory=Bucket)
    now: float = 1_800_000_000
    settings: dict[str, Any] = field(default_factory=lambda: {"canaries": [], "parallel": 4, "share": 100})
    versions: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SERVICES, "1"))
    timeout_seconds: int = 60

    @property
    def paths(self) -> Paths:
        return Paths(
            *(self.folder / part for part in ("state", "run", "units", "defaults", "cloud/instance-id"))
        )

    def release(self, version: str, **more: Any) -> None:
        """Write what an apply writes: the images that bring migrations."""
        self.versions = dict.fromkeys(SERVICES, version)
        self.settings |= more
        self.write()

    def write(self) -> None:
        """Write the group's bucket as it was fetched."""
        jobs = [
            {
                "name": f"migrate-{kind.replace('_', '-')}",
                "databases": kind,
                "service": service,
                "image": image(service, self.versions[kind]),
                "command": ["alembic", "upgrade", "head"],
                "environment": {"PRESENCE360_SERVICE": service},
                "memory_mib": 512,
                "timeout_seconds": self.timeout_seconds,
            }
            for kind, service in SERVICES.items()
        ]
        objects = dict(OBJECTS)
        objects["migrations.json"] = json.dumps({"version": 1, "jobs": jobs, **self.settings})
        incoming = self.paths.incoming
        for key, text in with_manifest(objects).items():
            (incoming / key).parent.mkdir(parents=True, exist_ok=True)
            draft = incoming / f".{Path(key).name}.new"
            draft.write_text(text, encoding="utf-8")
            draft.replace(incoming / key)
        credentials = self.folder / "credentials"
        credentials.mkdir(exist_ok=True)
        for number, (name, cluster) in enumerate(self.clusters.items()):
            configuration = cluster.configuration({})
            configuration["clusters"][0]["name"] = name
            part = "environment" if number == 0 else f"cell-{number + 1}"
            (credentials / f"isolation_{part}.json").write_text(json.dumps(configuration), encoding="utf-8")

    def ask_again(self, *databases: str) -> None:
        """Do what `presence360 migrations --retry` does."""
        file = self.paths.incoming / f"{REQUESTS}{secrets.token_hex(4)}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"time": self._time(), "databases": databases}), encoding="utf-8")

    def _time(self) -> str:

        return write_time(self.now)

    def make(self) -> Run:
        """Return a run; each has its own folder for passwords, as systemd gives it."""
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        (self.paths.state / "migrate").mkdir(parents=True, exist_ok=True)
        return Run(
            self.paths,
            Folders(self.folder / "credentials", scratch, self.paths.state / "migrate"),
            self.runner,
            "staging-app-1",
            Store(self.bucket.run),
            clock=lambda: self.now,
        )

    def once(self) -> int:
        """Run once."""
        return self.make().once()

    @property
    def asked(self) -> str:
        """What the group's bucket asks for, as the control group names it."""
        return asked_by((self.paths.incoming / "migrations.json").read_bytes())

    @property
    def summary(self) -> dict[str, Any]:
        """What all groups read."""
        return dict(json.loads(self.bucket.objects["migrations.json"]))

    @property
    def results(self) -> dict[str, tuple[str, str | None]]:
        """By database: its result and its revision."""
        found = json.loads(self.bucket.objects[DETAILS_KEY])["databases"]
        return {one["database"]: (one["result"], one["revision"]) for one in found}

    @property
    def metrics(self) -> str:
        return (self.folder / "scratch/migrate.prom").read_text(encoding="utf-8")
