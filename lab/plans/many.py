"""Large plans, for the benchmark of the guard."""

import uuid
from typing import Any

from lab.plans.environment import STAGING, Tenant, situation


def many_tenants(count: int, content: int) -> dict[str, dict[str, Any]]:
    """Return plans of an environment with many tenants, by what they do; each content has so many characters."""
    tenants = tuple(
        Tenant(str(uuid.UUID(int=number + 1, version=4)), f"church-{number}", f"Church number {number}")
        for number in range(count)
    )
    it = STAGING.but(tenants=tenants)
    plans = {
        "nothing changes": situation(it, it).plan(),
        "every tenant is lost": situation(it, it.but(tenants=())).plan(),
    }
    for plan in plans.values():
        for entry in plan["resource_changes"]:
            for side in ("before", "after"):
                if entry["change"][side]:
                    entry["change"][side]["source"] = "x" * content
        for values in (plan["prior_state"]["values"], plan["planned_values"]):
            for one in values["root_module"]["resources"]:
                one["values"]["source"] = "x" * content
    return plans
