"""What is asked for, and what only this run may know."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from droplet.configuration import Cluster
from droplet.converge.peers import read_time
from droplet.drill.errors import DrillError
from droplet.integers import integer
from droplet.names import TENANT_DATABASE

VERSION = 1
FRESH_SECONDS = 12 * 3600
"""An older request is ignored: who asked does not wait any more, and its fork is gone."""

_ID = re.compile(r"[0-9a-z][0-9a-z-]{7,63}")
_DATABASE = re.compile(f"{TENANT_DATABASE}|control_plane")
_USER = re.compile(f"{TENANT_DATABASE}_g[1-9][0-9]*|control_plane")
# One statement that ends where its text does: psql, which gets it, waits for the end of an open quote or comment. As
# model/sanity.py, which says it to who writes it.
_STATEMENT = re.compile(
    r"""\s*(SELECT|WITH)\s([^;\\\x00'"$/-]|'[^';\\\x00]*'|"[^";\\\x00]*"|-(?!-)|/(?!\*))*""", re.IGNORECASE
)
_IDENTITY = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")


@dataclass(frozen=True)
class Query:
    """A sanity query: one number, and what it may be.

    Attributes:
        name: what reports call it.
        control_plane: whether it is for `control_plane`; otherwise for each church's database.
        sql: a single SELECT.
        least: the smallest number that is right; None: any.
        most: the largest; None: any.
    """

    name: str
    control_plane: bool
    sql: str
    least: int | None
    most: int | None


@dataclass(frozen=True)
class Wanted:
    """A database that the directory names.

    Attributes:
        name: the database's.
        user: who logs in to it; None for a church that is suspended.
    """

    name: str
    user: str | None


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        id: names the run.
        environment: its name.
        source: the cluster that was forked, by the operators' name.
        time: when the drill was asked for.
        began: when the fork was asked for.
        ready: when the fork answered.
        backup: the time of the backup that the fork was made from.
        databases: those that the directory names.
        rpo_hours: how old a backup and a dump may be.
        rto_minutes: how long a restore may take.
        every_days: within how many days each database is to be looked through.
        hours: how long this drill may take.
        queries: what the application's owners want to be true.
    """

    id: str
    environment: str
    source: str
    time: float
    began: float
    ready: float
    backup: float
    databases: Sequence[Wanted]
    rpo_hours: int
    rto_minutes: int
    every_days: int
    hours: int
    queries: Sequence[Query]


@dataclass(frozen=True)
class Secrets:
    """What is sent to the run's own key, and is nowhere else.

    Attributes:
        identity: the drill's private key of age.
        cluster: how to reach the fork as its administrator.
        passwords: of the fork's users, by name.
        records: by database, how the services reach it now: the object with the church's credentials.
    """

    identity: str = field(repr=False)
    cluster: Cluster = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    records: Mapping[str, Mapping[str, Any]] = field(repr=False)


def read_request(content: bytes) -> Request:
    """Read a request.

    Raises:
        DrillError: it is none.
    """
    try:
        value = json.loads(content)
        if value["version"] != VERSION:
            raise DrillError(f"the request has version {value['version']!r}; this program reads {VERSION}")
        return Request(
            id=_matched(_ID, value["id"]),
            environment=str(value["environment"]),
            source=str(value["source"]),
            time=read_time(value["time"]),
            began=read_time(value["began"]),
            ready=read_time(value["ready"]),
            backup=read_time(value["backup"]),
            databases=[
                Wanted(
                    _matched(_DATABASE, one["name"]),
                    None if one["user"] is None else _matched(_USER, one["user"]),
                )
                for one in value["databases"]
            ],
            rpo_hours=integer(value["rpo_hours"], 1),
            rto_minutes=integer(value["rto_minutes"], 1),
            every_days=integer(value["every_days"], 1),
            hours=integer(value["hours"], 1),
            queries=[_query(one) for one in value["queries"]],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DrillError(f"the request cannot be read: {type(error).__name__} in a member") from None


def read_secrets(content: bytes) -> Secrets:
    """Read what came encrypted.

    Raises:
        DrillError: it is something else. The message does not quote it.
    """
    try:
        value = json.loads(content)
        entry: Mapping[str, Any] = value["cluster"]
        texts = {
            key: str(entry[key]) for key in ("name", "host", "user", "password", "database", "sslmode", "ca")
        }
        return Secrets(
            identity=_matched(_IDENTITY, value["identity"]),
            cluster=Cluster(port=int(entry["port"]), **texts),
            passwords={str(user): str(password) for user, password in value["passwords"].items()},
            records={str(database): dict(record) for database, record in value["records"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DrillError(f"what was sent cannot be read: {type(error).__name__} in a member") from None


def _query(value: Mapping[str, Any]) -> Query:
    least, most = (None if value.get(key) is None else integer(value[key]) for key in ("least", "most"))
    return Query(
        name=str(value["name"])[:100],
        control_plane=value["database"] == "control_plane",
        sql=_matched(_STATEMENT, value["sql"]),
        least=least,
        most=most,
    )


def _matched(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise TypeError("text")
    return value
