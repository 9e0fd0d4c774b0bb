"""What is asked for and what is said of it: a request, a scheduled job, a run and a job's record (docs/jobs.md)."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from droplet.converge.peers import read_time, write_time
from droplet.integers import integer
from droplet.jobs.schedule import Schedule

VERSION = 1

FRESH_SECONDS = 600
"""An older request is ignored: who asked does not wait for it any more."""

LONGEST_SECONDS = 12 * 3600
"""Of a run, whatever a request says."""

AHEAD_SECONDS = 300
"""How far a neighbour's clock may be ahead, as for a status (droplet/converge/peers.py)."""

ONE_OFF, SCHEDULED = "one-off", "scheduled"

ID = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_MAX_REQUEST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """What an operator asks for.

    Attributes:
        id: names the run.
        service: in whose image and with whose settings.
        command: program and arguments.
        by: who asks, as the operator's machine says it.
        time: when it was asked for.
        timeout_seconds: how long the run may take.
        cancelled: whether the operator does not want it any more.
    """

    id: str
    service: str
    command: tuple[str, ...]
    by: str
    time: float
    timeout_seconds: int
    cancelled: bool

    def fresh(self, now: float) -> bool:
        """Tell whether somebody still waits for it."""
        return abs(now - self.time) <= FRESH_SECONDS


def read_request(name: str, content: bytes) -> Request | None:
    """Read an object of the folder `requests`; None if it is none."""
    try:
        if len(content) > _MAX_REQUEST_BYTES or not ID.fullmatch(name):
            return None
        value = json.loads(content)
        return Request(
            id=name,
            service=_matched(_NAME, value["service"]),
            command=_command(value["command"]),
            by=str(value["by"])[:200],
            time=read_time(value["time"]),
            timeout_seconds=min(max(1, integer(value["timeout_seconds"])), LONGEST_SECONDS),
            cancelled=value.get("cancelled") is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


@dataclass(frozen=True)
class Job:
    """A scheduled job, as Terraform says it.

    Attributes:
        name: its name.
        service: in whose image and with whose settings.
        command: program and arguments.
        schedule: when.
        timeout_seconds: how long a run may take.
    """

    name: str
    service: str
    command: tuple[str, ...]
    schedule: Schedule
    timeout_seconds: int


def read_jobs(content: bytes) -> dict[str, Job]:
    """Read jobs.json.

    Raises:
        ValueError: it does not have the form that Terraform writes.
    """
    try:
        return {
            _matched(_NAME, name): Job(
                name=name,
                service=_matched(_NAME, value["service"]),
                command=_command(value["command"]),
                schedule=Schedule.read(value["schedule"]),
                timeout_seconds=integer(value["timeout_seconds"], 1),
            )
            for name, value in json.loads(content)["jobs"].items()
        }
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} in a member") from None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a command.

    Attributes:
        id: names it everywhere.
        kind: `one-off` or `scheduled`.
        job: the scheduled job's name; None for a one-off.
        service: whose image, settings and secrets it has.
        command: program and arguments.
        by: who asked; the schedule.
        droplet: the id of the droplet that runs it.
        name: that droplet's name.
        state: `starting`, `running` or `ended`.
        result: how it ended: `ok`, `failed`, `timeout`, `cancelled` or `lost`; None before.
        exit_status: the command's; None before, and where it is not known.
        reason: one line without secrets.
        image: what it runs in, by its digest on this droplet.
        asked: when it was asked for, or due.
        started: when its container was started.
        ended: when it ended.
        deadline: when it is ended if it has not ended by itself.
        stopping: why this droplet ends it: `timeout` or `cancelled`.
    """

    id: str
    kind: str
    job: str | None
    service: str
    command: tuple[str, ...]
    by: str
    droplet: str
    name: str
    state: str = "starting"
    result: str | None = None
    exit_status: int | None = None
    reason: str = ""
    image: str | None = None
    asked: float
    started: float | None = None
    ended: float | None = None
    deadline: float
    stopping: str | None = None

    def as_json(self, now: float) -> dict[str, Any]:
        """Return what others are told, without the output."""
        said = {key: value for key, value in asdict(self).items() if key != "stopping"}
        for key in ("asked", "started", "ended", "deadline"):
            said[key] = None if said[key] is None else write_time(said[key])
        return {"version": VERSION, **said, "command": list(self.command), "time": write_time(now)}

    def record(self) -> bytes:
        """Return it for this droplet's own disk."""
        return json.dumps(asdict(self)).encode()

    def changed(self, **members: Any) -> "Run":
        """Return it with some members changed."""
        return replace(self, **members)


def read_run(content: bytes) -> Run | None:
    """Read this droplet's own record of a run; None if a power cut left none."""
    try:
        value = json.loads(content)
        return Run(**{**value, "command": tuple(value["command"])})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of a scheduled job last: an object in the group's status bucket.

    Attributes:
        job: its name.
        service: whose image it runs in.
        state: `waiting` for its first run, `running`, or the result of the last one; `missed`: nothing ran.
        due: the last due time that was dealt with.
        run: the last run's id.
        droplet: the id of the droplet that wrote this.
        name: that droplet's name.
        started, ended, deadline: of the last run.
        exit_status: of the last run.
        reason: of the last run.
        last_success: when a run last ended well.
        time: when this was written.
    """

    job: str
    service: str
    state: str
    due: float
    run: str | None
    droplet: str
    name: str
    started: float | None = None
    ended: float | None = None
    deadline: float | None = None
    exit_status: int | None = None
    reason: str = ""
    last_success: float | None = None
    time: float

    def as_json(self) -> bytes:
        """Return the object."""
        said: dict[str, Any] = {"version": VERSION, **asdict(self)}
        for key in _TIMES:
            said[key] = None if said[key] is None else write_time(said[key])
        return json.dumps(said, indent=1).encode()


_TIMES = ("due", "started", "ended", "deadline", "last_success", "time")


def read_record(name: str, content: bytes, now: float) -> Record | None:
    """Read the record of the job of this name; None if it is none.

    A neighbour wrote it, who may be of another version, or compromised. A time to come would keep the job from running
    until then, so a record that has one is none.
    """
    try:
        value: Mapping[str, Any] = json.loads(content)
        if _matched(_NAME, value["job"]) != name:
            return None
        service, state, droplet, host, reason = (
            str(value[key])[:400] for key in ("service", "state", "droplet", "name", "reason")
        )
        latest = now + AHEAD_SECONDS
        started, ended, last_success = (
            None if value[key] is None else _until(latest, value[key])
            for key in ("started", "ended", "last_success")
        )
        deadline = value["deadline"]
        return Record(
            job=name,
            service=service,
            state=state,
            due=_until(latest, value["due"]),
            run=None if value["run"] is None else str(value["run"])[:400],
            droplet=droplet,
            name=host,
            started=started,
            ended=ended,
            deadline=None if deadline is None else _until(latest + LONGEST_SECONDS, deadline),
            exit_status=None if value["exit_status"] is None else integer(value["exit_status"]),
            reason=reason,
            last_success=last_success,
            time=_until(latest, value["time"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _until(latest: float, value: str) -> float:
    if (time := read_time(value)) > latest:
        raise ValueError("time")
    return time


def _command(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise TypeError("command")
    if any("\0" in one for one in value):
        raise ValueError("command")
    return tuple(value)


def _matched(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise TypeError("name")
    return value
