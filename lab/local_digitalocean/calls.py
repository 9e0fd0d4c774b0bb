"""The log of calls, as JSON lines."""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        at: when it came, in seconds since the epoch.
        seconds: how long it took.
        service: ``api`` or ``spaces``.
        method: the HTTP method.
        path: the path; for Spaces ``/bucket/key``.
        query: the query, as written.
        route: the path's template, such as ``/v2/droplets/{droplet_id}``; for Spaces the operation.
        status: the status of the answer; 0 if the connection was dropped.
        subject: the id or the name of the resource.
        fault: the injected fault, if any.
    """

    at: float
    seconds: float
    service: str
    method: str
    path: str
    query: str
    route: str
    status: int
    subject: str = ""
    fault: str = ""


class CallLog:
    """Calls in their order, in memory or in a file."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Add a call."""
        with self._lock:
            if self._file is None:
                self._calls.append(call)
                return
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(call)) + "\n")

    def __iter__(self) -> Iterator[Call]:
        if self._file is None:
            return iter(list(self._calls))
        return iter(read(self._file))


def read(file: Path) -> list[Call]:
    """Read a log; a line that is still being written is left out."""
    if not file.exists():
        return []
    whole, newline, _ = file.read_text(encoding="utf-8").rpartition("\n")
    return [Call(**json.loads(line)) for line in (whole + newline).splitlines()]
