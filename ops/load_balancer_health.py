"""Whether a load balancer finds a droplet healthy, by the metric that DigitalOcean keeps of its checks."""

import re
from collections.abc import Sequence
from typing import Any

from ops.digitalocean import Droplet

# All checks of the last sample passed. The OpenAPI document leaves the unit open: its example of a metric has a
# Boolean, and recordings of this metric have percent.
HEALTHY = frozenset({1.0, 100.0})


def missing_health(series: Sequence[Any], droplet: Droplet) -> str | None:
    """Return what keeps a droplet from serving, according to its load balancer; None if it is healthy.

    The document does not say which label names the droplet. Any label that holds its id, its name or an address of it
    does: no other droplet has these, and a predecessor has another name.
    """
    others: set[str] = set()
    for one in series:
        labels = {key: value for key, value in one["metric"].items() if key not in {"lb_id", "region"}}
        if not any(_names(value, droplet.names) for value in labels.values()):
            others.update(labels.values())
            continue
        samples = sorted((float(at), float(value)) for at, value in one["values"])
        if not samples:
            return "the load balancer has not checked it yet"
        if samples[-1][1] in HEALTHY:
            return None
        return f"it fails its health checks (last result {samples[-1][1]:g})"
    known = ", ".join(sorted(others)) or "no droplet"
    return f"the load balancer does not know it yet (it reports on {known})"


def _names(label: str, names: frozenset[str]) -> bool:
    return any(_is_in(label, name) for name in names)


def _is_in(label: str, name: str) -> bool:
    """Whether a label holds a name as a whole, not an id or address that only begins or ends with it."""
    if name[-1:].isdigit() and not any(letter.isalpha() for letter in name):
        return re.search(rf"(?<![\d.]){re.escape(name)}(?!\.?\d)", label) is not None
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", label) is not None
