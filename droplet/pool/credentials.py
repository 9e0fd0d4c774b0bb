"""The tenants' credentials objects, as Terraform writes them (constructs_lib/tenant_databases.py).

They hold passwords, so no message quotes one.
"""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from droplet.converge.paths import write
from droplet.names import TENANT_DATABASE, TENANT_ID, tenant_of

_TENANT_ID = re.compile(TENANT_ID)
_DATABASE = re.compile(TENANT_DATABASE)
_HOST = re.compile(r"[A-Za-z0-9.-]+|/[A-Za-z0-9._/-]+")
"""A name, an address, or the folder of a Unix socket. A comma would be a list of hosts, for PgBouncer."""
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f]+")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_LAST_PORT = 65_535


@dataclass(frozen=True)
class Login:
    """One generation of a tenant's credentials."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Place:
    """A tenant's database, and who logs in to it.

    Attributes:
        database: its name; PgBouncer's clients call it the same.
        host: of its server.
        port: of its server.
        ca: who signs the server's certificate, PEM.
        logins: the users, the newest first; more than one during a rotation.
        connections: that each of them may hold on all droplets; None: the object does not say it.
    """

    database: str
    host: str
    port: int
    ca: str = field(repr=False)
    logins: tuple[Login, ...]
    connections: int | None


def read_places(folder: Path, good: Path) -> tuple[list[Place], dict[str, str]]:
    """Read the objects in a folder: the places sorted by database, and by file why one cannot be used.

    An object that cannot be used does not cut its tenant off: the last copy that could be used stands in for it.

    Args:
        folder: the objects, as fetched.
        good: the last usable copy of each object. An object that left the folder leaves here, too.

    Raises:
        OSError: a copy cannot be written or removed.
    """
    good.mkdir(mode=0o700, exist_ok=True)
    places: list[Place] = []
    problems: dict[str, str] = {}
    paths = sorted(folder.glob("*.json"))
    for path in paths:
        copy = good / path.name
        place, content = _read(path)
        if isinstance(place, str):
            problems[path.name] = place
            place, _ = _read(copy)
        elif _content(copy) != content:
            write(copy, content, mode=0o600)
        if isinstance(place, Place):
            places.append(place)
    for name in {path.name for path in good.glob("*.json")} - {path.name for path in paths}:
        (good / name).unlink()
    return places, problems


def _read(path: Path) -> tuple[Place | str, bytes]:
    """Return an object's place, or why it cannot be used, and its content."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}", b""
    try:
        return _place(path.stem, json.loads(content)), content
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return f"does not have the form that Terraform writes ({type(error).__name__})", content


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _place(tenant: str, value: Mapping[str, Any]) -> Place:
    """Return a tenant's place.

    The names follow from the object's own name: what stands in one tenant's object never reaches another's database.
    """
    _match(_TENANT_ID, tenant)
    database = _match(_DATABASE, value["database"])
    if tenant_of(database) != tenant:
        raise ValueError("database")
    if not 0 < (port := int(value["port"])) <= _LAST_PORT:
        raise ValueError("port")
    user = re.compile(re.escape(database) + r"_g[1-9][0-9]{0,5}")
    logins = tuple(
        Login(_match(user, entry["user"]), _match(_PASSWORD, entry["password"]))
        for entry in (value, *value["previous"])
    )
    return Place(
        database=database,
        host=_match(_HOST, value["host"]),
        port=port,
        ca=_certificates(value["ca"]),
        logins=logins,
        # An object of a cell that has not been applied since this key came lacks it.
        connections=int(value["pool"]["connections"]) if "pool" in value else None,
    )


@lru_cache
def _certificates(text: str) -> str:
    """Return the certificates of a PEM text, and nothing else of it.

    PgBouncer has one file for all tenants, and refuses a damaged one as a whole.

    Raises:
        ValueError: there is no certificate in it, or it is damaged.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except ssl.SSLError:
        raise ValueError("ca") from None
    return "\n".join(_CERTIFICATE.findall(text))


def _match(pattern: re.Pattern[str], text: object) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError(pattern.pattern)
    return text
