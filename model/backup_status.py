"""What the control group says of the dumps, and what a dump says of itself: the contract with droplet/backup."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from model.contract import ContractError, integer, line, members, moment

STATUS_KEY = "status.json"
INDEX = "index.json"

# dumps/tenant_.../20261126T013000Z.shared
_FOLDER = re.compile(r"(?P<database>[a-z0-9_-]+)/(?P<stamp>\d{8}T\d{6}Z)\.(?P<cluster>[a-z0-9-]+)")
_OBJECT = re.compile(r"[a-z]+\.age")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class DumpName:
    """Where a dump is, below the folder that says how long it is kept.

    Attributes:
        database: its name.
        at: when the snapshot was taken.
        cluster: where the database was.
    """

    database: str
    at: datetime
    cluster: str

    @property
    def folder(self) -> str:
        """Its folder: ``tenant_.../20261126T013000Z.shared``."""
        return f"{self.database}/{self.at:%Y%m%dT%H%M%SZ}.{self.cluster}"


@dataclass(frozen=True)
class DumpObject:
    """One object of a dump.

    Attributes:
        bytes: its length.
        sha256: its digest.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True)
class DumpContent:
    """What a dump holds, as its index says.

    Attributes:
        tables: how many.
        rows: in all of them.
        served: whether the database's users could log in when it was dumped; None of dumps that do not say so.
    """

    tables: int
    rows: int
    served: bool | None


@dataclass(frozen=True)
class DatabaseDumps:
    """What is known of a database's dumps.

    Attributes:
        cluster: where it is.
        database: its name.
        at: when the last good one was made; None if there is none.
        bytes: its size in the bucket.
        tries: how often one failed since.
        reason: why.
    """

    cluster: str
    database: str
    at: datetime | None
    bytes: int
    tries: int
    reason: str


@dataclass(frozen=True)
class DumpsStatus:
    """What the control group said last.

    Attributes:
        time: when.
        night: when the last night began.
        trouble: what could not be looked at.
        databases: all that are known.
    """

    time: datetime
    night: datetime
    trouble: tuple[str, ...]
    databases: tuple[DatabaseDumps, ...]


def dump_name(folder: str) -> DumpName | None:
    """Read the name of a dump's folder; None if it is none."""
    match = _FOLDER.fullmatch(folder)
    if not match:
        return None
    try:
        at = datetime.strptime(match["stamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return DumpName(match["database"], at, match["cluster"])


def parse_index(content: bytes, name: DumpName) -> dict[str, DumpObject]:
    """Return the objects of a dump, by name.

    Raises:
        ContractError: it is something else, or another dump's.
    """
    value = _index(content, name)
    try:
        found = {
            str(key): DumpObject(integer(one["bytes"]), str(one["sha256"]))
            for key, one in value["objects"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_index(error) from None
    for key, one in found.items():
        if not _OBJECT.fullmatch(key) or not _DIGEST.fullmatch(one.sha256):
            raise ContractError("the index names no object, or no digest")
    if not found:
        raise ContractError("the index names no object")
    return found


def parse_content(content: bytes, name: DumpName) -> DumpContent:
    """Return what a dump holds.

    Raises:
        ContractError: it is something else, or another dump's.
    """
    value = _index(content, name)
    served = value.get("served")
    try:
        if not isinstance(served, bool | None):
            raise TypeError(served)
        return DumpContent(integer(value["tables"]), integer(value["rows"]), served)
    except (KeyError, TypeError, ValueError) as error:
        raise _no_index(error) from None


def _index(content: bytes, name: DumpName) -> dict[str, Any]:
    value = members(content, "index of a dump")
    try:
        said = (str(value["database"]), moment(value["time"]), str(value["cluster"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _no_index(error) from None
    if said != (name.database, name.at, name.cluster):
        raise ContractError(f"the index is that of {said[0]}, {said[1]:%Y-%m-%d %H:%M:%S} UTC, in {said[2]}")
    return value


def _no_index(error: Exception) -> ContractError:
    return ContractError(f"the index is not one: {type(error).__name__} in a member")


def parse_status(content: bytes) -> DumpsStatus:
    """Read what the control group says.

    Raises:
        ContractError: it is something else.
    """
    value = members(content, "status of dumps")
    try:
        return DumpsStatus(
            time=moment(value["time"]),
            night=moment(value["night"]),
            trouble=tuple(line(one) for one in value["trouble"]),
            databases=tuple(
                DatabaseDumps(
                    cluster=line(one["cluster"]),
                    database=line(one["database"]),
                    at=None if one["at"] is None else moment(one["at"]),
                    bytes=integer(one["bytes"]),
                    tries=integer(one["tries"]),
                    reason=line(one["reason"]),
                )
                for one in value["databases"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"status of dumps: {type(error).__name__} in a member") from None
