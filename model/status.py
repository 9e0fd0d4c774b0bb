"""What droplets say of themselves, and what Terraform says a bucket holds: two contracts, as readers see them.

A droplet writes its status (droplet/converge/status.py); peers, `presence360 apply`, `presence360 status` and the
wait for a new droplet read it. Terraform writes the manifests (constructs_lib/manifest.py); droplets and
`presence360 apply` read them. docs/status.md explains both with examples.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from model.contract import ContractError, integer, line, members, moment, text

FOLDER = "droplets"
"""The folder of a status bucket in which each droplet has one object."""

MANIFESTS = "manifests"
"""The folder of a configuration bucket in which each Terraform stack has one object."""

ENVIRONMENT_MANIFEST = "environment"
"""The part of the environment's own stack, whose manifest names the release; no cell is called so."""

RELEASE_OBJECTS = frozenset(
    {"ca.pem", "compose.yaml", "nginx.conf", "registry.json", "release.json", "settings.env"}
)
"""The objects of a release, but for the secrets of each service (`makes_release`)."""
_SECRETS = re.compile(r"secrets\.[a-z][a-z0-9-]*\.env")

DIGITS = 16
"""Of a SHA-256, in what droplets call a release, a version of the programs, or who is in maintenance."""

REFRESH_SECONDS = 120
"""A droplet writes its status again when the last one is as old as this, even if nothing changed."""

FRESH_SECONDS = 300
"""An older status says nothing about the present: two refreshes, and a minute for the timer."""


def makes_release(key: str) -> bool:
    """Tell whether an object is one of those that make a release; the others of a bucket are not in its digest."""
    return key in RELEASE_OBJECTS or _SECRETS.fullmatch(key) is not None


class Phase(StrEnum):
    """What a droplet is doing."""

    WAITING = "waiting"
    """It wants a change that it has not begun; `reason` says what for. What ran before still serves."""
    DRAINING = "draining"
    """It answers 503 to the load balancer's health check, and serves what still comes."""
    STARTING = "starting"
    """It starts containers of the release that it wants."""
    SERVING = "serving"
    """It runs the release that it wants, and every service of it is healthy."""
    FAILED = "failed"
    """It tried or checked the release that it wants and runs the one before; or what runs is not healthy."""
    HELD = "held"
    """It did not try the release that it wants, because another droplet of its group failed with it."""


class Result(StrEnum):
    """What a reader that only waits for the end wants to know."""

    PENDING = "pending"
    """The droplet goes on by itself."""
    OK = "ok"
    """It runs what its bucket says."""
    FAILED = "failed"
    """It does not, and the same will be so in the next minute; `reason` says why."""


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """What the isolation job found in a cluster last, on this droplet.

    Attributes:
        cluster: the operators' name for it; of a church's own, the church's id.
        success: whether each tenant reaches its own database and nothing else.
        findings: how much is wrong.
        errors: how much could not be looked at.
        time: when it looked.
    """

    cluster: str
    success: bool
    findings: int
    errors: int
    time: datetime


@dataclass(frozen=True, kw_only=True)
class DropletStatus:
    """What one droplet said last.

    Attributes:
        droplet: its id at DigitalOcean, so that a droplet and its successor of the same number are two.
        name: its host name: `staging-app-1-3fa9c2`; in a pool DigitalOcean's own.
        release: the digest of the release that runs; None before the first.
        wanted: the digest of the release that its bucket asks for; None while no complete set was fetched.
        programs: the digest of the programs that run.
        phase: what it is doing.
        result: whether it goes on, arrived, or cannot.
        reason: one line without secrets; empty when serving.
        since: when the phase, the reason or the release last changed.
        time: when the object was written; both times by the droplet's own clock.
        maintenance: the digest of the maintenance.json that nginx and services were told; None before the first.
        closed: who is in maintenance: `environment`, or slugs; empty for nobody.
        manifest: the digest of the manifest that it judged last; None while no complete set was fetched.
        isolation: what the isolation job found; empty on a group that does not run it.
    """

    droplet: str
    name: str
    release: str | None
    wanted: str | None
    programs: str | None
    phase: Phase
    result: Result
    reason: str
    since: datetime
    time: datetime
    maintenance: str | None = None
    closed: str = ""
    manifest: str | None = None
    isolation: tuple[Isolation, ...] = ()

    def fresh(self, now: datetime) -> bool:
        """Tell whether it says something about the present."""
        return abs((now - self.time).total_seconds()) <= FRESH_SECONDS


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What one Terraform stack wrote into a configuration bucket, written after all of it.

    Attributes:
        objects: by key, the SHA-256 of the content, in hexadecimal.
        release: the digest by which droplets report the release; None in a cell's manifest.
        programs: the digest by which droplets report the programs; None in a cell's manifest.
        digest: its own, by which droplets say what they judged.
    """

    objects: Mapping[str, str]
    release: str | None
    programs: str | None
    digest: str


def status_key(droplet_id: str) -> str:
    """Name a droplet's object in its group's status bucket."""
    return f"{FOLDER}/{droplet_id}.json"


def manifest_key(part: str) -> str:
    """Name a stack's manifest: of `ENVIRONMENT_MANIFEST`, or of a cell by its name."""
    return f"{MANIFESTS}/{part}.json"


def parse_status(content: str | bytes, droplet: str | None = None) -> DropletStatus:
    """Read a status object. Members that this version does not know are ignored.

    Args:
        content: the object.
        droplet: the id in the object's key; a droplet speaks for itself alone.

    Raises:
        ContractError: it is not one, or it speaks for another droplet.
    """
    value = members(content, "status")
    if droplet is not None and value.get("droplet", droplet) != droplet:
        raise ContractError("status: it names another droplet than its key")
    try:
        return DropletStatus(
            droplet=text(value["droplet"]),
            name=line(value["name"]),
            release=_optional(value["release"]),
            wanted=_optional(value["wanted"]),
            programs=_optional(value["programs"]),
            phase=Phase(value["phase"]),
            result=Result(value["result"]),
            reason=line(value["reason"]),
            since=moment(value["since"]),
            time=moment(value["time"]),
            # Programs before 2026-11-26 do not say it.
            maintenance=_optional(value.get("maintenance")),
            closed=line(value.get("closed", "")),
            manifest=_optional(value.get("manifest")),
            isolation=tuple(_isolation(*found) for found in value.get("isolation", {}).items()),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ContractError(f"status: {type(error).__name__} in a member") from None


def _isolation(cluster: object, value: Mapping[str, Any]) -> Isolation:
    return Isolation(
        cluster=line(cluster),
        success=value["success"] is True,
        findings=integer(value["findings"]),
        errors=integer(value["errors"]),
        time=moment(value["time"]),
    )


def parse_manifest(content: str | bytes) -> Manifest:
    """Read a manifest. Members that this version does not know are ignored.

    Raises:
        ContractError: it is not one.
    """
    value = members(content, "manifest")
    try:
        objects = {text(key): text(digest) for key, digest in value["objects"].items()}
        return Manifest(
            objects=objects,
            release=_optional(value.get("release")),
            programs=_optional(value.get("programs")),
            digest=hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()[
                :DIGITS
            ],
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ContractError(f"manifest: {type(error).__name__} in a member") from None


def _optional(value: object) -> str | None:
    return None if value is None else text(value)
