"""The account: records by kind and id, kept in a file, and changes that are scheduled for later."""

import json
import os
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from lab.local_digitalocean.clock import Clock, Durations
from lab.local_digitalocean.errors import ApiError, not_found, unprocessable
from lab.local_digitalocean.tls import Authority

Record = dict[str, Any]


class Servers(Protocol):
    """Real servers behind database clusters (postgres.py)."""

    def create(self, account: "Account", cluster: Record, restored: Record | None) -> None:
        """Start a server for a new cluster, with a backup's content if one is given."""

    def delete(self, account: "Account", cluster: Record) -> None:
        """Stop a server and delete its data."""

    def create_database(self, account: "Account", cluster: Record, name: str) -> None:
        """Make a database as the API does."""

    def drop_database(self, account: "Account", cluster: Record, name: str) -> None:
        """Drop it."""

    def create_user(self, account: "Account", cluster: Record, name: str, password: str) -> None:
        """Make a user as the API does."""

    def drop_user(self, account: "Account", cluster: Record, name: str) -> None:
        """Drop it."""

    def set_password(self, account: "Account", cluster: Record, name: str, password: str) -> None:
        """Change a user's password."""

    def backup(self, account: "Account", cluster: Record) -> str:
        """Copy a server's data; return the id of the copy."""


KINDS = (
    "vpcs", "tags", "ssh_keys", "firewalls", "domains", "records", "certificates", "load_balancers", "droplets",
    "actions", "autoscale_pools", "clusters", "backups", "projects", "alerts", "checks", "check_alerts",
    "spaces_keys", "volumes",
    "buckets",
)  # fmt: skip

# The first numeric id; nothing depends on it.
FIRST_NUMBER = 1001


@dataclass(frozen=True)
class Quotas:
    """Limits of the account.

    Attributes:
        droplets: DigitalOcean raises this limit on request; ``GET /v2/account`` shows it.
        load_balancers: the limit in a region.
    """

    droplets: int = 25
    load_balancers: int = 10

    @classmethod
    def read(cls, written: str) -> "Quotas":
        """Read ``droplets=10,load_balancers=3``.

        Raises:
            ValueError: an unknown name, or not a number.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, int] = {}
        for part in filter(None, written.split(",")):
            name, _, number = part.partition("=")
            if name not in known:
                raise ValueError(f"unknown limit {name!r}: use one of {', '.join(sorted(known))}")
            values[name] = int(number)
        return cls(**values)


@dataclass
class Account:
    """An account's resources.

    Attributes:
        file: where they are saved; None keeps them in memory only.
        durations: how long things take.
        lock: held while a request is answered.
        servers: the real servers behind database clusters, if there are any.
    """

    file: Path | None = None
    clock: Clock = field(default_factory=Clock)
    durations: Durations = field(default_factory=Durations)
    quotas: Quotas = field(default_factory=Quotas)
    lock: threading.RLock = field(default_factory=threading.RLock)
    servers: Servers | None = None

    def __post_init__(self) -> None:
        self.tables: dict[str, dict[str, Record]] = {kind: {} for kind in KINDS}
        self.later: list[Record] = []
        self.numbers = FIRST_NUMBER
        self.secrets: dict[str, str] = {}
        if self.file is not None and self.file.exists():
            self._load(json.loads(self.file.read_text(encoding="utf-8")))

    def _load(self, state: Record) -> None:
        for kind in KINDS:
            self.tables[kind] = state["tables"].get(kind, {})
        self.later, self.numbers, self.secrets = state["later"], state["numbers"], state["secrets"]

    def save(self) -> None:
        """Write everything to the file atomically: a killed process leaves the last complete state."""
        if self.file is None:
            return
        state = {"tables": self.tables, "later": self.later, "numbers": self.numbers, "secrets": self.secrets}
        unfinished = self.file.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(state, file)
        unfinished.replace(self.file)

    @property
    def authority(self) -> Authority:
        """The authority that signs database clusters' certificates."""
        return Authority(self.secrets)

    def number(self) -> int:
        """Return the next numeric id: of droplets, records, keys and actions."""
        self.numbers += 1
        return self.numbers

    @staticmethod
    def uuid() -> str:
        """Return an id for other kinds."""
        return str(uuid.uuid4())

    def get(self, kind: str, identifier: object, message: str | None = None) -> Record:
        """Return the record with an id.

        Raises:
            ApiError: 404.
        """
        record = self.tables[kind].get(str(identifier))
        if record is None:
            raise not_found(message) if message else not_found()
        return record

    def referred(self, kind: str, identifier: object, message: str) -> Record:
        """Return a record that a request refers to.

        Raises:
            ApiError: 422 with the message, if there is none.
        """
        record = self.tables[kind].get(str(identifier))
        if record is None:
            raise unprocessable(message)
        return record

    def all(self, kind: str) -> list[Record]:
        """Return all records of a kind, oldest first."""
        return list(self.tables[kind].values())

    def named(self, kind: str, name: str) -> Record | None:
        """Return the record with a name, or None."""
        return next((record for record in self.all(kind) if record["name"] == name), None)

    def unique(self, kind: str, name: str, status: int, message: str, *, but: object = None) -> None:
        """Refuse a name that another record has."""
        other = self.named(kind, name)
        if other is not None and str(other.get("id", other["name"])) != str(but):
            raise ApiError(status, message)

    def schedule(self, seconds: float, kind: str, identifier: object, **change: Any) -> None:
        """Change a record's fields after some seconds, unless it is deleted by then."""
        when = self.clock.now() + seconds
        self.later.append({"at": when, "kind": kind, "id": str(identifier), "change": change})

    def settle(self) -> None:
        """Make the scheduled changes that are due, in their order."""
        now = self.clock.now()
        due = sorted((one for one in self.later if one["at"] <= now), key=lambda one: float(one["at"]))
        if not due:
            return
        self.later = [one for one in self.later if one["at"] > now]
        for one in due:
            record = self.tables[one["kind"]].get(one["id"])
            if record is not None:
                record.update(one["change"])

    def tagged(self, kind: str, tag: str) -> Iterator[Record]:
        """Yield the records of a kind with a tag; DigitalOcean compares tags without case."""
        for record in self.all(kind):
            if tag.lower() in (name.lower() for name in record.get("tags") or ()):
                yield record

    def tag_all(self, names: Iterable[str]) -> list[str]:
        """Return tags for a resource, and make those that do not exist (API documentation, "Tags")."""
        wanted = list(names)
        for name in wanted:
            self.tables["tags"].setdefault(name, {"name": name})
        return wanted


def public(record: Record) -> Record:
    """Return a record without the internal keys, which begin with an underscore."""
    return {key: value for key, value in record.items() if not key.startswith("_")}
