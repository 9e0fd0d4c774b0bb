"""Where spans of booted droplets end up: VictoriaTraces where the machine has it, else OpenTelemetry's own reading."""

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lab.processes import bound, end
from model.traces import STORE_PORT
from tests.droplets.conftest import VICTORIA_TRACES, Laboratory
from tests.droplets.laboratory import Droplet, eventually
from tests.support import ROOT

LISTENS = f"ss --no-header --listening --tcp --numeric 'sport = {STORE_PORT}'"
PROGRAM = ROOT / "tests/telemetry/span_store.py"


@dataclass(frozen=True)
class Span:
    """A span, as either store has it.

    Attributes:
        kind: ``server``, ``client``, ``producer``, ``consumer``, ``internal``.
        failed: whether its status is an error.
        attributes: its own, as text.
        resource: those of its process, with the group that the token says.
        text: all that the store has of it.
    """

    trace: str
    id: str
    parent: str
    name: str
    kind: str
    failed: bool
    attributes: Mapping[str, str]
    resource: Mapping[str, str]
    text: str

    @property
    def service(self) -> str:
        """Whose it is."""
        return self.resource["service.name"]

    @property
    def group(self) -> str:
        """Of the droplet's key."""
        return self.resource["presence360.group"]


@dataclass(frozen=True)
class SpanStore:
    """The stores of both droplets: which of them receives is its status object's to say, and may change.

    Attributes:
        file: what our own receiver writes; None where VictoriaTraces runs as its unit runs it.
    """

    droplets: Sequence[Droplet]
    file: Path | None

    def spans(self, *traces: str) -> list[Span]:
        """Return the spans of traces by their ids."""
        if self.file:
            text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
            found = [_of_otlp(json.loads(line)) for line in text.splitlines()]
            return [span for span in found if span.trace in traces]
        return [span for droplet in self.droplets for span in _of_jaeger(droplet, traces)]

    def named(self, trace: str, *names: str) -> list[Span]:
        """Wait until spans of these names are there, and return them in this order."""

        def all_there() -> list[Span] | None:
            found = {span.name: span for span in self.spans(trace)}
            assert found.keys() >= set(names), f"{sorted(found)} and not {names}"
            return [found[name] for name in names]

        return eventually(f"the trace {trace} is kept", 60, all_there, pause=2) or []


@contextmanager
def span_store(laboratory: Laboratory, python: Path, folder: Path) -> Iterator[SpanStore]:
    """Have a store on each droplet.

    Args:
        laboratory: the droplets.
        python: an interpreter that has opentelemetry-proto.
        folder: for what our own receiver writes.
    """
    if VICTORIA_TRACES:
        yield SpanStore(laboratory.droplets, None)
        return
    file = folder / "spans"
    with ExitStack() as stack:
        for droplet in laboratory.droplets:
            # Its loopback, where nginx looks for the store.
            inside = ["ip", "netns", "exec", f"{droplet.network.name}-{droplet.name}"]
            command = [*inside, str(python), str(PROGRAM), str(STORE_PORT), str(file)]
            stack.callback(end, subprocess.Popen(bound(command), start_new_session=True))
            eventually("the store listens", 20, partial(droplet.sh, LISTENS))
        yield SpanStore(laboratory.droplets, file)


def _of_otlp(span: Mapping[str, Any]) -> Span:
    def identity(name: str) -> str:
        return base64.b64decode(span.get(name, "")).hex()

    group = span["asked"].rpartition("presence360.group=")[2]
    return Span(
        trace=identity("traceId"),
        id=identity("spanId"),
        parent=identity("parentSpanId"),
        name=span["name"],
        kind=span.get("kind", "SPAN_KIND_UNSPECIFIED").removeprefix("SPAN_KIND_").lower(),
        failed=span.get("status", {}).get("code") == "STATUS_CODE_ERROR",
        attributes=_texts(span["attributes"]),
        resource={**_texts(span["resource"]), "presence360.group": group},
        text=json.dumps(span),
    )


ASK = f"""
import sys, urllib.error, urllib.request
for trace in sys.argv[1:]:
    try:
        url = "http://127.0.0.1:{STORE_PORT}/select/jaeger/api/traces/" + trace
        print(urllib.request.urlopen(url).read().decode().replace("\\n", ""))
    except urllib.error.HTTPError as error:
        error.close()
"""
"""On a droplet: what the store answers of each trace, a line each."""


def _of_jaeger(droplet: Droplet, traces: Sequence[str]) -> list[Span]:
    (droplet.root / "srv/ask_store.py").write_text(ASK)
    answers = map(json.loads, droplet.sh(f"python3 /srv/ask_store.py {' '.join(traces)}").splitlines())
    return [
        _jaeger(span, one["processes"])
        for answer in answers
        for one in answer.get("data") or ()
        for span in one["spans"]
    ]


def _jaeger(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    process = processes[span["processID"]]
    tags = _tags(span["tags"])
    return Span(
        trace=span["traceID"],
        id=span["spanID"],
        parent=next((one["spanID"] for one in span["references"]), ""),
        name=span["operationName"],
        kind=tags.pop("span.kind", ""),
        failed=tags.pop("error", "") == "true",
        attributes=tags,
        resource={**_tags(process["tags"]), "service.name": process["serviceName"]},
        text=json.dumps([span, process]),
    )


def _tags(tags: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Without what the store adds of the library that made a span."""
    return _texts({tag["key"]: tag["value"] for tag in tags if not tag["key"].startswith("otel.scope.")})


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}
