"""Words that follow from something else that is compared: digests of texts, and ids that DigitalOcean gave.

A word is one of them only if it can be worked out again. Every other number and every other digest, such as that of a
pinned image, is compared as it stands.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from model.addresses import DROPLET
from model.status import DIGITS, makes_release

Leaves = Mapping[tuple[str, ...], str]

_WORD = re.compile(r"(?<![0-9a-zA-Z])[0-9a-f]{6,64}(?![0-9a-zA-Z])")
_ID = re.compile(r"\d{6,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID = re.compile(r"(?<![0-9a-zA-Z-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-zA-Z-])")
_GENERATION = re.compile(r"-[0-9a-f]{6}$")
"""At the end of a droplet's name: of its user data, image and SSH keys (`generation`, model/naming.py)."""
_ESCAPED = re.compile(r"([$%])\1\{")
_RESOURCE = 5
"""Parts of the place of an argument of a resource: the stack, `resource`, the kind, the address, the argument."""
_HASH = "#"


def derived_words(found: Leaves) -> frozenset[str]:
    """Return the digests of all texts, also of those inside JSON, and the ids of resources that exist."""
    words: set[str] = set()
    for place, leaf in found.items():
        if len(place) == _RESOURCE and place[-1] == "id" and _ID.fullmatch(leaf):
            words.add(leaf)
        # Terraform reads `$${` as `${`.
        text = _ESCAPED.sub(r"\1{", leaf)
        words.update(_digests(text))
        for value in _inside(text):
            words.update(_digests(value) if isinstance(value, str) else _of_manifest(value))
    return frozenset(words)


def without_derived(place: tuple[str, ...], text: str, derived: frozenset[str]) -> str:
    """Return a leaf with one word for every derived one."""
    if place[-1:] == ("name",) and DROPLET in place:
        text = _GENERATION.sub(f"-{_HASH}", text)
    for pattern in (_UUID, _WORD):
        text = pattern.sub(lambda match: _HASH if match[0] in derived else match[0], text)
    return text


def _digests(text: str) -> Iterator[str]:
    data = text.encode()
    yield hashlib.md5(data, usedforsecurity=False).hexdigest()
    digest = hashlib.sha256(data).hexdigest()
    # Short: of programs, of a release, and of the file that a unit reads (cloud_init/programs.py).
    yield from (digest, digest[:DIGITS])


def _inside(text: str) -> Iterator[Any]:
    """Yield the texts and the objects in a text that is JSON."""
    if not text.startswith(("{", "[")):
        return
    try:
        yield from _walk(json.loads(text))
    except (ValueError, RecursionError):
        return


def _walk(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)
    elif isinstance(value, str):
        yield value


def _of_manifest(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the release that a manifest names after its objects, as constructs_lib/manifest.py works it out."""
    objects = value.get("objects")
    if isinstance(objects, dict):
        parts = (f"{key} {digest}\n" for key, digest in sorted(objects.items()) if makes_release(key))
        yield hashlib.sha256("".join(parts).encode()).hexdigest()[:DIGITS]
