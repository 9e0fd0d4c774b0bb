"""Traces: how many requests have one, and where they are kept. docs/traces.md explains it."""

from dataclasses import dataclass

from model.observability_file import Traces, image_reference

FOLDER = "/srv/metrics/traces"
"""On the observability group's droplet, beside the metrics."""

FILTER_PORT = 9367
"""Loopback, on every droplet: what takes out of spans what may be about people (droplet/traces)."""

STORE_PORT = 10_428
"""Loopback, on the observability group's droplet: VictoriaTraces, at its own port."""

STORE_VERSION = "v0.8.2"
"""Of VictoriaTraces, which docs/traces.md has operators push; its digest is in the environment's file."""

STORE_MIB = 256
"""What its container may use: half of it for caches (units/presence360-traces-store.service.j2)."""


@dataclass(frozen=True, kw_only=True)
class TracesPlan:
    """What the observability group keeps of traces.

    Attributes:
        image: of the store, whole, by digest.
        days: how long they are kept.
        size_gib: how much of the disk they may take.
    """

    image: str
    days: int
    size_gib: int


def plan_traces(wanted: Traces | None, registry: str) -> TracesPlan | None:
    """Decide it; ``registry`` is what all images have in common."""
    if wanted is None:
        return None
    return TracesPlan(
        image=image_reference(registry, wanted.image), days=wanted.days, size_gib=wanted.size_gib
    )
