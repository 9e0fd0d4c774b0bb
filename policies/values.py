"""Readers of arguments, for rules: an expression, which nobody can judge, is never taken for a value."""

from collections.abc import Iterator
from typing import Any

Block = dict[str, Any]


def blocks(parent: Block, name: str) -> list[Block]:
    """Return the nested blocks of a name, [] if there are none; ValueError if an expression is in their place."""
    value = parent.get(name) or []
    value = [value] if isinstance(value, dict) else value
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{name} is an expression, which cannot be checked; write the blocks out")
    return value


def block(parent: Block, name: str) -> Block:
    """Return the one nested block of a name; {} if it is absent."""
    return next(iter(blocks(parent, name)), {})


def is_set(value: Any) -> bool:
    """Whether there is a value or a reference."""
    return isinstance(value, str) and bool(value.strip())


def is_true(value: Any) -> bool:
    """Whether a value is literally true; an expression is not."""
    return value is True or value == "true"


def is_literal(value: Any) -> bool:
    """Whether a text is written out, without an expression."""
    return is_set(value) and "${" not in value


def items(value: Any) -> list[Any]:
    """Return the items of a list that is written out; [] for anything else, also for an expression."""
    return value if isinstance(value, list) else []


def at_least_one(value: Any) -> bool:
    """Whether a value is a literal whole number of at least one."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def number(value: Any) -> int | None:
    """Return a whole number that is written out, also as a text; None for anything else."""
    if isinstance(value, bool):
        return None
    return int(value) if isinstance(value, int | float) or str(value).isdigit() else None


def texts(value: object) -> Iterator[str]:
    """Yield each text in a value, keys of objects too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value
