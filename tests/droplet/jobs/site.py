"""A group of droplets without its programs: Docker and rclone are played, and what they hold can be looked at."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet.converge.errors import CommandError
from droplet.converge.manifest import sha256
from droplet.converge.paths import Paths
from droplet.converge.peers import write_time
from droplet.jobs.command import look, run
from droplet.jobs.containers import LABEL, Containers
from droplet.jobs.look import Look

NOW = 1_795_000_020.0
"""2026-11-18 11:07 UTC, a Wednesday."""

SECRET = "known-to-the-worker"
EVERY_MINUTE: Mapping[str, object] = dict.fromkeys(("minutes", "hours", "days", "months", "weekdays"))


class Crash(BaseException):
    """The droplet loses its power."""


@dataclass
class Buckets:
    """The group's buckets, by key: `group:requests/...` and `status:...`."""

    objects: dict[str, bytes] = field(default_factory=dict)
    silent: bool = False
    conditional: bool = True
    """Whether the store honours If-None-Match."""

    def rclone(self, args: Sequence[str]) -> str:
        if self.silent:
            raise CommandError("rclone did not end within 8 s")
        *_, source, target = args
        if "lsf" in args:
            wanted = next(one for one in args if one.startswith("+ /")).removeprefix("+ /")
            folders = {f"{key.split('/')[0].removeprefix(target)}/" for key in self.objects if "/" in key}
            listed = [wanted] if f"{target}{wanted}" in self.objects else []
            return "\n".join(listed if "--files-only" in args else [*folders, *listed])
        if "cat" in args:
            # As rclone does: nothing for what is not there, and no error.
            return self.objects.get(target, b"").decode()
        if "copyto" in args:
            once = "If-None-Match: *" in args
            if once and self.conditional and target in self.objects:
                raise CommandError("rclone: 412 Precondition Failed")
            self.objects[target] = Path(source).read_bytes()
            return ""
        prefix = f"{source}/" if source[-1] != ":" else source
        wanted = {"group:": "requests/", "status:": "jobs/"}.get(source, "")
        found = {
            key.removeprefix(prefix): content
            for key, content in self.objects.items()
            if key.startswith(prefix + wanted)
        }
        for path in [path for path in Path(target).rglob("*.json") if path.is_file()]:
            path.unlink()
        for key, content in found.items():
            (Path(target) / key).parent.mkdir(parents=True, exist_ok=True)
            (Path(target) / key).write_bytes(content)
        return ""

    def said(self, run_id: str) -> dict[str, Any]:
        """What was told of a run last."""
        found: dict[str, Any] = json.loads(self.objects[f"status:runs/{run_id}.json"])
        return found

    def record(self, job: str) -> dict[str, Any]:
        """What is remembered of a job."""
        found: dict[str, Any] = json.loads(self.objects[f"status:jobs/{job}.json"])
        return found


@dataclass
class Container:
    """A run's container, as `docker inspect` shows it."""

    label: str
    given: dict[str, Any]
    """What of the service's entry is different."""
    status: str = "running"
    exit_status: int = 0
    output: str = ""
    out_of_memory: bool = False

    def ended(self, exit_status: int = 0, output: str = "") -> None:
        self.status, self.exit_status, self.output = "exited", exit_status, output


