"""What the group's bucket asks for: which images migrate which databases, and how."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet.converge.errors import ConvergeError
from droplet.converge.manifest import read_set
from droplet.converge.migrations import KEY, asked_by, images_of
from droplet.converge.objects import env_variables
from droplet.converge.paths import Paths
from droplet.integers import integer
from droplet.names import tenant_of

CONTROL_PLANE, TENANTS = "control_plane", "tenants"
"""Kinds of databases (model/jobs.py)."""


@dataclass(frozen=True)
class Job:
    """The migration of one kind of database.

    Attributes:
        name: in labels and messages.
        databases: `CONTROL_PLANE` or `TENANTS`.
        image: its reference, by tag or digest.
        command: program and arguments.
        variables: its environment, apart from how it reaches the database.
        memory_mib: the most it may use.
        timeout_seconds: how long one run may take.
    """

    name: str
    databases: str
    image: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(repr=False)
    memory_mib: int
    timeout_seconds: int


@dataclass(frozen=True)
class Wanted:
    """What is to be true.

    Attributes:
        jobs: by kind of database.
        asked: the digest of the object that asks for it; droplets compare it with their own.
        images: by service, as the object has them; droplets compare them with their own.
        canaries: the ids of the tenants that are first.
        parallel: how many databases at a time.
        share: the percentage of tenants that must be done.
        registry: Docker's login, or nothing.
    """

    jobs: Mapping[str, Job]
    asked: str
    images: Mapping[str, str]
    canaries: Sequence[str]
    parallel: int
    share: int
    registry: bytes | None = field(repr=False)

    def is_first(self, database: str) -> bool:
        """Tell whether a database is one of the first: if one of them fails, no other is begun."""
        return database == CONTROL_PLANE or tenant_of(database) in self.canaries


def read_wanted(paths: Paths) -> Wanted | None:
    """Read it from what was fetched; None where the images bring no migrations.

    Raises:
        IncompleteError: an apply is under way.
        ConvergeError: an object is not what Terraform writes.
    """
    objects = read_set(paths).beside
    if KEY not in objects:
        return None
    images = images_of(objects[KEY])
    settings = env_variables((paths.incoming / "settings.env").read_bytes())
    registry = paths.incoming / "registry.json"
    try:
        value = json.loads(objects[KEY])
        return Wanted(
            jobs={one["databases"]: _job(one, settings) for one in value["jobs"]},
            asked=asked_by(objects[KEY]),
            images=images,
            canaries=[str(one) for one in value["canaries"]],
            parallel=integer(value["parallel"], 1),
            share=integer(value["share"], 0),
            registry=registry.read_bytes() if registry.exists() else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConvergeError(f"{KEY} is not what Terraform writes ({type(error).__name__})") from None


def _job(value: Mapping[str, Any], settings: Mapping[str, str]) -> Job:
    if value["databases"] not in {CONTROL_PLANE, TENANTS}:
        raise ValueError(value["databases"])
    return Job(
        name=str(value["name"]),
        databases=value["databases"],
        image=str(value["image"]),
        command=[str(part) for part in value["command"]],
        variables={**settings, **{str(name): str(text) for name, text in value["environment"].items()}},
        memory_mib=integer(value["memory_mib"], 1),
        timeout_seconds=integer(value["timeout_seconds"], 1),
    )


def folder_of(paths: Paths) -> Path:
    """Return where the program's own files are that outlive a run."""
    return paths.state / "migrate"
