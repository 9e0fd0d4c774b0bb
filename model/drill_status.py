"""What the control group says of a restore drill, and what its report says: the contracts with droplet/drill."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model.contract import ContractError, integer, line, members, moment, number
from model.restore_drill import EXCHANGE, REPORTS

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_REPORT = re.compile(rf"{REPORTS}/\d{{8}}T\d{{6}}Z\.json")


@dataclass(frozen=True)
class DrillStatus:
    """How a drill is.

    Attributes:
        droplet: which one tries.
        state: `waiting` for what is sent to it, `running`, `interrupted` or `ended`.
        recipient: the public half of the key that was made for this run; None when it needs nothing.
        done, of, failed: databases.
        last: the last database that was tried.
        passed: None before the end.
        problems: the first of them.
        report: the report's key.
        time: when this was written.
    """

    droplet: str
    state: str
    recipient: str | None
    done: int
    of: int
    failed: int
    last: str
    passed: bool | None
    problems: tuple[str, ...]
    report: str | None
    time: datetime


@dataclass(frozen=True)
class TriedDatabase:
    """What came of one database.

    Attributes:
        name: its name.
        passed: whether nothing was wrong.
        way: what it was restored from.
        tables, rows: that it has on the fork.
        restore_seconds: into a new database, and served from there; None: it was not restored.
    """

    name: str
    passed: bool
    way: str
    tables: int
    rows: int
    restore_seconds: float | None


@dataclass(frozen=True)
class DrillReport:
    """What a drill came to.

    Attributes:
        environment, source: what was tried.
        started, finished: when.
        backup: the time of the backup that was forked.
        passed: whether nothing was wrong.
        problems: what was.
        notes: what somebody should look at.
        databases: how many were tried.
        left: how many were not reached.
        rto_seconds, rpo_seconds: as measured; None: nothing was restored.
        known: by database, when a drill looked through it last.
        fork_seconds: how long the fork took.
        dump_rpo_seconds: how old the oldest of the newest dumps was; None: there was none.
        tried: what was tried.
    """

    environment: str
    source: str
    started: datetime
    finished: datetime
    backup: datetime
    passed: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    databases: int
    left: int
    rto_seconds: int | None
    rpo_seconds: int
    known: Mapping[str, datetime]
    fork_seconds: int = 0
    dump_rpo_seconds: int | None = None
    tried: tuple[TriedDatabase, ...] = ()


def said_key(run_id: str) -> str:
    """Name the object in which a run says how it is."""
    return f"{EXCHANGE}/{run_id}.json"


def sent_keys(run_id: str) -> str:
    """Return what the names begin with of all objects that are sent to a run."""
    return f"{EXCHANGE}/{run_id}-"


def sent_key(run_id: str, recipient: str) -> str:
    """Name the object with what is sent to a key that a run made.

    Each key has its own: of a droplet that was killed, what its key opens may come after another droplet has begun.
    """
    return f"{sent_keys(run_id)}{recipient[-16:]}.age"


def is_report(key: str) -> bool:
    """Tell whether an object of the backup bucket is a report."""
    return _REPORT.fullmatch(key) is not None


def parse_status(content: bytes, run_id: str) -> DrillStatus:
    """Read how a drill is.

    Raises:
        ContractError: it is something else, or of another run.
    """
    value = members(content, "status of the drill")
    try:
        if value["id"] != run_id:
            raise ContractError("it is of another run")
        recipient, report, passed = value.get("recipient"), value.get("report"), value.get("passed")
        if recipient is not None and not _RECIPIENT.fullmatch(str(recipient)):
            raise ContractError("the key that was made for this run is not a key of age's")
        if report is not None and not is_report(str(report)):
            raise ContractError("it names no report")
        return DrillStatus(
            droplet=line(value["droplet"]),
            state=line(value["state"]),
            recipient=None if recipient is None else str(recipient),
            done=integer(value.get("done", 0)),
            of=integer(value.get("of", 0)),
            failed=integer(value.get("failed", 0)),
            last=line(value.get("last", "")),
            passed=None if passed is None else passed is True,
            problems=tuple(line(one) for one in value.get("problems", ())),
            report=None if report is None else str(report),
            time=moment(value["time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(f"{type(error).__name__} in a member") from None


def parse_report(content: bytes) -> DrillReport:
    """Read a report.

    Raises:
        ContractError: it is something else.
    """
    value = members(content, "report of a drill")
    try:
        rto, dumps = value["rto_seconds"], value["dump_rpo_seconds"]
        return DrillReport(
            environment=line(value["environment"]),
            source=line(value["source"]),
            started=moment(value["started"]),
            finished=moment(value["finished"]),
            backup=moment(value["backup"]),
            passed=value["passed"] is True,
            problems=tuple(line(one) for one in value["problems"]),
            notes=tuple(line(one) for one in value["notes"]),
            databases=len(value["databases"]),
            left=len(value["left"]),
            rto_seconds=None if rto is None else integer(rto),
            rpo_seconds=integer(value["rpo_seconds"]),
            known={line(name): moment(one["at"]) for name, one in value["known"].items()},
            fork_seconds=integer(value["fork_seconds"]),
            dump_rpo_seconds=None if dumps is None else integer(dumps),
            tried=tuple(map(_tried, value["databases"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContractError(f"report of a drill: {type(error).__name__} in a member") from None


def _tried(value: Mapping[str, Any]) -> TriedDatabase:
    seconds = value["restore_seconds"]
    return TriedDatabase(
        name=line(value["database"]),
        passed=value["passed"] is True,
        way=line(value["way"]),
        tables=integer(value["tables"]),
        rows=integer(value["rows"]),
        restore_seconds=None if seconds is None else number(seconds),
    )
