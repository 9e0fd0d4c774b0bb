"""What this droplet says of itself: one object in its group's status bucket (docs/status.md)."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from droplet import journal
from droplet.converge.isolated import isolation
from droplet.converge.maintenance import maintenance
from droplet.converge.objects import env_values, holds_secrets
from droplet.converge.paths import Paths, read_json, write
from droplet.converge.peers import read_time, write_time
from droplet.converge.store import Store

VERSION = 1
REFRESH_SECONDS = 120
"""An unchanged status is written again when it is this old (model/status.py)."""

MAX_REASON = 400
"""Characters of a reason."""
_HEAD = 150
"""Of these for its beginning, where a reason is longer; what a program says last says most."""

_SHORTEST_SECRET = 6
"""Shorter values are ports, numbers and flags, which stand in messages without being secrets."""


@dataclass
class Status:
    """This droplet's object.

    Attributes:
        paths: where its last state is, and the secrets that no reason may quote.
        store: where it goes.
        droplet: the droplet's id.
        name: its host name.
        clock: seconds since 1970.
        release: the digest of the release that runs, as far as the run knows.
        wanted: the digest of the release that the bucket asks for.
        manifest: the digest of the manifest that asks for it.
    """

    paths: Paths
    store: Store
    droplet: str
    name: str
    clock: Callable[[], float]
    release: str | None = None
    wanted: str | None = None
    manifest: str | None = None

    def say(self, phase: str, result: str, reason: str = "") -> None:
        """Write the object if it says something new, or is old; a failure to write stops nothing."""
        now = self.clock()
        closed = maintenance(self.paths)
        says: dict[str, object] = {
            "version": VERSION,
            "droplet": self.droplet,
            "name": self.name,
            "release": self.release,
            "wanted": self.wanted,
            "manifest": self.manifest,
            "programs": self.programs,
            "phase": phase,
            "result": result,
            "reason": one_line(reason, self._secrets()),
            "maintenance": closed.digest,
            "closed": one_line(str(closed), ()),
        }
        if receiver := read_json(self.paths.receiver):
            says["receiver"] = receiver
        before = read_json(self.paths.status)
        same = all(before.get(key) == value for key, value in says.items())
        if same and now - _time(before.get("time")) < REFRESH_SECONDS:
            return
        since = before.get("since") if same else None
        record = {**says, "since": since or write_time(now), "time": write_time(now)}
        # The job runs each minute: what it found is told with the next status, and makes none.
        if found := isolation(self.paths.isolated):
            record["isolation"] = found
        try:
            self.paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
            write(self.paths.status, json.dumps(record, indent=1).encode(), mode=0o644)
            self.store.put(self.paths.status, self.droplet)
        except Exception as error:
            # Whatever it is, the droplet goes on serving. So that the next run writes again.
            self.paths.status.unlink(missing_ok=True)
            journal.log(journal.WARNING, f"the status was not written: {error}")

    @property
    def programs(self) -> str | None:
        """The digest of the programs that run."""
        return self.paths.programs.resolve().name if self.paths.programs.is_dir() else None

    def _secrets(self) -> set[str]:
        values: set[str] = set()
        for folder in (self.paths.current, self.paths.incoming):
            try:
                for path in folder.iterdir():
                    if holds_secrets(path.name):
                        values |= set(env_values(path.read_bytes()))
            except OSError:
                continue
        return values


def one_line(text: str, secrets: Iterable[str]) -> str:
    """Return a reason for others' eyes: one line, no secret, not long."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = re.sub(r"\s+", " ", text).strip()
    if len(text) <= MAX_REASON:
        return text
    return f"{text[:_HEAD]} ... {text[_HEAD + 5 - MAX_REASON :]}"


def _time(text: object) -> float:
    try:
        return read_time(str(text))
    except ValueError:
        return 0
