"""What a run says of itself and of what it looks after, as metrics."""

import http.client
import urllib.request
from pathlib import Path

from droplet.converge.paths import write
from droplet.logs.position import sent_until

SECONDS = 5


def report(
    run: Path, *, now: float, success: bool, known: bool, listening: bool, sent: Path, filter_port: int | None
) -> None:
    """Write the metrics.

    Args:
        run: where they are collected from.
        now: seconds since 1970.
        success: whether the run did all of it.
        known: whether a receiver is.
        listening: whether services reach the listener.
        sent: how far the journal has been sent.
        filter_port: of what spans go through; None where no traces are kept.
    """
    lines: list[str] = []
    for name, text, value in (
        ("telemetry_success", "Whether the last run knew where to forward, and set nginx up.", int(success)),
        ("telemetry_timestamp_seconds", "When the last run ended.", round(now)),
        ("telemetry_receiver_known", "Whether a receiver has said how it is reached.", int(known)),
        ("telemetry_listening", "Whether services reach the listener for telemetry.", int(listening)),
        (
            "logs_sent_timestamp_seconds",
            "When the last log line was written that the observability group has; 0 if it has none.",
            round(sent_until(sent)),
        ),
    ):
        full = f"presence360_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} gauge", f"{full} {value}"]
    text = "\n".join(lines) + "\n" + (_spans(filter_port) if filter_port else "")
    write(run / "telemetry.prom", text.encode(), mode=0o644)


def _spans(port: int) -> str:
    """Return what the filter of spans counts; nothing where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as answer:
            return str(answer.read(65536).decode())
    except (OSError, ValueError, http.client.HTTPException):
        return ""
