"""Manifests: what a stack wrote into a configuration bucket, written after all of it (docs/status.md).

An apply writes one object after another. A droplet that fetches meanwhile sees by the manifest that its set is mixed,
and `presence360 apply` reads in it which release to wait for. droplet/converge/manifest.py computes the same digests.
"""

import hashlib
import json
from collections.abc import Mapping

from model.status import DIGITS, makes_release


def sha256(text: str) -> str:
    """Return an expression, without `${}`, for the digest of a text that is known now."""
    return json.dumps(hashlib.sha256(text.encode()).hexdigest())


def manifest(digests: Mapping[str, str]) -> str:
    """Return an expression, without `${}`, for a stack's manifest.

    Args:
        digests: by key, an expression for the SHA-256 of the object.
    """
    members = {"objects": _map(digests)}
    if "release.json" in digests:
        parts = [
            f'format("%s %s\\n", {json.dumps(key)}, {digest})'
            for key, digest in sorted(digests.items())
            if makes_release(key)
        ]
        members["release"] = f'substr(sha256(join("", [{", ".join(parts)}])), 0, {DIGITS})'
        members["programs"] = f"substr({digests['programs.json']}, 0, {DIGITS})"
    return _map(members, quoted=False)


def _map(members: Mapping[str, str], *, quoted: bool = True) -> str:
    pairs = (f"{json.dumps(key) if quoted else key} = {value}" for key, value in sorted(members.items()))
    return f"{{ {', '.join(pairs)} }}"
