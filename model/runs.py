"""Runs that operators ask for, and records of scheduled jobs: the contract with droplets (docs/jobs.md).

An operator writes a request into the configuration bucket of the group that runs the service. A droplet answers with an
object in the group's status bucket, and writes it again as output comes (droplet/jobs).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from model.contract import TIME, ContractError, integer, line, members, moment

REQUESTS, RUNS, RECORDS = "requests", "runs", "jobs"
"""Folders: the first in the configuration bucket, the others in the status bucket."""

EXPIRE_DAYS = 1
"""Requests and runs. A request is ignored long before."""

FRESH_SECONDS = 600
"""A droplet ignores a request that is older."""

MAX_MINUTES = 720
"""The longest time limit of a run."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What an operator asks for.

    Attributes:
        service: in whose image and with whose settings.
        command: program and arguments.
        by: who asks.
        time: when.
        timeout_seconds: how long the run may take.
        cancelled: whether it is not wanted any more.
    """

    service: str
    command: Sequence[str]
    by: str
    time: datetime
    timeout_seconds: int
    cancelled: bool = False

    def as_json(self) -> bytes:
        """Return the object."""
        said = {
            "service": self.service,
            "command": list(self.command),
            "by": self.by,
            "time": self.time.strftime(TIME),
            "timeout_seconds": self.timeout_seconds,
            "cancelled": self.cancelled,
        }
        return json.dumps(said, indent=1).encode()


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """What a droplet says of a run.

    Attributes:
        name: of the droplet that runs it.
        state: `starting`, `running` or `ended`.
        result: `ok`, `failed`, `timeout`, `cancelled` or `lost`; None before the end.
        exit_status: the command's; None where it is not known.
        reason: one line.
        output: the last of what the command printed, at most 1 MiB.
        cut: whether it printed more than that.
        time: when this was written.
    """

    name: str
    state: str
    result: str | None
    exit_status: int | None
    reason: str
    output: str
    cut: bool
    time: datetime


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """What became of a scheduled job last.

    Attributes:
        job: its name.
        state: `waiting` for its first run, `running`, `missed`, or the result of the last run.
        due: the last due time that was dealt with.
        run: the last run's id; None before the first.
        name: of the droplet that wrote this.
        exit_status: of the last run.
        reason: one line.
        last_success: when a run last ended well.
        time: when this was written.
    """

    job: str
    state: str
    due: datetime
    run: str | None
    name: str
    exit_status: int | None
    reason: str
    last_success: datetime | None
    time: datetime


def request_key(run_id: str) -> str:
    """Name a request's object."""
    return f"{REQUESTS}/{run_id}.json"


def run_key(run_id: str) -> str:
    """Name a run's object."""
    return f"{RUNS}/{run_id}.json"


def record_key(job: str) -> str:
    """Name the object with a scheduled job's record."""
    return f"{RECORDS}/{job}.json"


def parse_run(content: bytes) -> RunStatus:
    """Read what a droplet says of a run. Members that this version does not know are ignored.

    Raises:
        ContractError: it is something else.
    """
    value = members(content, "run")
    try:
        return RunStatus(
            name=line(value["name"]),
            state=line(value["state"]),
            result=None if value["result"] is None else line(value["result"]),
            exit_status=_status(value["exit_status"]),
            reason=line(value["reason"]),
            output=str(value["output"]),
            cut=value["cut"] is True,
            time=moment(value["time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"run: {type(error).__name__} in a member") from None


def parse_record(content: bytes) -> JobRecord:
    """Read a scheduled job's record.

    Raises:
        ContractError: it is something else.
    """
    value = members(content, "job")
    try:
        return JobRecord(
            job=line(value["job"]),
            state=line(value["state"]),
            due=moment(value["due"]),
            run=None if value["run"] is None else line(value["run"]),
            name=line(value["name"]),
            exit_status=_status(value["exit_status"]),
            reason=line(value["reason"]),
            last_success=None if value["last_success"] is None else moment(value["last_success"]),
            time=moment(value["time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"job: {type(error).__name__} in a member") from None


def _status(value: object) -> int | None:
    return None if value is None else integer(value)
