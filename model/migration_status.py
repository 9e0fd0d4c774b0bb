"""What the control group says of migrations: two objects in its status bucket, as readers see them (docs/status.md).

droplet/migrate/board.py writes them. Droplets read the first before they change to a release
(droplet/converge/migrations.py); `presence360 apply` and `presence360 migrations` read both.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from model.contract import ContractError, integer, line, moment
from model.naming import tenant_of_database
from model.runs import request_key

SUMMARY_KEY = "migrations.json"
DETAILS_KEY = "migrations-databases.json"
REQUEST_PREFIX = "migrations-"
"""What the names of requests begin with, in the control group's configuration bucket: an operator asks for another try.
It counts for ten minutes. Each has an object of its own, so that two operators ask for both."""

_IMAGE = re.compile(r"[\w./:@-]{1,300}", re.ASCII)


class State(StrEnum):
    """Whether droplets may change to the release."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A database whose migration failed last."""

    database: str
    reason: str
    tries: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How far a release's migrations are.

    Attributes:
        state: whether droplets may change.
        reason: how far it is, in a line.
        images: by service, of which images it speaks.
        failed: those that failed, the first ten.
        time: when it was written.
    """

    state: State
    reason: str
    images: Mapping[str, str]
    failed: tuple[Failure, ...]
    time: datetime


@dataclass(frozen=True, kw_only=True)
class DatabaseStatus:
    """What is true of one database.

    Attributes:
        cluster: where it is.
        database: its name.
        result: `done`, `ahead`, `due` or `failed`.
        image: the digest of the image that migrated it last.
        revision: what its schema is at, as Alembic names it.
        since: when that image migrated it.
        reason: why it failed; empty if it did not.
        tries: how often.
    """

    cluster: str
    database: str
    result: str
    image: str | None
    revision: str | None
    since: datetime | None
    reason: str
    tries: int


def retry_key(request_id: str) -> str:
    """Name the object of a request for another try."""
    return request_key(f"{REQUEST_PREFIX}{request_id}")


def tenant_of(database: str) -> str | None:
    """Return the id of the tenant whose database it is; None for the control plane's."""
    return tenant_of_database(database)


def parse_summary(content: str | bytes) -> Summary:
    """Read what all groups read. Members that this version does not know are ignored.

    Raises:
        ContractError: it is not that.
    """
    try:
        value = json.loads(content)
        return Summary(
            state=State(value["state"]),
            reason=line(value["reason"]),
            images={str(service): _image(image) for service, image in value["images"].items()},
            failed=tuple(
                Failure(
                    database=line(one["database"]), reason=line(one["reason"]), tries=integer(one["tries"])
                )
                for one in value["failed"]
            ),
            time=moment(value["time"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ContractError(f"migrations: {type(error).__name__} in a member") from None


def parse_details(content: str | bytes) -> tuple[DatabaseStatus, ...]:
    """Read what is said of every database.

    Raises:
        ContractError: it is not that.
    """
    try:
        return tuple(_database(one) for one in json.loads(content)["databases"])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ContractError(f"migrations: {type(error).__name__} in a member") from None


def _database(value: Mapping[str, Any]) -> DatabaseStatus:
    return DatabaseStatus(
        cluster=line(value["cluster"]),
        database=line(value["database"]),
        result=line(value["result"]),
        image=None if value["image"] is None else _image(value["image"]),
        revision=None if value["revision"] is None else line(value["revision"]),
        since=None if value["since"] is None else moment(value["since"]),
        reason=line(value["reason"]),
        tries=integer(value["tries"]),
    )


def _image(value: object) -> str:
    if not isinstance(value, str) or not _IMAGE.fullmatch(value):
        raise ValueError("image")
    return value
