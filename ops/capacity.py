"""How much room there is: what is used of each limit, and for how many more tenants it lasts."""

from collections.abc import Iterator
from typing import Any

from model.capacity import REQUESTS_PER_MINUTE, WARN_AT, Use, room, uses
from model.loader import Environment


def table(environment: Environment) -> Iterator[str]:
    """Return the lines of one environment's table."""
    found = list(uses(environment.file, environment.tenants))
    rows = [(use.what, f"{use.used:,}", f"{use.limit:,}", f"{_percent(use)} %", _room(use)) for use in found]
    heading = (environment.file.environment, "used", "limit", "", "room for tenants")
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    for row in [heading, *rows]:
        what, *numbers = row
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        yield "  ".join([what.ljust(widths[0]), *cells]).rstrip()
    requests = sum(use.used for use in found if use.requests)
    yield f"room for {room(found)} more tenants with the usual limits, without a larger cluster or another cell"
    yield (
        f"a plan of all of it: {requests:,} API requests, at least {-(-requests // REQUESTS_PER_MINUTE)} min "
        f"at DigitalOcean's {REQUESTS_PER_MINUTE} a minute"
    )
    yield "droplets behind a load balancer: found by tag, for which DigitalOcean has no limit"
    if any(_nearly_used_up(use) for use in found):
        yield f"! more than {WARN_AT:.0%} is used".replace("%", " percent")


def as_json(environment: Environment) -> dict[str, Any]:
    """Return the same for programs."""
    found = list(uses(environment.file, environment.tenants))
    return {
        "environment": environment.file.environment,
        "room_for_tenants": room(found),
        "requests_of_a_plan": sum(use.used for use in found if use.requests),
        "limits": [
            {
                "stack": use.stack,
                "what": use.what,
                "used": use.used,
                "limit": use.limit,
                "room_for_tenants": use.headroom,
                "nearly_used_up": _nearly_used_up(use),
            }
            for use in found
        ],
    }


def _nearly_used_up(use: Use) -> bool:
    return use.used > WARN_AT * use.limit


def _percent(use: Use) -> int:
    return 100 * use.used // use.limit


def _room(use: Use) -> str:
    mark = " !" if _nearly_used_up(use) else ""
    return ("-" if use.headroom is None else str(use.headroom)) + mark
