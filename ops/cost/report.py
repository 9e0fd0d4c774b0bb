"""Costs as lines, as JSON, and as the difference that a change makes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from model import cost
from model.cost import Church, Cost, Line, money
from model.plan import EnvironmentPlan
from model.prices import DROPLETS, Price
from ops.api_client import ApiError, Client
from ops.errors import OperationError

__all__ = ["DROPLETS", "account_lines", "as_json", "ask", "difference", "lines"]

_MOST_CHURCHES = 20
"""Churches that are listed one by one; where there are more, those with a cluster of their own are."""


def ask(environ: Mapping[str, str]) -> dict[str, Price]:
    """Return the prices of droplets that DigitalOcean answers with, by size.

    Raises:
        OperationError: it does not answer.
    """
    today = datetime.now(UTC).date().isoformat()
    try:
        sizes = Client.of(environ).all("/v2/sizes", "sizes")
    except ApiError as error:
        raise OperationError(f"DigitalOcean does not say what droplets cost: {error}") from error
    return {one["slug"]: Price(Decimal(str(one["price_monthly"])), "GET /v2/sizes", today) for one in sizes}


def lines(plan: EnvironmentPlan, droplets: Mapping[str, Price]) -> Iterator[str]:
    """Say what an environment costs a month."""
    found = cost.lines(plan, droplets)
    rows = [(_count(line), line.what, _each(line), str(cost.total([line]))) for line in found]
    rows.append(("", "together", "", str(cost.total(found))))
    yield from _table((plan.name, "", "each", "a month"), rows)
    unknown = cost.total(found).unknown
    if unknown:
        yield f"unknown: {', '.join(f'{count} x {what}' for what, count in unknown.items())}"
    churches = cost.churches(plan, found)
    yield from _cells(plan, found, churches)
    yield from _churches(churches)


def _count(line: Line) -> str:
    return f"{line.count} to {line.most}" if line.most else str(line.count)


def _each(line: Line) -> str:
    return "unknown" if line.price.usd is None else money(line.price.usd)


def _cells(plan: EnvironmentPlan, found: Sequence[Line], churches: Sequence[Church]) -> Iterator[str]:
    rows = [
        (
            plane.cell,
            str(sum(1 for church in churches if church.cell == plane.cell)),
            str(cost.total(line for line in found if line.cell == plane.cell)),
        )
        for plane in (plan.tenant_plane, *(cell.tenant_plane for cell in plan.cells))
    ]
    yield ""
    yield from _table(("cell", "churches", "its cluster"), rows)


def _churches(churches: Sequence[Church]) -> Iterator[str]:
    listed = churches
    if len(churches) > _MOST_CHURCHES:
        listed = [church for church in churches if church.own != Cost()]
    rows = [
        (one.slug, one.cell, _or_none(one.own), _or_none(one.shared), _or_none(one.cost)) for one in listed
    ]
    yield ""
    if rows:
        yield from _table(("church", "cell", "its own", "its part", "together"), rows)
    rest = len(churches) - len(listed)
    if rest:
        shares = {str(one.shared) for one in churches if one not in listed}
        yield f"{rest} more churches have no cluster of their own; a part is {' or '.join(sorted(shares))}"


def _or_none(found: Cost) -> str:
    return "none" if found == Cost() else str(found)


def account_lines() -> Iterator[str]:
    """Say what the account pays for whatever its environments are."""
    yield "Once for the whole account, and for use:"
    for what, price in cost.of_the_account():
        yield f"  {_price(price):>7}  {what}"
    yield "List prices in US dollars without tax; sources and dates are in model/prices.py. Droplets that stand"
    yield "beside their successors during a deploy are not counted."


def _price(price: Price) -> str:
    return "unknown" if price.usd is None else money(price.usd)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    for row in [heading, *rows]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_json(plan: EnvironmentPlan, droplets: Mapping[str, Price]) -> dict[str, Any]:
    """Return the same for programs; an unknown price is null."""
    found = cost.lines(plan, droplets)
    return {
        "environment": plan.name,
        "month": _sum(cost.total(found)),
        "lines": [
            {
                "what": line.what,
                "count": line.count,
                "most": line.most or line.count,
                "each": None if line.price.usd is None else float(line.price.usd),
                "cell": line.cell or None,
                "church": line.church or None,
                "source": line.price.source,
                "seen": line.price.seen,
            }
            for line in found
        ],
        "churches": [
            {"church": one.slug, "cell": one.cell, "own": _sum(one.own), "part": _sum(one.shared)}
            for one in cost.churches(plan, found)
        ],
    }


def _sum(found: Cost) -> dict[str, Any]:
    return {
        "known": float(round(found.known, 2)),
        "most": float(round(found.most, 2)),
        "unknown": dict(found.unknown),
    }


def difference(before: Iterable[Line], after: Iterable[Line]) -> tuple[Cost, Cost, list[str]]:
    """Return two sums, and what is added and removed in words."""
    old, new = tuple(before), tuple(after)
    said = []
    for what in dict.fromkeys(line.what for line in (*old, *new)):
        counts = [[(line.count, line.most) for line in side if line.what == what] for side in (old, new)]
        if counts[0] != counts[1]:
            one, other = (sum(count for count, _ in side) for side in counts)
            mosts = [max((most for _, most in side), default=0) for side in counts]
            said.append(
                f"{what}: {one or 'none'} before, {other or 'none'} after"
                + (f" (at most {mosts[1] or other})" if any(mosts) else "")
            )
    return cost.total(old), cost.total(new), said
