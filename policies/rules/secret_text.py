"""Search of text for what looks like a secret: every process on a droplet can read its user data."""

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache

LITERAL_SECRETS = {
    "a DigitalOcean token": re.compile(r"\bdo[opr]_v1_[0-9a-f]{8}"),
    "a Spaces access key": re.compile(r"\bDO[0-9A-Z]{18}\b"),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a password inside an address": re.compile(r"\b[a-z][a-z0-9+]*://[^/\s:@]*:[^/\s@$]+@"),
    # A value that begins with $ is a reference, one that begins with / is the path of a file.
    "a password or secret": re.compile(
        r"""(?i)(password|passwd|passphrase|secret|token|api_?key|access_key|secret_key)["']?\s*[:=]\s*["']?"""
        r"""(?!(?:true|false|null|none)\b)[^\s"'$/]{4}"""
    ),
}
CERTAIN = {
    "a DigitalOcean token": ("do", LITERAL_SECRETS["a DigitalOcean token"]),
    "a Spaces access key": ("DO", LITERAL_SECRETS["a Spaces access key"]),
    "an AWS access key": ("IA", LITERAL_SECRETS["an AWS access key"]),
    "a private key": ("-----BEGIN", LITERAL_SECRETS["a private key"]),
    # Not a place for one, as format strings have it.
    "a password inside an address": ("://", re.compile(r"://[^/\s:@]*:[^/\s@$%{}<>]{4,}@")),
}
"""What is no secret by chance, with a sign that is quick to find: programs and settings speak of passwords too."""
KEY_SHAPE = re.compile(r"(?<![\w/+-])[A-Za-z0-9/+]{40}(?![\w/+=-])")  # an AWS secret, if it looks random
PATH_SLASHES = 4  # with as many it is the path of a file
ENCODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")

# The key of its own group's bucket is the only secret in a droplet's user data.
SECRET_REFERENCE = re.compile(
    r"(?<!\$)\$\{[^}]*\b(?!digitalocean_spaces_key\.)\w+\.[\w-]+(?:\[[^\]]*\])?"
    r"""(?:\.|\[\\?")(?:password|uri|private_uri|secret_key|private_key|token|docker_credentials)\b"""
)

# An attribute of a resource that holds a secret, in an expression of Terraform's.
SECRET_ATTRIBUTE = re.compile(
    r"""(?:\.|\[\s*["'])(password|uri|private_uri|secret_key|private_key|token|docker_credentials|kube_config)\b"""
)


@lru_cache(maxsize=4096)
def certain_in(text: str) -> tuple[str, ...]:
    """Return what certainly is a secret in a text; the same text stands in many resources."""
    return tuple(what for what, (sign, pattern) in CERTAIN.items() if sign in text and pattern.search(text))


@lru_cache(maxsize=256)
def secrets_in(text: str) -> tuple[str, ...]:
    """Return `what it looks like, line n` for each find; never the secret itself."""
    return tuple(_secrets_in(text))


def _secrets_in(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in LITERAL_SECRETS.items():
            if pattern.search(line):
                yield f"{what} in line {number}"
        if any(_looks_random(found) for found in KEY_SHAPE.findall(line)):
            yield f"a secret key in line {number}"
        if SECRET_REFERENCE.search(line):
            yield f"a reference to a secret in line {number}"
        for inner in (text for encoded in ENCODED.findall(line) for text in _decoded(encoded)):
            for find in secrets_in(inner):
                yield f"{find.partition(' in line ')[0]}, in base64, in line {number}"


def _looks_random(text: str) -> bool:
    """Not a path, and not a commit hash, which has no upper case."""
    kinds = (str.isupper, str.islower, str.isdigit)
    return text.count("/") < PATH_SLASHES and all(any(map(kind, text)) for kind in kinds)


def _decoded(encoded: str) -> Iterator[str]:
    """The text behind base64, packed by gzip or not, if it is text."""
    try:
        data = base64.b64decode(encoded, validate=True)
        yield (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, OSError, EOFError, zlib.error):
        return
