"""What differs between two environments' stacks, and what explains it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ops.parity.derived import derived_words, without_derived
from ops.parity.steps import NAME, Step

Stacks = Mapping[str, Any]
"""By name without the environment's: its own is "", a cell's is "cell-2"."""
Leaves = Mapping[tuple[str, ...], str]

BY_NAME: Mapping[str, str] = {
    "digitalocean_project.*.environment": "DigitalOcean's projects are of one of three kinds, and the name says which "
    "(model/project.py). It changes nothing but a word in the control panel.",
}
"""Arguments that may follow from an environment's name, each with the reason."""

_COMMENT = "//"
_WHO = "«environment»"
_LONGEST = 60


@dataclass(frozen=True)
class Difference:
    """One place of a stack where two environments differ.

    Attributes:
        place: the stack, the kind, the address and the argument.
        first: what the one has there, shortened; empty: nothing.
        second: what the other has.
    """

    place: tuple[str, ...]
    first: str
    second: str

    @property
    def where(self) -> str:
        """The place as a reader knows it."""
        stack, *rest = self.place
        return f"{f'{stack}: ' if stack else ''}{'.'.join(rest[1:] if rest[:1] == ['resource'] else rest)}"

    def __str__(self) -> str:
        return f"{self.where}: {self.first or 'nothing'} | {self.second or 'nothing'}"


@dataclass(frozen=True)
class Explained:
    """What one key explains."""

    step: Step
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Parity:
    """The whole comparison.

    Attributes:
        first: the one environment's name.
        second: the other's.
        explained: by key, in the order of the steps.
        unexplained: by environment, what its file does not give.
    """

    first: str
    second: str
    explained: tuple[Explained, ...]
    unexplained: Mapping[str, tuple[Difference, ...]]

    @property
    def holds(self) -> bool:
        """Whether files explain every difference."""
        return not any(self.unexplained.values())


def leaves(stacks: Stacks) -> dict[tuple[str, ...], str]:
    """Return every argument of the stacks by its place, without cdktf's comments."""
    return dict(_leaves(stacks, ()))


def _leaves(value: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            if key != _COMMENT:
                yield from _leaves(inner, (*at, key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*at, str(number)))
    else:
        yield at, value if isinstance(value, str) else repr(value)


def changed(before: Leaves, after: Leaves) -> set[tuple[str, ...]]:
    """Return the places where two sets of stacks differ."""
    return {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}


def differences(first: Leaves, second: Leaves, places: Iterable[tuple[str, ...]]) -> tuple[Difference, ...]:
    """Return what stands at some places on either side."""
    return tuple(
        Difference(place, *_short(first.get(place, ""), second.get(place, ""))) for place in sorted(places)
    )


def of_the_name(actual: Stacks, twin: Stacks, name: str) -> tuple[Difference, ...]:
    """Return where an environment under its own name is another than under a made-up one.

    Names may differ, and digests of texts with names in them: these texts are compared themselves (derived.py).
    """
    known = without_names(leaves(actual), (name,))
    expected = without_names(leaves(twin), (name, NAME))
    found = differences(known, expected, changed(known, expected))
    return tuple(one for one in found if not may_follow_from_name(one))


def may_follow_from_name(difference: Difference) -> bool:
    """Tell whether an argument may be another because the environment's name is."""
    return any(fnmatchcase(difference.where, allowed) for allowed in BY_NAME)


def without_names(found: Leaves, names: Sequence[str]) -> dict[tuple[str, ...], str]:
    """Return the same with one word for all these names, and one for what follows from texts that are compared."""
    anyone = "|".join(map(re.escape, names))
    pattern = re.compile(rf"(?<![0-9a-zA-Z])({anyone})(?![0-9a-zA-Z])")
    derived = derived_words(found)
    return {
        tuple(pattern.sub(_WHO, part) for part in place): pattern.sub(
            _WHO, without_derived(place, text, derived)
        )
        for place, text in found.items()
    }


def attribute(variants: Sequence[tuple[Step | None, Leaves]]) -> tuple[Explained, ...]:
    """Return what each step explains of the difference between the first and the last variant.

    A place that several keys change is listed with each of them.
    """
    begin, end = variants[0][1], variants[-1][1]
    total = changed(begin, end)
    explained, before = [], begin
    for step, now in variants[1:]:
        if step is not None:
            mine = changed(before, now) & total
            explained.append(Explained(step, differences(begin, end, mine)))
            before = now
    return tuple(explained)


def _short(first: str, second: str) -> tuple[str, str]:
    """Shorten two texts around the first place where they differ; several lines are one."""
    if max(len(first), len(second)) <= _LONGEST and "\n" not in first + second:
        return first, second
    begin = next(
        (at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other),
        min(len(first), len(second)),
    )
    start = max(0, begin - _LONGEST // 4)

    def cut(text: str) -> str:
        part = " ".join(text[start : start + _LONGEST].split())
        return f"{'…' if start else ''}{part}{'…' if start + _LONGEST < len(text) else ''}" if text else ""

    return cut(first), cut(second)
