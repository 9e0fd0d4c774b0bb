"""One finding of the guard."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ops.change import Change


class Severity(StrEnum):
    """Whether a finding stops a deploy."""

    REFUSED = "refused"
    WARNING = "warning"


class Rule(StrEnum):
    """The rules; docs/plan-guard.md has a table of them."""

    LOSS = "loss"
    RECREATED = "recreated"
    FORGOTTEN = "forgotten"
    DEPOSED = "deposed"
    UNKNOWN_KIND = "unknown-kind"
    FOREIGN_MOVE = "foreign-move"
    LOST_OUTSIDE = "lost-outside"
    EMPTY_STATE = "empty-state"
    LOCKED_OUT = "locked-out"
    PUBLIC_DATABASE = "public-database"
    OPEN_DROPLETS = "open-droplets"
    PUBLIC_BUCKET = "public-bucket"
    NO_WAY_BACK = "no-way-back"
    EXPIRY = "expiry"
    CLUSTER_CHANGE = "cluster-change"
    SMALLER = "smaller"
    INTERRUPTION = "interruption"
    NAME_TAKEN = "name-taken"


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        rule: which rule.
        severity: whether it stops a deploy.
        stack: whose plan.
        address: of the resource; empty for a stack as a whole.
        what: the data or the resource, with its tenant: "Grace Chapel (grace): its database ...".
        why: what the plan does to it, and why that is refused.
        remedy: what to do, as an imperative sentence.
        tenants: the ids of the tenants that it concerns, sorted.
    """

    rule: Rule
    severity: Severity
    stack: str
    address: str
    what: str
    why: str
    remedy: str
    tenants: tuple[str, ...] = ()


def refused(
    rule: Rule, change: Change, what: str, why: str, remedy: str, tenants: Sequence[str] = ()
) -> Finding:
    """Return a finding that stops a deploy."""
    return Finding(
        rule, Severity.REFUSED, change.stack, change.address, what, why, remedy, tuple(sorted(set(tenants)))
    )


def warning(
    rule: Rule, change: Change, what: str, why: str, remedy: str, tenants: Sequence[str] = ()
) -> Finding:
    """Return a finding that a reviewer should read."""
    return Finding(
        rule, Severity.WARNING, change.stack, change.address, what, why, remedy, tuple(sorted(set(tenants)))
    )
