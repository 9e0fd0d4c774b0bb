"""What a YAML text holds, and what it has to hold after an edit: the check of `ops/yaml_edit.py`."""

import json
from typing import Any

import yaml

from model.errors import YamlPath


def compose(text: str) -> Any:
    """Return the nodes of a text, which know where they stand."""
    return yaml.compose(text, Loader=yaml.SafeLoader)


def content(node: Any) -> Any:
    """Return what a node holds: a scalar as its type and its text, so that 1 and "1" differ."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: content(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [content(value) for value in node.value]
    return node and (node.tag, node.value)


def content_of(value: object) -> Any:
    """Return the same of a value that is to be written."""
    return content(compose(json.dumps(value)))


def put(held: Any, path: YamlPath, value: Any) -> Any:
    """Return what is held once a value stands at a path; an item behind the last one is added."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(held, list):
        here = int(first)
        inner = held[here] if here < len(held) else None
        return [*held[:here], put(inner, rest, value), *held[here + 1 :]]
    return {**(held or {}), first: put((held or {}).get(first), rest, value)}


def drop(held: Any, path: YamlPath) -> Any:
    """Return what is held without a key or an item."""
    first, rest = path[0], path[1:]
    if rest:
        return put(held, (first,), drop(held[first], rest))
    if isinstance(held, list):
        return [item for index, item in enumerate(held) if index != first]
    return {key: child for key, child in held.items() if key != first}
