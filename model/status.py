"""What droplets say of themselves, and what Terraform says a bucket holds: two contracts, as readers see them.

A droplet writes its status (droplet/converge/status.py); peers, `presence360 apply`, `presence360 status` and the
wait for a new droplet read it. Terraform writes the manifests (constructs_lib/manifest.py); droplets and
`presence360 apply` read them. docs/status.md explains both with examples.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

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

REFRESH_SECONDS = 120
"""A droplet writes its status again when the last one is as old as this, even if nothing changed."""

FRESH_SECONDS = 300
"""An older status says nothing about the present: two refreshes, and a minute for the timer."""


REASON_CHARACTERS = 400
"""The longest reason that a droplet writes (droplet/converge/status.py); what is longer is cut."""


def makes_release(key: str) -> bool:
    """Tell whether an object is one of those that make a release; the others of a bucket are not in its digest."""
    return key in RELEASE_OBJECTS or _SECRETS.fullmatch(key) is not None


class ContractError(ValueError):
    """An object does not have the form that its writer promises; the message does not quote it."""


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
    """

    objects: Mapping[str, str]
    release: str | None
    programs: str | None


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
    value = _object(content, "status")
    if droplet is not None and value.get("droplet", droplet) != droplet:
        raise ContractError("status: it names another droplet than its key")
    try:
        return DropletStatus(
            droplet=_text(value["droplet"]),
            name=_line(value["name"]),
            release=_optional(value["release"]),
            wanted=_optional(value["wanted"]),
            programs=_optional(value["programs"]),
            phase=Phase(value["phase"]),
            result=Result(value["result"]),
            reason=_line(value["reason"]),
            since=_time(value["since"]),
            time=_time(value["time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"status: {type(error).__name__} in a member") from None


def parse_manifest(content: str | bytes) -> Manifest:
    """Read a manifest. Members that this version does not know are ignored.

    Raises:
        ContractError: it is not one.
    """
    value = _object(content, "manifest")
    try:
        objects = {_text(key): _text(digest) for key, digest in value["objects"].items()}
        return Manifest(
            objects=objects,
            release=_optional(value.get("release")),
            programs=_optional(value.get("programs")),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ContractError(f"manifest: {type(error).__name__} in a member") from None


def _object(content: str | bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ContractError(f"{what}: not JSON") from None
    if not isinstance(value, dict):
        raise ContractError(f"{what}: not a JSON object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _line(value: object) -> str:
    """Return a droplet's own words as one short line: they reach terminals and logs, and it may be compromised."""
    return "".join(one if one.isprintable() else " " for one in _text(value)[:REASON_CHARACTERS])


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _time(value: object) -> datetime:
    return datetime.strptime(_text(value), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
