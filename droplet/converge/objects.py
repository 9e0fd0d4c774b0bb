"""The bucket's objects, and the checks that each has to pass before anything is touched."""

import json
import re
from collections.abc import Mapping
from typing import Any

from droplet.converge.errors import ConvergeError

REQUIRED = ("compose.yaml", "nginx.conf", "release.json", "settings.env")
OPTIONAL = ("ca.pem", "registry.json")
GROUP_SECRETS = "secrets.env"
"""Of all services of a group, as releases before 2026-11-26 have it: still one of the last releases on a droplet, and
what the bucket holds again after a revert."""
_SECRETS = re.compile(r"secrets\.[a-z][a-z0-9-]*\.env")
MAX_OBJECT_BYTES = 4 * 1024 * 1024
"""A limit against mistakes: real objects have a few KiB, programs.json less than 1 MiB.

More than what is ever written (MAX_PROGRAMS_BYTES in cloud_init/programs.py), so that the latter can be raised: a
droplet reads the next programs with those that it has."""

# Docker's reference grammar (distribution/reference/regexp.go), without its rarer forms.
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})")
_NAME = re.compile(r"[a-z][a-z0-9-]*")

# What compose-go's dotenv parser reads without expanding anything: plain words; single quotes without quotes
# and backslashes; double quotes in which a backslash escapes the next character and `$` is escaped
# (model/env_file.py).
_ENV_LINE = re.compile(
    r"""[A-Za-z_][A-Za-z0-9_]*=([A-Za-z0-9_./:@%+,=-]*|'[^'\\]*'|"(?:[^"\\$]|\\.)*")\n""", re.DOTALL
)

_ESCAPED = {"n": "\n", "r": "\r"}
"""By the character behind a backslash in double quotes, what stands for another one (model/env_file.py)."""


def makes_release(key: str) -> bool:
    """Tell whether an object is one of those that make a release (model/status.py)."""
    return key in REQUIRED or key in OPTIONAL or holds_secrets(key)


def holds_secrets(key: str) -> bool:
    """Tell whether an object is an environment file with secrets: each service has its own."""
    return key == GROUP_SECRETS or _SECRETS.fullmatch(key) is not None


def secrets_of(service: str) -> str:
    """Name the object with what one service alone may know (model/naming.py)."""
    return f"secrets.{service}.env"


def check_objects(objects: Mapping[str, bytes]) -> dict[str, str]:
    """Check every object that this program understands, and return the images by service.

    Compose and nginx check their own files.

    Raises:
        ConvergeError: an object is not what it has to be.
    """
    images = check_release(objects["release.json"])
    if GROUP_SECRETS not in objects:
        for service in images:
            if secrets_of(service) not in objects:
                raise ConvergeError(f"the bucket has no {secrets_of(service)}")
    for name in sorted(objects):
        if name == "settings.env" or holds_secrets(name):
            check_env(name, objects[name])
    if registry := objects.get("registry.json"):
        check_registry(registry)
    if (authorities := objects.get("ca.pem")) and b"-----BEGIN CERTIFICATE-----" not in authorities:
        raise ConvergeError("ca.pem holds no certificate")
    return images


def check_release(content: bytes) -> dict[str, str]:
    """Return the images by service.

    Raises:
        ConvergeError: release.json is not ``{"images": {"tenant-api": "registry/repository:tag"}}``.
    """
    release = _json("release.json", content)
    services = release.get("images")
    if not isinstance(services, dict):
        raise ConvergeError("release.json names no images")
    for name, image in services.items():
        if not _NAME.fullmatch(name):
            raise ConvergeError(f"release.json: {name!r} is not a service name")
        if not isinstance(image, str) or not _IMAGE.fullmatch(image):
            raise ConvergeError(f"release.json: {image!r} of {name} is not an image with a tag or digest")
    return services


def check_env(name: str, content: bytes) -> None:
    """Check an environment file; the message has the line's number and never its text, which may be a secret.

    Raises:
        ConvergeError: Compose would read another value than the one that was written.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ConvergeError(f"{name} is not UTF-8") from None
    position = 0
    while position < len(text):
        match = _ENV_LINE.match(text, position)
        if match:
            position = match.end()
        elif text[position] in "#\n":
            position = (text.find("\n", position) + 1) or len(text)
        else:
            line = text.count("\n", 0, position) + 1
            raise ConvergeError(f"{name}, line {line}: not NAME=value, NAME='value' or NAME=\"value\"")


def env_values(content: bytes) -> list[str]:
    """Return the values of an environment file, as they are written and as Compose reads them."""
    values = []
    for match in _ENV_LINE.finditer(content.decode(errors="replace")):
        raw = match[1]
        inner = raw[1:-1] if raw[:1] in {"'", '"'} else raw
        values += [inner, re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)]
    return values


def env_variables(content: bytes) -> dict[str, str]:
    """Return an environment file's variables as Compose reads them, for programs that are started without Compose."""
    found = {}
    for match in _ENV_LINE.finditer(content.decode()):
        name, raw = match[0].partition("=")[0], match[1]
        if raw[:1] == '"':
            raw = re.sub(
                r"\\(.)", lambda escape: _ESCAPED.get(escape[1], escape[1]), raw[1:-1], flags=re.DOTALL
            )
        elif raw[:1] == "'":
            raw = raw[1:-1]
        found[name] = raw
    return found


def check_registry(content: bytes) -> None:
    """Check Docker's config.json: only logins, because the file may also name programs to run.

    Raises:
        ConvergeError: it holds anything else.
    """
    registry = _json("registry.json", content)
    if set(registry) - {"auths"} or not isinstance(registry.get("auths", {}), dict):
        raise ConvergeError('registry.json is not {"auths": {...}}')


def image_variable(service: str) -> str:
    """Name the variable that stands for a service's image in the Compose file."""
    return f"{service.upper().replace('-', '_')}_IMAGE"


def _json(name: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        raise ConvergeError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise ConvergeError(f"{name} is not a JSON object")
    return value
