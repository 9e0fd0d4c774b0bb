"""The resources of synthesized stacks, with `for_each` written out and references followed."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.errors import OperationError
from policies.presence360.unseen import entries, written

Body = Mapping[str, Any]

_REFERENCE = re.compile(r"\$\{((?:data\.)?\w+)\.([\w-]+)(?:\[([^\]]+)\])?\.(\w+)\}")
_LOCAL = re.compile(r"\$\{local\.([\w-]+)\}")
_ENTRY_OF_EACH = re.compile(r"\$\{each\.value\.(\w+)\}")


class UnreadableError(OperationError):
    """Something cannot be read for what it allows, so nothing can be proved of it."""


@dataclass(frozen=True)
class Resource:
    """One instance of a resource, or a data source.

    Attributes:
        kind: Terraform's, a data source's with `data.` before it.
        address: within its kind; of an instance with its key: `name["key"]`.
        body: its arguments.
    """

    kind: str
    address: str
    body: Body

    def __str__(self) -> str:
        return f"{self.kind}.{self.address}"


class Stacks:
    """The stacks of an environment together: tags and names are one account's."""

    def __init__(self, stacks: Sequence[Mapping[str, Any]]) -> None:
        self._stacks = stacks
        self._found = [{(one.kind, one.address): one for one in _resources(stack)} for stack in stacks]

    @property
    def kinds(self) -> set[str]:
        """The kinds of all resources, data sources not among them: they make nothing."""
        return {kind for stack in self._stacks for kind, _, _ in written(stack, "resource")}

    def of(self, kind: str) -> Iterator[tuple[Resource, "Stack"]]:
        """Yield the resources of a kind, each with what its references are followed in."""
        for found in self._found:
            yield from ((one, Stack(found)) for one in found.values() if one.kind == kind)


@dataclass(frozen=True)
class Stack:
    """The resources of one stack, by kind and address."""

    found: Mapping[tuple[str, str], Resource]

    def follow(self, value: object) -> tuple[Resource, str]:
        """Return the resource that `${kind.address.attribute}` names, and the attribute.

        Raises:
            UnreadableError: it is anything else.
        """
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise UnreadableError(f"{value!r} is not a plain reference")
        kind, name, key, attribute = match.groups()
        address = f"{name}[{json.dumps(json.loads(key))}]" if key else name
        found = self.found.get((kind, address))
        if found is None:
            raise UnreadableError(f"{value} refers to nothing in the stack")
        check_settled(found.body)
        return found, attribute

    def text(self, value: object) -> str:
        """Return a text, or the text that a reference names.

        Raises:
            UnreadableError: it is another expression.
        """
        if isinstance(value, str) and ("${" in value or "%{" in value):
            resource, attribute = self.follow(value)
            return self.text(resource.body.get(attribute))
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise UnreadableError(f"{value!r} is not a text")
        return str(value)

    def texts(self, value: object) -> list[str]:
        """Return the texts of a list; [] for none.

        Raises:
            UnreadableError: it is an expression, or one of them is.
        """
        if value is None:
            return []
        if not isinstance(value, list):
            raise UnreadableError(f"{value!r} is not a list that is written out")
        return [self.text(item) for item in value]


def blocks(body: Body, name: str) -> list[Body]:
    """Return the nested blocks of a name; [] if there are none.

    Raises:
        UnreadableError: an expression is in their place.
    """
    if "dynamic" in body:
        raise UnreadableError("a dynamic block: write the blocks out")
    if "count" in body:
        raise UnreadableError("a count: it may be 0, and then nothing is there")
    value = body.get(name) or []
    found = [value] if isinstance(value, dict) else value
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UnreadableError(f"{name} is an expression: write the blocks out")
    return found


def check_settled(body: Body) -> None:
    """Refuse what leaves open how often a resource is there, or whether it is what stands here.

    Raises:
        UnreadableError: it says why.
    """
    if "for_each" in body:
        raise UnreadableError(
            f"for_each = {body['for_each']}: it may be empty, and then nothing is there; refer to a map in locals"
        )
    ignored: set[str] = set()
    for lifecycle in blocks(body, "lifecycle"):
        changes = lifecycle.get("ignore_changes") or []
        ignored |= set(map(str, changes if isinstance(changes, list) else [changes]))
    if ignored - {"project_id"}:
        raise UnreadableError(
            f"changes of {', '.join(sorted(ignored))} are ignored, so it may be another than this"
        )


def _resources(stack: Mapping[str, Any]) -> Iterator[Resource]:
    for kind, name, body in written(stack, "data"):
        yield Resource(f"data.{kind}", name, body)
    for kind, name, body in written(stack, "resource"):
        yield from _instances(stack, kind, name, body)


def _instances(stack: Mapping[str, Any], kind: str, name: str, body: Body) -> Iterator[Resource]:
    every = _entries(stack, body.get("for_each"))
    if every is None:
        yield Resource(kind, name, body)
        return
    each = {argument: value for argument, value in body.items() if argument != "for_each"}
    for key, entry in every.items():
        yield Resource(kind, f"{name}[{json.dumps(key)}]", of_each(each, key, entry))


def _entries(stack: Mapping[str, Any], for_each: object) -> Mapping[str, Any] | None:
    """Return what a `for_each` runs over; None where there is none, or where it is worked out by Terraform.

    Such a resource stays whole, with its `for_each`. A reader that needs it refuses that (`check_settled`).
    """
    match = _LOCAL.fullmatch(for_each) if isinstance(for_each, str) else None
    found = dict(entries(stack.get("locals"))).get(match[1]) if match else None
    if not isinstance(found, dict) or any("${" in key or "%{" in key for key in found):
        return None
    return found


def of_each(value: Any, key: str, entry: Any) -> Any:
    """Return what an instance of `for_each` has in place of what is written for all of them."""
    if isinstance(value, dict):
        return {name: of_each(item, key, entry) for name, item in value.items()}
    if isinstance(value, list):
        return [of_each(item, key, entry) for item in value]
    if not isinstance(value, str):
        return value
    if (match := _ENTRY_OF_EACH.fullmatch(value)) and isinstance(entry, dict):
        return entry.get(match[1])
    return value.replace("${each.key}", key).replace("[each.key]", f"[{json.dumps(key)}]")
