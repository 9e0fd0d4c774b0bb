"""A stack as the rules read it, whichever shape it was written in.

A shape is one of three: Terraform JSON, as CDKTF writes it; HCL, as people write it; and a plan in JSON, as
`terraform show -json` writes it. A block with a `for_each` over a map that is written out becomes one resource for each
of its keys, with `each.key` and `each.value` filled in; in a plan, Terraform has done that.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from policies.values import Block, at_least_one, block, texts

REFERENCE = re.compile(r"(?<![\w.-])(data\.)?([a-z]\w*)\.([\w-]+)(?:\[([^\]]*)\])?")
_EXPRESSION = re.compile(r"(?<!\$)\$\{([^{}]*)\}")
_WHOLE_EACH = re.compile(r"\$\{each\.(key|value)((?:\.\w+)*)\}")
_EACH = re.compile(r"\beach\.(key|value)\b((?:\.\w+)*)")
_LOCAL = re.compile(r"\blocal\.([\w-]+)")
_WHOLE_LOCAL = re.compile(r"\$\{local\.([\w-]+)\}")


class Shape(StrEnum):
    """How a stack is written."""

    JSON = "Terraform JSON"
    HCL = "HCL"
    PLAN = "plan"


@dataclass(frozen=True)
class Resource:
    """One resource or data source; or a block whose `for_each` makes none or cannot be read.

    Attributes:
        type: such as digitalocean_droplet.
        name: its name in the configuration.
        body: its arguments.
        key: its key in a `for_each`, or None.
        is_data: whether it is a data source.
        is_empty: whether its `for_each` is an empty map: the block is there for its `lifecycle`.
        lines: the first and the last line in the file, if they are known.
        file: the name of the file, where a stack has more than one.
        module: the address of the module it is in, with a dot behind it.
    """

    type: str
    name: str
    body: Block
    key: str | None = None
    is_data: bool = False
    is_empty: bool = False
    lines: tuple[int, int] = (1, 1)
    file: str = ""
    module: str = ""

    @property
    def block_address(self) -> str:
        """The address of the block it comes from."""
        return f"{self.module}{'data.' if self.is_data else ''}{self.type}.{self.name}"

    @property
    def address(self) -> str:
        """Its own address."""
        return self.block_address if self.key is None else f'{self.block_address}["{self.key}"]'

    def __getitem__(self, name: str) -> Any:
        """Return an argument, None if it is absent."""
        return self.body.get(name)

    @property
    def lifecycle(self) -> Block:
        """The lifecycle block; {} if it is absent."""
        return block(self.body, "lifecycle")

    @property
    def is_absent(self) -> bool:
        """Whether there is certainly no instance."""
        return self.is_empty or str(self["count"]) == "0"

    def is_there_with(self, other: "Resource") -> bool:
        """Whether it exists wherever the other does: it always does, or the two are repeated over the same."""
        if self.is_absent:
            return False
        if self.key is not None or at_least_one(self["count"]):
            return True
        over = [self[name] for name in ("count", "for_each")]
        of_other = [other[name] for name in ("count", "for_each")]
        return over in ([None, None], of_other, [None, f"${{{other.block_address}}}"])

    def leaves_open(self, value: object) -> bool:
        """Whether a value is one of an instance, and there is no instance."""
        return self.is_empty and "each." in str(value)


@dataclass(frozen=True)
class Stack:
    """One Terraform state.

    Attributes:
        file: where it was read, as it is shown.
        shape: how it is written.
        group: stacks of one group are deployed to one account, and judged together by the rules across stacks.
        resources: managed resources and data sources, by address.
        locals: local values.
        outputs: blocks by name.
        variables: blocks by name.
        terraform: the block `terraform`.
        providers: the configurations of each provider.
        moves: `moved` blocks.
        content: all of it as it stands in a file of Terraform JSON; {} in another shape.
    """

    file: str
    shape: Shape = Shape.JSON
    group: str = ""
    resources: Mapping[str, Resource] = field(default_factory=dict)
    locals: Block = field(default_factory=dict)
    outputs: Mapping[str, Block] = field(default_factory=dict)
    variables: Mapping[str, Block] = field(default_factory=dict)
    terraform: Block = field(default_factory=dict)
    providers: Mapping[str, list[Block]] = field(default_factory=dict)
    moves: tuple[Block, ...] = ()
    content: Block = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The stack's name: its folder's."""
        return PurePosixPath(self.file).parent.name or self.file

    @cached_property
    def _by_type(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources.values():
            if not resource.is_data:
                found.setdefault(resource.type, []).append(resource)
        return found

    @cached_property
    def _by_block(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources.values():
            found.setdefault(resource.block_address, []).append(resource)
        return found

    @cached_property
    def _by_id(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources.values():
            names = {str(resource[name]) for name in ("id", "urn", "uuid") if resource[name]}
            for name in names:
                found.setdefault(name, []).append(resource)
        return found

    def of(self, *types: str) -> list[Resource]:
        """Return the managed resources of some types."""
        return [resource for kind in types for resource in self._by_type.get(kind, [])]

    def data(self, *types: str) -> list[Resource]:
        """Return the data sources of some types."""
        return [one for one in self.resources.values() if one.is_data and one.type in types]

    def follow(self, value: object) -> list[Resource]:
        """Return what a reference points at; the instances of a block where the key cannot be told.

        An id that Terraform knows already points at the resource with that id.
        """
        text = str(value)
        if "${" not in text:
            return self._by_id.get(text, [])
        found = []
        for data, kind, name, key in REFERENCE.findall(text):
            instances = self._by_block.get(f"{data}{kind}.{name}", [])
            exact = [one for one in instances if one.key is not None and f'"{one.key}"' == key]
            found += exact or instances
        return found

    def name_of(self, value: object) -> str:
        """Return the name behind a reference to something with a name; the value itself if it is none."""
        found = self.follow(value)
        return str(found[0]["name"]) if len(found) == 1 and "${" in str(value) else str(value)

    def resolved(self, value: Any) -> Any:
        """Return a local value for `${local.name}`, and else the value."""
        match = _WHOLE_LOCAL.fullmatch(value) if isinstance(value, str) else None
        return self.locals.get(match[1], value) if match else value

    def texts(self, value: object) -> Iterator[str]:
        """Yield each string in a value and in the locals that it refers to."""
        return self._texts(value, set())

    def _texts(self, value: object, seen: set[str]) -> Iterator[str]:
        for text in texts(value):
            yield text
            for name in set(_LOCAL.findall(text)) - seen:
                seen.add(name)
                yield from self._texts(self.locals.get(name), seen)


def make_stack(content: Block, file: str, shape: Shape = Shape.JSON, group: str = "") -> Stack:
    """Make a stack of the content of its files: Terraform's JSON syntax, or HCL brought into it."""
    bare = Stack(file, shape, group, locals=_merged(content.get("locals")))
    resources = [
        instance
        for section in ("resource", "data")
        for kind, named in _merged(content.get(section)).items()
        for name, body in named.items()
        for instance in _instances(bare, _resource(kind, name, body, is_data=section == "data"))
    ]
    return replace(
        bare,
        resources={resource.address: resource for resource in resources},
        outputs=_merged(content.get("output")),
        variables=_merged(content.get("variable")),
        terraform=_merged(content.get("terraform")),
        providers={
            name: _listed(body) for one in _listed(content.get("provider", {})) for name, body in one.items()
        },
        moves=tuple(_listed(content.get("moved", []))),
        content=content if shape is Shape.JSON else {},
    )


def _merged(value: Any) -> Block:
    """Return one object for an object, or for a list of objects as HCL and Terraform's JSON may have it."""
    merged: Block = {}
    for one in _listed(value or {}):
        for key, body in one.items():
            if key in LINE_MARKS:
                continue
            old = merged.get(key)
            merged[key] = old | body if isinstance(old, dict) and isinstance(body, dict) else body
    return {key: body for key, body in merged.items() if key not in LINE_MARKS}


LINE_MARKS = frozenset({"//", "__startline__", "__endline__", "__start_line__", "__end_line__", "__file__"})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _resource(kind: str, name: str, body: Block, *, is_data: bool) -> Resource:
    first, last = body.get("__start_line__", 1), body.get("__end_line__", 1)
    plain = {key: value for key, value in body.items() if key not in LINE_MARKS}
    return Resource(
        kind, name, plain, is_data=is_data, lines=(first, last), file=str(body.get("__file__", ""))
    )


def _instances(stack: Stack, resource: Resource) -> Iterable[Resource]:
    table = stack.resolved(resource["for_each"])
    if not isinstance(table, dict):
        return [resource]
    if not table:
        return [replace(resource, is_empty=True)]
    return [
        replace(resource, key=str(key), body=filled_in(resource.body, str(key), stack.resolved(value)))
        for key, value in table.items()
    ]


def filled_in(value: Any, key: str, of: Any) -> Any:
    """Return a value of a block with `each` replaced; what is not known stays an expression."""
    if isinstance(value, dict):
        return {
            name: filled_in(item, key, of) if name != "for_each" else item for name, item in value.items()
        }
    if isinstance(value, list):
        return [filled_in(item, key, of) for item in value]
    if not isinstance(value, str) or "each." not in value:
        return value
    whole = _WHOLE_EACH.fullmatch(value)
    if whole:
        return _each(whole, key, of, value)

    def quoted(match: re.Match[str]) -> str:
        found = _each(match, key, of, None)
        return f'"{found}"' if isinstance(found, str) else match[0]

    def in_expression(match: re.Match[str]) -> str:
        inner = _WHOLE_EACH.fullmatch(match[0])
        found = _each(inner, key, of, None) if inner else None
        return str(found) if isinstance(found, str | int) else "${" + _EACH.sub(quoted, match[1]) + "}"

    return _EXPRESSION.sub(in_expression, value)


def _each(match: re.Match[str], key: str, of: Any, otherwise: Any) -> Any:
    if match[1] == "key":
        return key if not match[2] else otherwise
    found = of
    for name in match[2].split(".")[1:]:
        if not isinstance(found, dict) or name not in found:
            return otherwise
        found = found[name]
    return found
