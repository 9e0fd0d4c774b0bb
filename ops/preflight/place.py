"""Whether what a plan orders is sold where it is ordered, and whether the region has its default network.

Only what is ordered now: what runs already may be of a size that is not sold any more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from model.addresses import DROPLET, POOL, VPC
from ops.api_client import ApiError, Client
from ops.plan_json import Plan
from ops.preflight.finding import Checked


def check(plan: Plan, api: Client) -> Checked:
    """Ask for regions, sizes and VPCs, as far as the plan needs them."""
    looks: tuple[tuple[str, Callable[[Plan, Client], Iterator[str]]], ...] = (
        ("regions", _regions),
        ("sizes of droplets", _sizes),
        ("networks", _default_network),
    )
    problems, notes = list[str](), list[str]()
    for what, look in looks:
        try:
            problems += look(plan, api)
        except ApiError as error:
            notes.append(f"{plan.stack}: the {what} could not be asked for: {error}")
    return Checked(tuple(problems), tuple(notes))


def _made(plan: Plan, *kinds: str) -> Iterable[Mapping[str, Any]]:
    return [change.after for change in plan.changes if change.creates and (not kinds or change.kind in kinds)]


def _regions(plan: Plan, api: Client) -> Iterator[str]:
    asked = sorted({after["region"] for after in _made(plan) if isinstance(after.get("region"), str)})
    if not asked:
        return
    sold = {one["slug"] for one in api.all("/v2/regions", "regions") if one.get("available")}
    for region in asked:
        if region not in sold:
            yield (
                f"{plan.stack}: DigitalOcean takes no orders in the region {region}. It does in "
                f"{', '.join(sorted(sold))}"
            )


def _sizes(plan: Plan, api: Client) -> Iterator[str]:
    asked = {(after.get("size"), after.get("region")) for after in _made(plan, DROPLET)}
    for pool in _made(plan, POOL):
        asked |= {(one.get("size"), one.get("region")) for one in pool.get("droplet_template") or ()}
    if not asked:
        return
    sold = {one["slug"]: one["regions"] for one in api.all("/v2/sizes", "sizes") if one.get("available")}
    for size, region in sorted((str(size), str(region)) for size, region in asked):
        if region not in sold.get(size, ()):
            yield (
                f"{plan.stack}: DigitalOcean does not sell droplets of {size} in {region} now. Choose another size; "
                "`doctl compute size list` shows them"
            )


def _default_network(plan: Plan, api: Client) -> Iterator[str]:
    for vpc in _made(plan, VPC.kind):
        region = vpc["region"]
        if not any(one["region"] == region for one in api.all("/v2/vpcs", "vpcs")):
            yield (
                f"{plan.stack}: the region {region} has no VPC. The first one becomes its default and can never be "
                f"deleted, so it should not be this environment's: make one called default-{region} in the control "
                "panel under Networking, VPC (README.md, First deploy)"
            )