@dataclass
class Machine:
    """One droplet of the group."""

    buckets: Buckets
    paths: Paths
    number: int
    now: float = NOW
    containers: dict[str, Container] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    failing: str | None = None
    crashing: str | None = None
    while_asleep: Callable[[], object] = lambda: None

    @property
    def droplet(self) -> str:
        return f"10{self.number}"

    def program(self, args: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        command = " ".join(map(str, args))
        if self.crashing and self.crashing in command:
            raise Crash
        if self.failing and self.failing in command:
            raise CommandError(f"{self.failing} failed")
        if "rclone" in args[0]:
            return self.buckets.rclone(args)
        return self.docker(args)

    def docker(self, args: Sequence[str]) -> str:
        name = args[-1]
        match args[1]:
            case "compose":
                service, override = args[-1], args[args.index("run") - 1]
                # A tag of Compose's, which JSON has not.
                text = Path(override).read_text(encoding="utf-8").replace("!override ", "")
                (given,) = json.loads(text)["services"].values()
                name = args[args.index("--name") + 1]
                if name in self.containers:
                    raise CommandError("docker: name is taken")
                self.containers[name] = Container(given["labels"][LABEL], {"service": service, **given})
                self.started.append(given["labels"][LABEL])
            case "ps":
                return "\n".join(self.containers)
            case "inspect":
                return json.dumps([_shown(self.containers[one]) for one in args[2:]])
            case "stop":
                self.containers[name].ended(143, self.containers[name].output)
            case "rm":
                del self.containers[name]
        return ""

    def output(self, run_id: str) -> tuple[str, bool]:
        return self.containers[f"presence360-job-{run_id}"].output, False

    def look(self) -> Look:
        containers = Containers(self.program, self.output)
        name = f"staging-worker-{self.number}-3fa9c2"
        return look(
            self.paths, containers=containers, hostname=name, clock=lambda: self.now, program=self.program
        )

    def once(self, after: float = 0) -> int:
        """One start of the unit, some time after the last one."""
        self.now += after
        self.speak()

        def sleep(seconds: float) -> None:
            self.now += seconds
            self.while_asleep()

        return run(self.look(), sleep)

    def container(self, run_id: str) -> Container:
        return self.containers[f"presence360-job-{run_id}"]

    def speak(self, age: float = 0, **members: object) -> None:
        """Say how the droplet is, as converge does."""
        said = {
            "droplet": self.droplet,
            "name": f"staging-worker-{self.number}-3fa9c2",
            "release": "r1",
            "wanted": "r1",
            "programs": "p1",
            "phase": "serving",
            "reason": "",
            "time": write_time(self.now - age),
        }
        self.buckets.objects[f"status:droplets/{self.droplet}.json"] = json.dumps(
            {**said, **members}
        ).encode()

    def ask(self, run_id: str, *command: str, age: float = 0, **members: object) -> None:
        """Ask for a run, as an operator does."""
        asked = {
            "service": "worker",
            "command": command or ("python", "-m", "reports"),
            "by": "ada@laptop",
            "time": write_time(self.now - age),
            "timeout_seconds": 600,
        }
        self.buckets.objects[f"group:requests/{run_id}.json"] = json.dumps({**asked, **members}).encode()

    def schedule(self, **jobs: Mapping[str, object]) -> None:
        """Let the configuration bucket have these scheduled jobs, fetched by converge."""
        full = {
            name.replace("_", "-"): {
                "service": "worker",
                "command": ["report"],
                "timeout_seconds": 600,
                **job,
            }
            for name, job in jobs.items()
        }
        content = json.dumps({"jobs": full}).encode()
        self.paths.manifests.mkdir(parents=True, exist_ok=True)
        (self.paths.incoming / "jobs.json").write_bytes(content)
        listed = {"objects": {"jobs.json": sha256(content)}}
        (self.paths.manifests / "environment.json").write_text(json.dumps(listed))

    @property
    def metrics(self) -> dict[str, float]:
        lines = (self.paths.run / "jobs.prom").read_text().splitlines()
        return {
            name: float(value)
            for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        }


def machine(folder: Path, buckets: Buckets, number: int) -> Machine:
    """Make a droplet that runs a release with a worker."""
    paths = Paths(
        *(folder / f"{number}" / name for name in ("state", "run", "units", "defaults", "instance-id"))
    )
    release = paths.releases / "r1"
    release.mkdir(parents=True)
    paths.run.mkdir()
    (release / "derived.json").write_text(
        json.dumps({"digest": "r1", "images": {"worker": "registry/worker:1"}, "hashes": {}, "targets": []})
    )
    (release / "secrets.worker.env").write_text(f'KEY="{SECRET}"\n')
    paths.current.symlink_to(release)
    made = Machine(buckets, paths, number)
    paths.instance.write_text(f"{made.droplet}\n")
    made.speak()
    return made


def _shown(container: Container) -> dict[str, Any]:
    return {
        "Image": "sha256:0a0a",
        "Config": {"Labels": {LABEL: container.label}},
        "State": {
            "Status": container.status,
            "ExitCode": container.exit_status,
            "OOMKilled": container.out_of_memory,
            "Error": "",
        },
    }
