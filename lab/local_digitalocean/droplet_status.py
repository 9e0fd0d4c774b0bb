"""What the account's droplets say of themselves, as real ones do (docs/status.md), and how a release goes through them.

Nothing runs on these droplets. When somebody reads a status, they do what they would have done by then: the first
release once they are healthy, later ones one droplet after the other, by name. The switch `PUT /_local/releases`
makes new releases fail on the first droplet that tries, and the others then say that they are held.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from lab.local_digitalocean.store import Account, Record
from model.config import config_bucket, status_bucket
from model.maintenance import MAINTENANCE_KEY
from model.naming import Names, isolation_key
from model.status import (
    DIGITS,
    ENVIRONMENT_MANIFEST,
    REFRESH_SECONDS,
    Manifest,
    Phase,
    Result,
    manifest_key,
    parse_manifest,
    status_key,
)

SWITCH = "releases_work"
ISOLATION_SWITCH = "tenants_isolated"

_RESULTS = {Phase.SERVING: Result.OK, Phase.FAILED: Result.FAILED, Phase.HELD: Result.FAILED}
_GROUP = "-group-"


class Objects(Protocol):
    """The objects in Spaces."""

    def content(self, bucket: str, key: str) -> bytes | None:
        """Return an object's content, or None."""

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of a bucket's objects."""

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""


def speak(account: Account, objects: Objects, bucket: str) -> None:
    """Have the droplets of a status bucket's group do what is due, and write how they are."""
    account.settle()
    droplets = sorted(_of_bucket(account, bucket), key=lambda one: str(one["name"]))
    if not droplets:
        return
    manifest = _manifest(objects, droplets[0])
    # The first that does not serve: the next ones wait for it, or are held by it.
    ahead: Record | None = None
    for droplet in droplets:
        _act(account, droplet, manifest, ahead)
        if ahead is None and droplet["_phase"] != Phase.SERVING:
            ahead = droplet
        _write(account, objects, bucket, droplet, manifest)
    account.save()


def _of_bucket(account: Account, bucket: str) -> Iterator[Record]:
    for droplet in account.all("droplets"):
        group = _group(droplet)
        if droplet["status"] == "active" and group and status_bucket(Names(group[0]), group[1]) == bucket:
            yield droplet


def _group(droplet: Record) -> tuple[str, str] | None:
    """Return environment and group by a droplet's tags, `staging` and `staging-group-app`; None for another droplet."""
    tags = droplet["tags"]
    return next(
        (
            (environment, tag.removeprefix(environment + _GROUP))
            for environment in tags
            for tag in tags
            if tag.startswith(environment + _GROUP)
        ),
        None,
    )


def _manifest(objects: Objects, droplet: Record) -> Manifest | None:
    environment, group = _group(droplet) or ("", "")
    content = objects.content(config_bucket(Names(environment), group), manifest_key(ENVIRONMENT_MANIFEST))
    return None if content is None else parse_manifest(content)


def _act(account: Account, droplet: Record, manifest: Manifest | None, ahead: Record | None) -> None:
    """Let a droplet do what is due."""
    now, wanted = account.clock.now(), manifest and manifest.release
    runs = droplet.get("_release")
    if manifest is not None:
        # Beside every release, so without a turn.
        droplet["_maintenance"] = manifest.objects.get(MAINTENANCE_KEY, "")[:DIGITS] or None
    if manifest is None:
        _say(droplet, Phase.WAITING, f"set incomplete: {manifest_key(ENVIRONMENT_MANIFEST)} is missing", now)
    elif runs is None:
        if droplet.get("_healthy", False):
            _take(droplet, manifest, now)
        else:
            _say(droplet, Phase.STARTING, "the first release", now)
    elif runs == wanted:
        # Programs alone take no container down.
        droplet["_programs"] = manifest.programs
        healthy = droplet.get("_healthy", False)
        _say(droplet, *((Phase.SERVING, "") if healthy else (Phase.FAILED, "a service is unhealthy")), now)
    elif ahead is not None:
        _follow(droplet, ahead, now)
    elif account.secrets.get(SWITCH, "yes") == "no" or droplet.get("_failed_with") == wanted:
        droplet["_failed_with"] = wanted
        _say(droplet, Phase.FAILED, "container presence360-tenant-api-1 is unhealthy", now)
    elif droplet.get("_tries") != wanted:
        droplet["_tries"] = wanted
        _say(droplet, Phase.STARTING, "", now)
    elif now - droplet["_since"] >= account.durations.release:
        _take(droplet, manifest, now)


def _follow(droplet: Record, ahead: Record, now: float) -> None:
    if ahead["_phase"] == Phase.FAILED:
        _say(droplet, Phase.HELD, f"{ahead['name']} failed with this release", now)
    else:
        _say(droplet, Phase.WAITING, f"waits for {ahead['name']}", now)


def _take(droplet: Record, manifest: Manifest, now: float) -> None:
    droplet.update(_release=manifest.release, _programs=manifest.programs)
    _say(droplet, Phase.SERVING, "", now)


def _say(droplet: Record, phase: Phase, reason: str, now: float) -> None:
    if (droplet.get("_phase"), droplet.get("_reason")) != (phase, reason):
        droplet.update(_phase=phase, _reason=reason, _since=now)


def _write(
    account: Account, objects: Objects, bucket: str, droplet: Record, manifest: Manifest | None
) -> None:
    """Write a droplet's status if it changed, or is as old as one gets."""
    phase = Phase(droplet["_phase"])
    said = {
        "version": 1,
        "droplet": str(droplet["id"]),
        "name": droplet["name"],
        "release": droplet.get("_release"),
        "wanted": manifest and manifest.release,
        "manifest": manifest and manifest.digest,
        "programs": droplet.get("_programs"),
        "phase": phase,
        "result": _RESULTS.get(phase, Result.PENDING),
        "reason": droplet["_reason"],
        "since": _stamp(droplet["_since"]),
        "maintenance": droplet.get("_maintenance"),
        "closed": "",
    }
    now = account.clock.now()
    if found := _isolation(account, objects, droplet, now):
        said["isolation"] = found
    if droplet.get("_said") == said and now - droplet["_wrote"] < REFRESH_SECONDS:
        return
    droplet.update(_said=said, _wrote=now)
    content = json.dumps({**said, "time": _stamp(now)}, indent=1).encode()
    objects.put(bucket, status_key(str(droplet["id"])), content)


def _isolation(account: Account, objects: Objects, droplet: Record, now: float) -> Record:
    """Return what the isolation job would say of each cluster that its configuration names."""
    environment, group = _group(droplet) or ("", "")
    bucket, folder = config_bucket(Names(environment), group), isolation_key("").removesuffix(".json")
    contents = (objects.content(bucket, key) for key in objects.keys(bucket) if key.startswith(folder))
    isolated = account.secrets.get(ISOLATION_SWITCH, "yes") == "yes"
    # Each minute, as the job.
    said = {"success": isolated, "findings": int(not isolated), "errors": 0, "time": _stamp(now - now % 60)}
    return {
        str(cluster["name"]): said
        for content in contents
        for cluster in json.loads(content or b"{}")["clusters"]
    }


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
