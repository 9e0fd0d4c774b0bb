"""A droplet without its programs: what they are asked, and what they are told to answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet.converge import main
from droplet.converge.containers import Containers
from droplet.converge.errors import CommandError
from droplet.converge.paths import Paths
from droplet.converge.run import Converger

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
    "nginx.conf": "events {}",
    "release.json": json.dumps({"images": {"api": "registry/api:1", "worker": "registry/worker:1"}}),
    "secrets.env": 'SECRET="one"\n',
    "settings.env": "COLOUR=blue\n",
}
# In the first turn of two, early enough.
OWN_TURN = 720.0
OTHER_TURN = 360.0


@dataclass
class Host:
    """A droplet, its bucket, and every program that converge runs."""

    paths: Paths
    bucket: dict[str, str] = field(default_factory=lambda: dict(OBJECTS))
    config: dict[str, Any] = field(default_factory=lambda: dict(COMPOSE))
    failing: str | None = None
    ill: bool = False
    running: str = "api\nworker\n"
    now: float = OWN_TURN
    commands: list[str] = field(default_factory=list)
    slept: list[tuple[float, bool]] = field(default_factory=list)

    def run(self, args: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        command = " ".join(args).replace(str(self.paths.state), "")
        self.commands.append(command)
        if self.failing and self.failing in command:
            raise CommandError(f"{args[0]} failed")
        if "--format json" in command:
            return json.dumps(self.config)
        if "--hash" in command:
            folder = Path(args[args.index("--project-directory") + 1])
            made_of = [(folder / name).read_bytes() for name in ("settings.env", "secrets.env")]
            images = json.loads((folder / "release.json").read_text())["images"]
            return "".join(f"{name} {hash((images.get(name), *made_of))}\n" for name in ("api", "worker"))
        if " ps " in command:
            return self.running
        return ""

    def sync(self) -> None:
        """Fetch the bucket, as the fetcher does before each run."""
        folder = self.paths.incoming
        folder.mkdir(parents=True, exist_ok=True)
        for path in [path for path in folder.glob("**/*") if path.is_file()]:
            if str(path.relative_to(folder)) not in self.bucket:
                path.unlink()
        for name, text in self.bucket.items():
            path = folder / name
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)

    def sleep(self, seconds: float) -> None:
        flags = (self.paths.draining, self.paths.leaving)
        self.slept.append((seconds, any(flag.exists() for flag in flags)))

    def once(self, *arguments: str) -> int:
        self.commands.clear()
        self.sync()
        converger = Converger(
            self.paths,
            Containers(run=self.run, answers=lambda _port, _path: not self.ill),
            hostname="staging-app-1-3fa9c2",
            clock=lambda: self.now,
            sleep=self.sleep,
        )
        return main(arguments, converger)

    def did(self, part: str) -> bool:
        return any(part in command for command in self.commands)

    @property
    def current(self) -> Path:
        return Path(self.paths.current.readlink())

    @property
    def success(self) -> bool:
        return "presence360_converge_success 1" in self.paths.metrics.read_text()

    def release(self, version: str) -> None:
        images = {"api": f"registry/api:{version}", "worker": "registry/worker:1"}
        self.bucket["release.json"] = json.dumps({"images": images})
