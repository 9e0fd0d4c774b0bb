"""What a service measures of the services that it asks itself: Rekognition and mNotify. Copy this file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, StatusCode

_tracer = trace.get_tracer("presence360")
_meter = metrics.get_meter("presence360")
_requests = {
    name: _meter.create_counter(f"presence360.{name}.requests", unit="{request}")
    for name in ("rekognition", "mnotify")
}


@contextmanager
def asking(service: str, outcome_of: Callable[[Exception], str], **labels: str) -> Iterator[None]:
    """Count a request and make a span of it, by its outcome: ``success``, or what an error means: ``throttled``.

    Args:
        service: rekognition or mnotify.
        outcome_of: names an error, in one of the words that docs/telemetry.md allows.
        labels: for Rekognition the operation. No tenant, no person, no number of a telephone.
    """
    outcome = "success"
    name = " ".join((service, *labels.values()))
    # What an error says may quote a person's data: the span has its outcome, and no words of it.
    with _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except Exception as error:
            outcome = outcome_of(error)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.set_attributes({f"presence360.{key}": value for key, value in labels.items()})
            span.set_attribute("presence360.outcome", outcome)
            _requests[service].add(1, {**labels, "outcome": outcome})
