"""What an operator asks for: a login that reads one database, or the end of one."""

import json
import re
from dataclasses import dataclass

from droplet.converge.peers import read_time
from droplet.integers import integer
from droplet.names import READ_SECONDS, TENANT_DATABASE

VERSION = 1

FRESH_SECONDS = 600
"""An older request is ignored: who asked does not wait for it any more."""

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_DATABASE = re.compile(f"{TENANT_DATABASE}|control_plane")
_CLUSTER = re.compile(r"[a-z0-9][a-z0-9-]*")
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_SECONDS_OF_MINUTE = 60
_MAX_BYTES = 16 * 1024
_LONGEST = 200
"""Characters of who asks and why that count."""


class SqlError(Exception):
    """What was asked for is not done. The message is one line without secrets."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        id: names the run.
        cluster: where the database is, by the operators' name.
        database: that is to be read.
        recipient: the public half of a key of age, which the operator made for this.
        by: who asks, as the operator's machine says it.
        reason: why.
        time: when it was asked for.
        seconds: for how long.
        closed: whether the login is not wanted any more.
    """

    id: str
    cluster: str
    database: str
    recipient: str
    by: str
    reason: str
    time: float
    seconds: int
    closed: bool

    @property
    def role(self) -> str:
        """The login: who finds it in Postgres finds the request by its last digits, and the other way round."""
        return f"{self.database}_read_{self.id[-8:]}"

    def fresh(self, now: float) -> bool:
        """Tell whether somebody still waits for it."""
        return abs(now - self.time) <= FRESH_SECONDS


def read_request(name: str, content: bytes) -> Request:
    """Read an object of the folder.

    Raises:
        SqlError: it is no request. The message does not quote it.
    """
    try:
        if len(content) > _MAX_BYTES:
            raise SqlError(f"the request has more than {_MAX_BYTES} bytes")
        value = json.loads(content)
        if value["version"] != VERSION:
            raise SqlError(f"the request has another version than {VERSION}")
        return Request(
            id=_matched(_ID, name),
            cluster=_matched(_CLUSTER, value["cluster"]),
            database=_matched(_DATABASE, value["database"]),
            recipient=_matched(_RECIPIENT, value["recipient"]),
            by=_line(value["by"]),
            reason=_line(value["reason"]),
            time=read_time(value["time"]),
            seconds=min(max(1, integer(value["minutes"])) * _SECONDS_OF_MINUTE, READ_SECONDS),
            closed=value["closed"] is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SqlError(f"the request cannot be read: {type(error).__name__} in a member") from None


def _matched(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise TypeError("text")
    return value


def _line(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise TypeError("line")
    return value[:_LONGEST]
