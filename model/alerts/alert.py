"""What an alert is: a condition over metrics, and what it says to the person who is told."""

from dataclasses import dataclass
from enum import StrEnum

RUNBOOK = "docs/runbooks/alerts.md"
"""The page with a section for each alert; it is generated (ops/alerts_page.py)."""


class Severity(StrEnum):
    """Who has to be told, and when."""

    CRITICAL = "critical"
    """Churches are affected, or will be within the hour: wake somebody up."""
    WARNING = "warning"
    """Somebody has to look during the working day."""
    WATCHDOG = "watchdog"
    """It always fires. If it stops, the way from metrics to messages is broken (droplet/watchdog)."""
    TEST = "test"
    """Somebody asked for it, to see whether messages arrive (droplet/observability/receipt.py)."""


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        name: in the alert's messages and in the runbook.
        expression: PromQL; there is an alert for each series that it returns.
        hold: how long it has to be true first, in Prometheus's form: ``5m``; ``0m`` is at once.
        severity: who has to be told.
        sentence: what is wrong, with ``{{ $labels.instance }}`` for a label of the series.
        first: the first thing to do.
        watches: what would go unseen without it: services, programs of droplet/, kinds of Terraform resources
            (tests/model/alerts/test_coverage.py).
    """

    name: str
    expression: str
    hold: str
    severity: Severity
    sentence: str
    first: str
    watches: frozenset[str] = frozenset()

    @property
    def runbook(self) -> str:
        """Where the alert is explained, in this repository."""
        return f"{RUNBOOK}#{self.name.lower()}"


def is_old(metric: str, seconds: int, *by: str) -> str:
    """Return an expression for a time stamp that nobody has renewed for so long; of several droplets the newest."""
    newest = f"max by ({', '.join(by)}) ({metric})" if by else metric
    return f"time() - {newest} > {seconds}"
