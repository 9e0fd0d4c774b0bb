"""Plans of two environments compared, by what explains the differences between their stacks."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ops.parity.compare import (
    Difference,
    Parity,
    Stacks,
    changed,
    differences,
    leaves,
    may_follow_from_name,
    without_names,
)
from ops.reach.plan import stack_of

_REFERENCE = re.compile(r"\b(digitalocean_\w+|local|var)\.([\w-]+)(?:\[[^\]]*\])?(?:\.(\w+))?")
_KEY = re.compile(r"\[.*\]$")
_EVERYTHING = ""


def unexplained(
    parity: Parity, stacks: Mapping[str, Stacks], plans: Mapping[str, Mapping[str, Any]]
) -> tuple[Difference, ...]:
    """Return where plans differ in an argument that our stacks set, and no key explains it.

    Args:
        parity: the comparison of the stacks.
        stacks: by environment, what was synthesized, by the stacks' names without the environment's.
        plans: by environment, what `terraform show -json` printed, by the same names.
    """
    pair = (parity.first, parity.second)
    raw = {
        environment: leaves({name: stack_of(shown) for name, shown in plans[environment].items()})
        for environment in pair
    }
    plain = {environment: without_names(raw[environment], (environment,)) for environment in pair}
    first, second = (plain[environment] for environment in pair)
    # What is the same word for word may still hold one of the names, in a comment for example.
    differ = changed(first, second) & changed(*(raw[environment] for environment in pair))
    why = _Reasons(parity, stacks)
    return tuple(
        one
        for one in differences(first, second, differ)
        if one.place[1:2] == ("resource",) and not (may_follow_from_name(one) or why.known(one))
    )


class _Reasons:
    """What is known to differ, and what refers to it."""

    def __init__(self, parity: Parity, stacks: Mapping[str, Stacks]) -> None:
        self._stacks = stacks
        self._known: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        for explained in parity.explained:
            for difference in explained.differences:
                stack, section, *rest = difference.place
                if section == "resource" and len(rest) >= 2:  # noqa: PLR2004 (kind and address)
                    argument = rest[2] if len(rest) > 2 else _EVERYTHING  # noqa: PLR2004
                    self._known[stack, f"{rest[0]}.{rest[1]}", argument].add(explained.step.key)
                elif section == "locals" and rest:
                    self._known[stack, f"local.{rest[0]}", _EVERYTHING].add(explained.step.key)

    def known(self, difference: Difference) -> bool:
        """Tell whether a key explains a difference, or nothing of ours decides on it."""
        stack, _, kind, address, *argument = difference.place
        name = _KEY.sub("", address)
        bodies = [
            body
            for stacks in self._stacks.values()
            if (body := stacks.get(stack, {}).get("resource", {}).get(kind, {}).get(name)) is not None
        ]
        if not argument or not any(argument[0] in body for body in bodies):
            # A resource that only one environment has, or an argument that DigitalOcean or the provider sets.
            return len(bodies) > 0 or not argument
        if len(bodies) < len(self._stacks):
            return any((stack, f"{kind}.{name}", at) in self._known for body in bodies for at in body)
        return self._explained(stack, f"{kind}.{name}", argument[0], set())

    def _explained(self, stack: str, address: str, argument: str, seen: set[tuple[str, str]]) -> bool:
        if (address, argument) in seen:
            return False
        seen.add((address, argument))
        if (stack, address, argument) in self._known:
            return True
        return any(
            self._explained(stack, *reference, seen)
            for reference in self._references(stack, address, argument)
        )

    def _references(self, stack: str, address: str, argument: str) -> Iterator[tuple[str, str]]:
        kind, _, name = address.partition(".")
        for stacks in self._stacks.values():
            whole = stacks.get(stack, {})
            if kind == "local":
                value = whole.get("locals", {}).get(name)
            else:
                body = whole.get("resource", {}).get(kind, {}).get(name, {})
                value = [body.get(argument), body.get("for_each")]
            for found in _REFERENCE.finditer(str(value)):
                other, block, attribute = found.groups()
                yield f"{other}.{block}", _EVERYTHING if other == "local" else attribute or _EVERYTHING
