"""A release: a checked state of the bucket, in a folder of its own."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.converge.errors import ConvergeError

DERIVED = "derived.json"
"""What follows from a release's objects; it holds no secret, so the health daemon may read it."""


@dataclass(frozen=True)
class Release:
    """A checked state of the bucket, on disk.

    Attributes:
        folder: where it is.
        digest: of its content.
        images: by service.
        hashes: by service, a digest of everything that makes its container; equal means it stays.
        targets: what answers for it: service, loopback port, path, and whether it is public.
        turns: in how many turns the group's droplets restart.
        slot_seconds: how long a turn is.
        worst_seconds: how long a change that fails and the way back may take.
        drain_seconds: from the first refused health check until no request comes any more.
        wait_seconds: how long containers may take to become healthy.
    """

    folder: Path
    digest: str
    images: Mapping[str, str]
    hashes: Mapping[str, str]
    targets: Sequence[Mapping[str, Any]]
    turns: int = 1
    slot_seconds: int = 360
    worst_seconds: int = 300
    drain_seconds: int = 20
    wait_seconds: int = 80

    @property
    def public(self) -> bool:
        """Whether a load balancer sends requests here."""
        return any(target["public"] for target in self.targets)


def load_release(folder: Path) -> Release | None:
    """Read a release back; None for a folder that is no complete release, such as a droplet's first."""
    try:
        return Release(folder=folder.resolve(), **json.loads((folder / DERIVED).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def derive(config: Mapping[str, Any], images: Mapping[str, str], digest: str) -> dict[str, Any]:
    """Work out what a run needs from Compose's own reading of its file.

    Args:
        config: ``docker compose config --format json``.
        images: by service.
        digest: of the release.

    Raises:
        ConvergeError: a service has no image, or a health path and no port.
    """
    targets = []
    for name, service in sorted(config["services"].items()):
        if name not in images:
            raise ConvergeError(f"release.json names no image for {name}")
        labels = service.get("labels", {})
        path = labels.get("app.presence360.health-path")
        if path is None:
            continue
        ports = [int(port["published"]) for port in service.get("ports", ()) if port.get("published")]
        if len(ports) != 1:
            raise ConvergeError(f"compose.yaml: {name} has a health path and {len(ports)} published ports")
        public = labels.get("app.presence360.public") == "true"
        targets.append({"service": name, "port": ports[0], "path": path, "public": public})
    return {
        "digest": digest,
        "images": {name: images[name] for name in sorted(config["services"])},
        "hashes": {name: _container(service, config) for name, service in sorted(config["services"].items())},
        "targets": targets,
        **_timing(config.get("x-presence360", {})),
    }


def _container(service: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return a digest of what makes a container.

    Not Compose's own (``config --hash``): that has the release folder's path in it, by way of ``env_file``, so it would
    differ with each release. Compose has read the files here, and their values are in ``environment``.
    """
    made_of = {
        "service": {key: value for key, value in service.items() if key != "env_file"},
        "networks": config.get("networks"),
        "volumes": config.get("volumes"),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _timing(values: Mapping[str, Any]) -> dict[str, int]:
    known = ("turns", "slot_seconds", "worst_seconds", "drain_seconds", "wait_seconds")
    if any(name not in known or not isinstance(value, int) or value < 0 for name, value in values.items()):
        raise ConvergeError(f"compose.yaml: x-presence360 takes whole numbers for {', '.join(known)}")
    return dict(values)
