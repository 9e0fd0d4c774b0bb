"""How something is broken, and put right again: the list that `breaks` adds to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.checked.estate import Estate
from ops.check.finding import Colour

Undo = Callable[[], object]


@dataclass(frozen=True)
class Break:
    """One thing that goes wrong.

    Attributes:
        line: of the check, which has to show it.
        title: what goes wrong.
        do: breaks it; returns what undoes that.
        colour: that the line takes.
    """

    line: str
    title: str
    do: Callable[[Estate], Undo]
    colour: Colour = Colour.RED


BREAKS: list[Break] = []


def breaks(line: str, title: str, colour: Colour = Colour.RED) -> Callable[[Callable[[Estate], Undo]], None]:
    """Register what breaks a line."""

    def register(do: Callable[[Estate], Undo]) -> None:
        BREAKS.append(Break(line, title, do, colour))

    return register


@contextmanager
def broken(estate: Estate, one: Break) -> Iterator[None]:
    """Break something, and put it right again."""
    undo = one.do(estate)
    try:
        yield
    finally:
        undo()


def change(thing: object, name: str, value: object) -> Undo:
    """Set an attribute; return what undoes it."""
    before = getattr(thing, name)
    setattr(thing, name, value)
    return lambda: setattr(thing, name, before)


def edited(estate: Estate, bucket: str, key: str, edit: Callable[[dict[str, Any]], object]) -> Undo:
    """Change an object of JSON; return what undoes it."""
    before = estate.spaces.read(bucket, key) or b"{}"
    value = json.loads(before)
    edit(value)
    estate.put(bucket, key, value)
    return lambda: estate.put(bucket, key, before.decode())


def balancer(estate: Estate, **changed: object) -> Undo:
    """Change the first load balancer; return what undoes it."""
    (first, *_) = estate.plan.edge.load_balancers
    found = estate.named("/v2/load_balancers", "load_balancers", first.name)
    wanted = {
        key: value for key, value in found.items() if key not in {"droplet_ids", "region", "status", "ip"}
    }
    path = f"/v2/load_balancers/{found['id']}"
    estate.ask("PUT", path, {**wanted, **changed})
    return lambda: estate.ask("PUT", path, wanted)


def cluster(estate: Estate) -> dict[str, Any]:
    """Return the first Postgres cluster."""
    return estate.named("/v2/databases", "databases", estate.plan.data.postgres[0].name)
