"""OpenTelemetry in a Python service of Presence360. Copy this file; docs/telemetry.md explains it.

`set_up` is for each process that does work, once, after it was forked. Everything else is in environment variables that
the platform sets: where metrics go, how often, and the service's name.
"""

import fcntl
import itertools
import os
import threading
import time
from io import TextIOWrapper
from pathlib import Path

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SHUTDOWN_SECONDS = 3.0
"""For the last messages, when the process ends. A worker has waited for its tasks by then, and Docker kills it soon."""

_LEFT_OUT = (
    # The Celery instrumentation's own has the container's id as a label: each restart would add series.
    "flower.task.runtime.seconds",
    # As many series as the durations, each, and nobody asks.
    "http.server.request.body.size",
    "http.server.response.body.size",
)

_LOCKS = Path(os.environ.get("PROCESS_LOCKS", "/tmp"))  # noqa: S108  in the container, where it is this service's own
_held: list[TextIOWrapper] = []


def process_number() -> int:
    """Return the first number that no other process of this container has, and keep it until this one ends.

    Metrics are told apart by it. A process id would do, too, but each is a new one: the store would keep series of
    every process that ever ran.
    """
    for number in itertools.count():
        file = (_LOCKS / f"presence360-process-{number}").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _held.append(file)
        return number
    raise AssertionError


def set_up() -> None:
    """Send metrics, and go on with traces that begin in nginx. Where nothing listens, do nothing."""
    if os.environ.get("OTEL_SDK_DISABLED") == "true":
        return
    instance = f"{os.environ['PRESENCE360_DROPLET']}-{process_number()}"
    resource = Resource.create({"service.instance.id": instance})
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    views = [View(instrument_name=name, aggregation=DropAggregation()) for name in _LEFT_OUT]
    metrics.set_meter_provider(
        MeterProvider([reader], resource=resource, views=views, shutdown_on_exit=False)
    )
    # Which traces are kept, nginx decides, and OTEL_TRACES_SAMPLER for what no request began.
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if os.environ.get("OTEL_TRACES_EXPORTER") == "otlp":
        tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer_provider)


def shut_down() -> None:
    """Send what was measured since the last message, side by side: a receiver that is away holds nobody up for long."""
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
    last = [
        threading.Thread(target=provider.shutdown, daemon=True)
        for provider in providers
        if isinstance(provider, TracerProvider | MeterProvider)
    ]
    end = time.monotonic() + SHUTDOWN_SECONDS
    for thread in last:
        thread.start()
    for thread in last:
        thread.join(max(0.0, end - time.monotonic()))


def trace_id() -> str:
    """Return the id for log lines: nginx's request id, in the API as in the jobs that a request began."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)
