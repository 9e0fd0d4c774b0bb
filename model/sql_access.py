"""Break-glass: a login that reads one database for a while, as operators ask for it and droplets answer (droplet/sql).

An operator writes a request into the control group's configuration bucket. A droplet of that group makes the login and
says so in the group's status bucket, with how to connect encrypted for the key that the operator made. Every group's
droplets read that bucket; who asked for what, and why, is in the operators' record beside the request, which only the
control group's droplets read.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from model.contract import TIME, ContractError, integer, line, members, moment

REQUESTS, RECORDS, ANSWERS = "requests/sql", "requests/sql-records", "sql"
"""Folders: the first two in the configuration bucket, the last in the status bucket."""

RECORD_DAYS = 3
"""For how long a record is kept, as answers are (constructs_lib/status_buckets.py)."""

VERSION = 1

FRESH_SECONDS = 600
"""A droplet ignores a request that is older."""

MAX_MINUTES = 480
"""The longest time of a login; the isolation job removes one that would be there for longer (droplet/names.py)."""

MAX_REASON = 200
"""Characters."""

OPEN, CLOSED, REFUSED = "open", "closed", "refused"

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
"""The public half of a key of age, in Bech32 (age's specification, "The X25519 recipient type")."""

_SEALED = re.compile(
    r"-----BEGIN AGE ENCRYPTED FILE-----\n([A-Za-z0-9+/=]+\n)+-----END AGE ENCRYPTED FILE-----\n"
)


@dataclass(frozen=True, kw_only=True)
class SqlRequest:
    """What an operator asks for.

    Attributes:
        cluster: where the database is, by the operators' name.
        database: that is to be read.
        recipient: the public half of the operator's key.
        by: who asks.
        reason: why; one line.
        time: when.
        minutes: for how long.
        closed: whether the login is not wanted any more.
    """

    cluster: str
    database: str
    recipient: str
    by: str
    reason: str
    time: datetime
    minutes: int
    closed: bool = False

    def as_json(self) -> bytes:
        """Return the object."""
        said = {
            "version": VERSION,
            "cluster": self.cluster,
            "database": self.database,
            "recipient": self.recipient,
            "by": self.by,
            "reason": self.reason,
            "time": self.time.strftime(TIME),
            "minutes": self.minutes,
            "closed": self.closed,
        }
        return json.dumps(said, indent=1).encode()


@dataclass(frozen=True, kw_only=True)
class SqlAnswer:
    """What a droplet says of a request.

    Attributes:
        id: names the request.
        droplet: which one said it.
        state: `open`, `closed` or `refused`.
        until: when it ends; None where it was refused or closed.
        tables: how many tables and views it may read.
        all_rows: whether row level security hides no row from it.
        problem: why it was refused.
        sealed: how to connect, encrypted; empty where there is no login.
        time: when this was written.
    """

    id: str
    droplet: str
    state: str
    until: datetime | None
    tables: int
    all_rows: bool
    problem: str
    sealed: str
    time: datetime


def request_key(run_id: str) -> str:
    """Name a request's object."""
    return f"{REQUESTS}/{run_id}.json"


def record_key(run_id: str) -> str:
    """Name the object in which operators keep what was asked for."""
    return f"{RECORDS}/{run_id}.json"


def role_of(database: str, run_id: str) -> str:
    """Name the login of a request (droplet/sql/request.py)."""
    return f"{database}_read_{run_id[-8:]}"


def answer_key(run_id: str) -> str:
    """Name the object in which a droplet says what became of it."""
    return f"{ANSWERS}/{run_id}.json"


def parse_request(content: bytes) -> SqlRequest:
    """Read what an operator asked for.

    Raises:
        ContractError: it is something else.
    """
    value = members(content, "request")
    try:
        return SqlRequest(
            cluster=line(value["cluster"]),
            database=line(value["database"]),
            recipient=line(value["recipient"]),
            by=line(value["by"]),
            reason=line(value["reason"]),
            time=moment(value["time"]),
            minutes=integer(value["minutes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(f"request: {type(error).__name__} in a member") from None


def parse_answer(content: bytes, run_id: str) -> SqlAnswer:
    """Read what a droplet says of a request.

    Raises:
        ContractError: it is something else, or of another request.
    """
    value = members(content, "answer")
    try:
        if value["id"] != run_id:
            raise ContractError("answer: it is of another request")
        until, sealed = value.get("until"), value.get("sealed", "")
        if sealed and not _SEALED.fullmatch(str(sealed)):
            raise ContractError("answer: what is encrypted in it is not of age's form")
        return SqlAnswer(
            id=run_id,
            droplet=line(value["droplet"]),
            state=line(value["state"]),
            until=None if until is None else moment(until),
            tables=integer(value.get("tables", 0)),
            all_rows=value.get("all_rows") is True,
            problem=line(value.get("problem", "")),
            sealed=str(sealed),
            time=moment(value["time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(f"answer: {type(error).__name__} in a member") from None
