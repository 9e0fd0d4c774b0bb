"""A droplet without its programs: what they are asked, and what they are told to answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet.converge import main
from droplet.converge.containers import Containers
from droplet.converge.errors import CommandError
from droplet.converge.group import POLL_SECONDS
from droplet.converge.manifest import digest_of, sha256
from droplet.converge.objects import makes_release
from droplet.converge.paths import Paths
from droplet.converge.peers import write_time
from droplet.converge.run import Converger
from model.status import DropletStatus, parse_status

COMPOSE = {
    "services": {
        "api": {
            "labels": {"app.presence360.health-path": "/healthz", "app.presence360.public": "true"},
            "ports": [{"published": "18001", "target": 8000}],
        },
        "worker": {},
    },
    "x-presence360": {
        "turns": 2,
        "slot_seconds": 360,
        "worst_seconds": 300,
        "drain_seconds": 20,
        "wait_seconds": 80,
    },
}
OBJECTS = {
    "compose.yaml": "services: ...",
    "nginx.conf": "events {} # loaded.conf",
    "programs.json": '{"files": {}}',
    "release.json": json.dumps({"images": {"api": "registry/api:1", "worker": "registry/worker:1"}}),
    "secrets.api.env": 'SECRET="one"\n',
    "secrets.worker.env": "# none\n",
    "settings.env": "COLOUR=blue\n",
}
# In the first turn of two, early enough.
OWN_TURN = 720.0
OTHER_TURN = 360.0

NAME = "staging-app-1-3fa9c2"
HEALTHY = {"State": "running", "Health": "healthy"}


def with_manifest(bucket: Mapping[str, str]) -> dict[str, str]:
    """The bucket as an apply leaves it: with the manifests of the environment and of each cell."""
    objects = {key: text for key, text in bucket.items() if not key.startswith("manifests/")}
    cells = {key: text for key, text in objects.items() if _cell(key)}
    own = {key: text for key, text in objects.items() if key not in cells}
    made = dict(objects)
    made["manifests/environment.json"] = json.dumps({"objects": {key: _sha(own[key]) for key in own}})
    for key, text in cells.items():
        made[f"manifests/{_cell(key)}.json"] = json.dumps({"objects": {key: _sha(text)}})
    return made


def _cell(key: str) -> str | None:
    folder, _, name = key.rpartition("/")
    return name.removesuffix(".json") if folder == "isolation" and name != "environment.json" else None


def _sha(text: str) -> str:
    return sha256(text.encode())


@dataclass
class Host:
    """A droplet, its bucket, and every program that converge runs."""

    paths: Paths
    bucket: dict[str, str] = field(default_factory=lambda: dict(OBJECTS))
    """What an apply wrote; it has its manifests beside it unless `halfway`."""
    config: dict[str, Any] = field(default_factory=lambda: dict(COMPOSE))
    statuses: dict[str, str] = field(default_factory=dict)
    """The status bucket, by key."""
    fetched: dict[str, str] = field(default_factory=dict)
    """The status bucket, as this droplet fetched it last."""
    control: dict[str, str] = field(default_factory=dict)
    """The control group's status bucket, by key."""
    name: str = NAME
    droplet: str = "101"
    halfway: bool = False
    """Whether an apply is under way: objects change, the manifests do not."""
    failing: str | None = None
    ill: bool = False
    containers: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"api": dict(HEALTHY), "worker": dict(HEALTHY)}
    )
    loaded: str | None = None
    """The configuration that nginx runs with."""
    deaf: bool = False
    """Whether nginx ignores reloads."""
    free: int = 10**12
    now: float = OWN_TURN
    polled: float = 0
    """How long a run waited for its turn."""
    commands: list[str] = field(default_factory=list)
    slept: list[tuple[float, bool]] = field(default_factory=list)
    said: list[DropletStatus] = field(default_factory=list)

    def run(self, args: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        command = " ".join(args).replace(str(self.paths.state), "")
        self.commands.append(command)
        if self.failing and self.failing in command:
            raise CommandError(f"{args[0]} failed")
        if "rclone" in args[0]:
            return self.rclone(args)
        if "--format json" in command and " ps " in command:
            return "".join(
                json.dumps({"Service": name, **entry}) + "\n" for name, entry in self.containers.items()
            )
        if "--format json" in command:
            return json.dumps(self.resolved(Path(args[args.index("--project-directory") + 1])))
        if "reload-or-restart nginx" in command and not self.deaf:
            text = (self.paths.current / "loaded.conf").read_text()
            self.loaded = text.split('"')[1]
        return ""

    def resolved(self, folder: Path) -> dict[str, Any]:
        """What Compose reads in a release's folder: with images, and with what the environment files say."""
        images = json.loads((folder / "release.json").read_text())["images"]

        def read(service: str) -> dict[str, str]:
            grouped = folder / "secrets.env"
            files = ("settings.env", grouped.name if grouped.exists() else f"secrets.{service}.env")
            return {name: (folder / name).read_text() for name in files}

        services = {
            name: {**service, "image": images.get(name), "environment": read(name)}
            for name, service in self.config["services"].items()
        }
        return {**self.config, "services": services}

    def rclone(self, args: Sequence[str]) -> str:
        *_, source, target = args
        if "cat" in args:
            # Of what is not there rclone prints nothing.
            return self.control.get(target.removeprefix("control-status:"), "")[: int(source)]
        if "copyto" in args:
            self.statuses[target.removeprefix("status:")] = Path(source).read_text()
            self.said.append(parse_status(self.statuses[target.removeprefix("status:")]))
        elif "deletefile" in args:
            del self.statuses[target.removeprefix("status:")]
        else:
            for path in Path(target).iterdir():
                if f"droplets/{path.name}" not in self.statuses:
                    path.unlink()
            for key, text in self.statuses.items():
                if self.fetched.get(key) != text:
                    (Path(target) / key.rpartition("/")[2]).write_text(text)
            self.fetched = dict(self.statuses)
        return ""

    def sync(self) -> None:
        """Fetch the bucket, as the fetcher does before each run."""
        folder = self.paths.incoming
        folder.mkdir(parents=True, exist_ok=True)
        old = [path for path in folder.glob("manifests/*") if path.is_file()]
        bucket = dict(self.bucket) if self.halfway else with_manifest(self.bucket)
        bucket |= {str(path.relative_to(folder)): path.read_text() for path in old} if self.halfway else {}
        for path in [path for path in folder.glob("**/*") if path.is_file()]:
            if str(path.relative_to(folder)) not in bucket:
                path.unlink()
        for name, text in bucket.items():
            path = folder / name
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)

    def sleep(self, seconds: float) -> None:
        flags = (self.paths.draining, self.paths.leaving, self.paths.restarting)
        self.polled += seconds if seconds == POLL_SECONDS else 0
        self.slept.append((seconds, any(flag.exists() for flag in flags)))

    def converger(self) -> Converger:
        self.paths.instance.parent.mkdir(exist_ok=True)
        self.paths.instance.write_text(f"{self.droplet}\n")
        return Converger(
            self.paths,
            Containers(run=self.run, answers=lambda _port, _path: not self.ill, loaded=lambda: self.loaded),
            hostname=self.name,
            clock=lambda: self.now + self.polled,
            sleep=self.sleep,
            free=lambda _: self.free,
        )

    def once(self, *arguments: str) -> int:
        self.commands.clear()
        self.said.clear()
        self.polled = 0
        self.sync()
        return main(arguments, self.converger())

    def did(self, part: str) -> bool:
        return any(part in command for command in self.commands)

    @property
    def current(self) -> Path:
        return Path(self.paths.current.readlink())

    @property
    def digest(self) -> str:
        """What the bucket's release is called."""
        objects = {name: text.encode() for name, text in self.bucket.items() if makes_release(name)}
        return digest_of(objects)

    @property
    def success(self) -> bool:
        return "presence360_converge_success 1" in self.paths.metrics.read_text()

    @property
    def status(self) -> DropletStatus:
        """What this droplet said last."""
        return parse_status(self.statuses[f"droplets/{self.droplet}.json"])

    def release(self, version: str) -> None:
        images = {"api": f"registry/api:{version}", "worker": "registry/worker:1"}
        self.bucket["release.json"] = json.dumps({"images": images})

    def peer(self, number: int, phase: str, **members: str | None) -> None:
        """Let another droplet of the group say something; members that are not given are those of a healthy one."""
        droplet = members.pop("droplet", None) or f"20{number}"
        age = float(members.pop("age", None) or 0)
        said = {
            "version": 1,
            "droplet": droplet,
            "name": f"staging-app-{number}-abcdef",
            "release": self.digest,
            "wanted": self.digest,
            "programs": None,
            "phase": phase,
            "result": "ok",
            "reason": "",
            "since": write_time(self.now - age),
            "time": write_time(self.now - age),
        }
        self.statuses[f"droplets/{droplet}.json"] = json.dumps({**said, **members})
