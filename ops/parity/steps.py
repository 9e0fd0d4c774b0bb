"""The way from one environment's file to another's, a key at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model.loader import TENANTS_FILE, Environment

Json = dict[str, Any]
KeyPath = tuple[str, ...]

NAME = "twin"
"""What both are called while they are compared, so that no difference comes from their names."""

_WHOLE = (("groups",), ("releases",))
"""Sections that change at once: their keys say little by themselves."""
_TOGETHER: Mapping[KeyPath, tuple[KeyPath, ...]] = {
    ("groups",): (("observability", "group"),),
    ("postgres", "clusters"): (("postgres", "control_plane"), ("postgres", "tenants")),
}
"""What names something of another section: one change with it."""
_NAME = "environment"
"""The key of an environment's name, which explains names alone (ops/parity/compare.py)."""


@dataclass(frozen=True)
class Step:
    """A key whose value differs.

    Attributes:
        key: as an operator finds it in the file.
        first: its value in the one environment, as text; empty where it is not there.
        second: its value in the other.
    """

    key: str
    first: str
    second: str


def content(environment: Environment) -> Json:
    """Return both files of an environment, defaults written out."""
    return {
        "environment": environment.file.model_dump(mode="json", exclude_none=True),
        "tenants": {
            "tenants": [one.model_dump(mode="json", exclude_none=True) for one in environment.tenants]
        },
    }


def named(whole: Json, name: str) -> Json:
    """Return an environment under another name."""
    return {**whole, "environment": {**whole["environment"], "environment": name}}


def steps(first: Json, second: Json) -> Iterator[tuple[Step, Json]]:
    """Yield each key that differs, and the first environment's content with it and all before it changed."""
    now, wanted = first["environment"], second["environment"]
    done: set[KeyPath] = set()
    for path in sorted(_differing(now, wanted), key=_order):
        if path in done or path[0] == _NAME:
            continue
        both = [path, *(other for other in _TOGETHER.get(path, ()) if _at(now, other) != _at(wanted, other))]
        step = Step(
            ", ".join(map(".".join, both)),
            *(", ".join(_text(_at(one, at)) for at in both) for one in (now, wanted)),
        )
        for one in both:
            now = _replaced(now, wanted, one)
            done.add(one)
        yield step, {"environment": now, "tenants": first["tenants"]}
    if first["tenants"] != second["tenants"]:
        counts = (f"{len(one['tenants']['tenants'])} churches" for one in (first, second))
        yield Step(TENANTS_FILE, *counts), {"environment": now, "tenants": second["tenants"]}


def _order(path: KeyPath) -> tuple[bool, KeyPath]:
    """Put what others depend on first."""
    return path not in _TOGETHER, path


def _differing(first: Json, second: Json, at: KeyPath = ()) -> Iterator[KeyPath]:
    for key in sorted(first.keys() | second.keys()):
        path = (*at, key)
        one, other = first.get(key), second.get(key)
        if one == other:
            continue
        if path not in _WHOLE and isinstance(one, dict) and isinstance(other, dict):
            if path in _TOGETHER and one.keys() != other.keys():
                yield path
            else:
                yield from _differing(one, other, path)
        else:
            yield path


def _at(content: Json, path: KeyPath) -> Any:
    value: Any = content
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _replaced(content: Json, source: Json, path: KeyPath) -> Json:
    key, *rest = path
    if rest:
        inner = _replaced(content.get(key) or {}, source.get(key) or {}, tuple(rest))
        return {**content, key: inner}
    if key in source:
        return {**content, key: source[key]}
    return {name: value for name, value in content.items() if name != key}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(value) or "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
