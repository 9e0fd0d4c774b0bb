"""A comparison in words."""

from collections.abc import Iterator, Sequence
from typing import Any

from ops.parity.compare import Difference, Parity

_MOST = 40


def lines(parity: Parity, of_plans: Sequence[Difference] = (), *, every: bool = False) -> Iterator[str]:
    """Say what differs and why: what no file explains is always listed."""
    if parity.explained:
        heading = ("key", parity.first, parity.second, "differences")
        rows = [
            (one.step.key, _cut(one.step.first), _cut(one.step.second), str(len(one.differences)))
            for one in parity.explained
        ]
        widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
        for number, row in enumerate([heading, *rows]):
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            if every and number:
                yield from (f"    {one}" for one in parity.explained[number - 1].differences)
        yield ""
    yield from findings(parity, of_plans)


def findings(parity: Parity, of_plans: Sequence[Difference] = ()) -> Iterator[str]:
    """Say what no file explains, or that there is no such thing."""
    if parity.holds and not of_plans:
        yield f"{parity.first} and {parity.second}: their files explain every difference"
        return
    for name, found in parity.unexplained.items():
        if found:
            yield f"{name}: {len(found)} that its files do not explain: under another name they would be"
            yield from (
                f"  {one.where}: {one.second or 'nothing'}, not {one.first or 'nothing'}" for one in found
            )
    if of_plans:
        yield f"the plans: {len(of_plans)} differences that no file explains ({parity.first} | {parity.second})"
        yield from (f"  {one}" for one in of_plans)
    yield (
        "What differs has to follow from a key of environment.yaml, so that staging rehearses production: add the key "
        "to model/environment.py, or let both have the same (docs/parity.md)."
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"


def as_json(parity: Parity, of_plans: Sequence[Difference] = ()) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "first": parity.first,
        "second": parity.second,
        "explained": [
            {
                "key": one.step.key,
                parity.first: one.step.first,
                parity.second: one.step.second,
                "differences": list(map(_json, one.differences)),
            }
            for one in parity.explained
        ],
        "unexplained": {name: list(map(_json, found)) for name, found in parity.unexplained.items()},
        "unexplained_in_plans": list(map(_json, of_plans)),
    }


def _json(one: Difference) -> dict[str, str]:
    return {"where": one.where, "first": one.first, "second": one.second}
