"""What Terraform's stacks say of their Postgres clusters: a JSON file for the environment and one for each cell.

constructs_lib/isolation.py writes them. They hold the administrators' passwords, so no message quotes one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_EXTENSION = re.compile(r"[a-z][a-z0-9_-]*")


class ConfigurationError(Exception):
    """A configuration cannot be used. The message does not quote it, because it holds passwords."""


@dataclass(frozen=True)
class Cluster:
    """A Postgres cluster, as its administrator reaches it.

    Attributes:
        name: in the operators' file, or the id of the tenant whose own cluster it is.
        host: name or address; a folder for a Unix socket.
        port: TCP port.
        user: the administrator.
        password: the administrator's.
        database: the administrator's own database.
        sslmode: libpq's.
        ca: the certificate authority of the cluster, PEM.
    """

    name: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    sslmode: str
    ca: str = field(repr=False)


@dataclass(frozen=True)
class Limits:
    """What every database of a stack's clusters is limited to.

    Attributes:
        connections: that a login role may hold at a time.
        overrides: the same by database, where it differs.
        statement_timeout_ms: default of the databases.
        idle_in_transaction_timeout_ms: default of the databases.
        extensions: that every tenant's database has.
    """

    connections: int
    overrides: Mapping[str, int]
    statement_timeout_ms: int
    idle_in_transaction_timeout_ms: int
    extensions: Sequence[str] = ()


@dataclass(frozen=True)
class Configuration:
    """What one Terraform stack says.

    Attributes:
        name: `environment`, or the cell's name.
        clusters: how to reach each.
        limits: of their databases.
    """

    name: str
    clusters: Sequence[Cluster]
    limits: Limits


def read_configuration(path: Path, name: str) -> Configuration:
    """Read one configuration.

    Raises:
        ConfigurationError: it cannot be read, or does not have the form that Terraform writes.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        limits = Limits(
            connections=int(value["connections"]),
            overrides={str(database): int(limit) for database, limit in value["overrides"].items()},
            statement_timeout_ms=int(value["statement_timeout_ms"]),
            idle_in_transaction_timeout_ms=int(value["idle_in_transaction_timeout_ms"]),
            # A cell that has not been applied since this key came lacks it.
            extensions=_extensions(value.get("extensions", [])),
        )
        clusters = [_cluster(entry) for entry in value["clusters"]]
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"is not valid JSON, line {error.lineno}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"does not have the form that Terraform writes ({type(error).__name__})"
        ) from None
    return Configuration(name, clusters, limits)


def _extensions(names: object) -> Sequence[str]:
    """Return the names, which SQL and psql's variables take without quoting."""
    if not isinstance(names, list) or not all(
        isinstance(one, str) and _EXTENSION.fullmatch(one) for one in names
    ):
        raise TypeError("extensions")
    return tuple(sorted(names))


def _cluster(entry: Mapping[str, Any]) -> Cluster:
    texts = {key: entry[key] for key in ("name", "host", "user", "password", "database", "sslmode", "ca")}
    for key, text in texts.items():
        if not isinstance(text, str) or not text:
            raise TypeError(key)
    # Folders, stamps and metrics are named after it.
    if not _NAME.fullmatch(texts["name"]):
        raise ValueError("name")
    return Cluster(port=int(entry["port"]), **texts)
