"""The tenants' credentials objects, as Terraform writes them (constructs_lib/tenant_databases.py).

They hold passwords, so no message quotes one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TENANT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HOST = re.compile(r"[A-Za-z0-9.-]+|/[A-Za-z0-9._/-]+")
"""A name, an address, or the folder of a Unix socket. A comma would be a list of hosts, for PgBouncer."""
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f]+")


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
    """

    database: str
    host: str
    port: int
    ca: str = field(repr=False)
    logins: tuple[Login, ...]


def read_places(folder: Path) -> tuple[list[Place], dict[str, str]]:
    """Read the objects in a folder: the places sorted by database, and by file why one cannot be used."""
    places: list[Place] = []
    problems: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            places.append(_place(path.stem, json.loads(path.read_bytes())))
        except OSError as error:
            problems[path.name] = f"cannot be read: {error.strerror}"
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problems[path.name] = f"does not have the form that Terraform writes ({type(error).__name__})"
    return places, problems


def _place(tenant: str, value: Mapping[str, Any]) -> Place:
    """Return a tenant's place.

    The names follow from the object's own name: what stands in one tenant's object never reaches another's database.
    """
    _match(_TENANT_ID, tenant)
    database = f"tenant_{tenant}"
    if value["database"] != database:
        raise ValueError("database")
    user = re.compile(re.escape(database) + r"_g[1-9][0-9]{0,5}")
    logins = tuple(
        Login(_match(user, entry["user"]), _match(_PASSWORD, entry["password"]))
        for entry in (value, *value["previous"])
    )
    return Place(
        database=database,
        host=_match(_HOST, value["host"]),
        port=int(value["port"]),
        ca=str(value["ca"]).strip(),
        logins=logins,
    )


def _match(pattern: re.Pattern[str], text: object) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError(pattern.pattern)
    return text
