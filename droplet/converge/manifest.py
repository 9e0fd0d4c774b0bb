"""Manifests: what Terraform says it wrote, and whether all of it was fetched.

An apply writes one object after another, so a fetch meanwhile meets a mixture. Each stack writes its manifest after its
other objects (constructs_lib/manifest.py): a set that agrees with it is whole. docs/status.md has the format.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.errors import ConvergeError, IncompleteError
from droplet.converge.objects import MAX_OBJECT_BYTES, REQUIRED, makes_release
from droplet.converge.paths import Paths

ENVIRONMENT = "environment.json"
"""The manifest of the stack that writes the release."""

PATIENCE_SECONDS = 600
"""An apply writes a group's objects within seconds, but it may wait for its approval or a new cluster between two."""


@dataclass(frozen=True)
class Fetched:
    """A whole set of the group's objects.

    Attributes:
        release: by key, the content of the objects that make a release.
        digest: of the release.
        programs: digest of the programs.
        beside: by key, the content of the other objects.
        manifest: digest of the manifest, so of all that the stack wrote.
    """

    release: Mapping[str, bytes]
    digest: str
    programs: str
    beside: Mapping[str, bytes]
    manifest: str


def read_set(paths: Paths) -> Fetched:
    """Read what was fetched, as far as the environment's manifest lists it.

    Raises:
        IncompleteError: an object is missing, or is not the one that the manifest lists.
        ConvergeError: the set is whole, and makes no release.
    """
    listed, manifest = _read(paths.manifests / ENVIRONMENT)
    found: dict[str, bytes] = {}
    for key, digest in listed.items():
        found[key] = _content(paths.incoming, key)
        if sha256(found[key]) != digest:
            raise IncompleteError(
                f"set incomplete: {key} is not the one of the manifest", patience=PATIENCE_SECONDS
            )
    for key in (*REQUIRED, "programs.json"):
        if key not in found:
            raise ConvergeError(f"the bucket has no {key}")
    release = {key: content for key, content in found.items() if makes_release(key)}
    beside = {key: content for key, content in found.items() if not makes_release(key)}
    return Fetched(release, digest_of(release), listed["programs.json"][:16], beside, manifest)


def agrees(paths: Paths, key: str, part: str) -> bool:
    """Tell whether an object is the one that a stack's manifest lists; for the parts of cells."""
    try:
        return _read(paths.manifests / f"{part}.json")[0].get(key) == sha256(_content(paths.incoming, key))
    except ConvergeError:
        return False


def digest_of(objects: Mapping[str, bytes]) -> str:
    """Name a release after its content: 16 hexadecimal digits. Terraform computes the same."""
    lines = "".join(f"{key} {sha256(content)}\n" for key, content in sorted(objects.items()))
    return sha256(lines.encode())[:16]


def sha256(content: bytes) -> str:
    """Return the SHA-256 of an object, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> tuple[dict[str, str], str]:
    """Return what a manifest lists, and its own digest."""
    try:
        content = path.read_bytes()
        objects = json.loads(content)["objects"]
        return {str(key): str(digest) for key, digest in objects.items()}, sha256(content)[:16]
    except FileNotFoundError:
        raise IncompleteError("set incomplete: no manifest", patience=PATIENCE_SECONDS) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IncompleteError(
            "set incomplete: the manifest is not valid", patience=PATIENCE_SECONDS
        ) from None


def _content(incoming: Path, key: str) -> bytes:
    path = incoming / key
    if ".." in path.parts or not path.is_file():
        raise IncompleteError(f"set incomplete: {key} is missing", patience=PATIENCE_SECONDS)
    if path.stat().st_size > MAX_OBJECT_BYTES:
        raise ConvergeError(f"{key} has more than {MAX_OBJECT_BYTES} bytes")
    return path.read_bytes()
