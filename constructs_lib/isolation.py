"""What the isolation job is told (droplet/isolation): an object for each stack with Postgres clusters."""

import json
from collections.abc import Sequence

from model.isolation import IsolationPlan


def isolation_config(plan: IsolationPlan, clusters: Sequence[str], lists: Sequence[str]) -> str:
    """Return an expression, without `${}`; the clusters' own passwords are in it, and in no other object.

    Args:
        plan: limits and timeouts.
        clusters: expressions for the entries of the operators' clusters.
        lists: expressions for lists of more entries: tenants' own clusters.
    """
    entries = f"[{', '.join(clusters)}]"
    if lists:
        entries = f"concat({', '.join([entries, *lists])})"
    return (
        f"{{ clusters = {entries}, connections = {plan.connections}, {overrides(plan)}, "
        f"statement_timeout_ms = {plan.statement_timeout_ms}, "
        f"idle_in_transaction_timeout_ms = {plan.idle_in_transaction_timeout_ms}, "
        f"extensions = {json.dumps(plan.extensions)} }}"
    )


def overrides(plan: IsolationPlan) -> str:
    """Return the part of the expression that says which tenants have another limit."""
    return f"overrides = {json.dumps(dict(plan.overrides), sort_keys=True)}"
