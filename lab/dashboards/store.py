"""A store of metrics with a night in it, that answers what Grafana would ask."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.dashboards.values import END, HOURS, Series
from lab.metrics_programs import metrics_programs
from lab.processes import bound

STEP_SECONDS = 120

Chosen = Mapping[str, tuple[str, str]]
"""By variable of a dashboard, the text that people read and its value."""
_START_SECONDS = 60

# What Grafana puts in for its own variables: the interval is four times that of the collection (its documentation,
# "Prometheus template variables").
_OWN = {"__rate_interval": "4m", "__interval": "2m", "__range": f"{HOURS}h"}


@dataclass(frozen=True)
class Store:
    """A victoria-metrics that runs."""

    port: int

    def fill(self, series: Iterable[Series]) -> int:
        """Import series; return how many there are."""
        lines = []
        for one in series:
            points = list(one.values())
            lines.append(
                json.dumps(
                    {
                        "metric": {"__name__": one.sample.name, **one.sample.labels},
                        "values": [value for _, value in points],
                        "timestamps": [int(moment * 1000) for moment, _ in points],
                    }
                )
            )
        self._ask("/api/v1/import", "\n".join(lines).encode())
        self._ask("/internal/force_flush")
        return len(lines)

    def now(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression is at the end of the night."""
        return self._result("query", {"query": expression, "time": f"{END:.0f}"})

    def range(self, expression: str) -> list[dict[str, Any]]:
        """Return what it was, over the last hours."""
        over = {"start": f"{END - HOURS * 3600:.0f}", "end": f"{END:.0f}", "step": f"{STEP_SECONDS}s"}
        return self._result("query_range", {"query": expression, **over})

    def values(self, query: str) -> list[str]:
        """Return what a variable's query finds: ``label_values(selector, label)``."""
        match = re.fullmatch(r"label_values\((.+), *(\w+)\)", query)
        if match is None:
            raise ValueError(f"not a query of label_values: {query}")
        over = {"start": f"{END - HOURS * 3600:.0f}", "end": f"{END:.0f}", "match[]": match[1]}
        answer = self._ask(f"/api/v1/label/{match[2]}/values?{urllib.parse.urlencode(over)}")
        found: list[str] = json.loads(answer)["data"]
        return found

    def _result(self, kind: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = self._ask(f"/api/v1/{kind}", urllib.parse.urlencode(parameters).encode())
        found: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
        return found

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        address = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(address, body, timeout=120) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise ValueError(f"{path}: {error.read().decode()[:500]}") from None


def filled(expression: str, chosen: Chosen) -> str:
    """Put the values of variables into an expression, as Grafana does.

    Args:
        expression: as a panel has it.
        chosen: by variable, the text that people read and its value.
    """

    def value(match: "re.Match[str]") -> str:
        name, _, form = (match[1] or match[2]).partition(":")
        if name in _OWN:
            return _OWN[name]
        text, known = chosen[name]
        return text if form == "text" else known

    return re.sub(r"\$(?:\{([\w:]+)\}|([A-Za-z_]\w*))", value, expression)


@contextmanager
def running(folder: Path) -> Iterator[Store]:
    """Start an empty store in a folder of its own.

    Raises:
        MissingError: this machine cannot have one.
    """
    program = metrics_programs() / "victoria-metrics"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    command = bound(
        [
            program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/data", "-retentionPeriod=100y",
            "-search.latencyOffset=0s", "-memory.allowedBytes=256MiB",
        ]
    )  # fmt: skip
    with (folder / "store.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    store, end = Store(port), time.monotonic() + _START_SECONDS
    try:
        while True:
            try:
                store.now("vector(1)")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield store
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
