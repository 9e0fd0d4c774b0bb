"""Edit YAML as text: one value changes, and every comment, quote and blank line around it stays.

PyYAML says where a value stands; the edit itself replaces text. A library that writes the whole document again moves
comments and changes quotes. Every edit is checked: its result is parsed again and has to differ from what was there by
the edit and nothing else. An edit that cannot be made this way is refused and left to a person.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import yaml

from model.errors import YamlPath, format_path
from ops.yaml_content import compose, content, content_of, drop, put

Value: TypeAlias = Any
"""What an edit writes: str, int, a list of these, or a mapping of keys to any of these."""

# Text that every YAML reader takes for a string without quotes, also in [] and {}: words, an id, a range of addresses.
_PLAIN = re.compile(
    r"(?:[A-Za-z][\w./@+-]*(?:[ '&][\w./@+()-]+)*|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|[0-9]+(?:\.[0-9]+){3}/[0-9]+)\Z"
)


class CannotEditError(Exception):
    """The text is written in a way that cannot be edited without changing more than one value.

    Attributes:
        path: the value that was to be edited.
        line: where it stands, counted from 1.
    """

    def __init__(self, path: YamlPath, line: int, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.line = line
        self.reason = reason


def set_value(text: str, path: YamlPath, value: Value) -> str:
    """Return the text with a value set; missing keys on the way to it are added.

    Raises:
        CannotEditError: the value is written in a way that cannot be replaced alone.
    """
    node, rest = _nearest(compose(text), path)
    if not rest:
        after = _replaced(text, path, value)
    else:
        # What is missing is written at once: {"limits": {"connections": 5}}.
        for part in reversed(rest[1:]):
            value = {part: value}
        after = _with_key(text, node, path, str(rest[0]), value)
        path = path[: len(path) - len(rest) + 1]
    return _checked(text, after, path, lambda held: put(held, path, content_of(value)))


def remove(text: str, path: YamlPath) -> str:
    """Return the text without a key or an item; a mapping that would be left empty goes with its key.

    Comments inside what is removed go with it. Comments above it stay.

    Raises:
        CannotEditError: it cannot be removed alone.
    """
    root = compose(text)
    parent, _ = _nearest(root, path[:-1])
    while len(path) > 1 and isinstance(path[-2], str) and len(parent.value) == 1 and _is_mapping(parent):
        path = path[:-1]
        parent, _ = _nearest(root, path[:-1])
    if isinstance(parent, yaml.SequenceNode):
        after = _without_item(text, parent, path)
    else:
        after = _without_key(text, parent, path)
    return _checked(text, after, path, lambda held: drop(held, path))


def unset(text: str, path: YamlPath, default: Value) -> str:
    """Return the text with a key that says the same as none: without it, or with its default before a comment.

    Raises:
        CannotEditError: neither can be done alone.
    """
    node, _ = _nearest(compose(text), path)
    behind = text[_end(text, node) :].partition("\n")[0]
    return set_value(text, path, default) if behind.lstrip().startswith("#") else remove(text, path)


def append(text: str, path: YamlPath, value: Value) -> str:
    """Return the text with one more item at the end of a list that exists.

    Raises:
        CannotEditError: the list is written in a way that takes no further item.
    """
    sequence, _ = _nearest(compose(text), path)
    if sequence.flow_style:
        after = _appended_to_flow(text, sequence, path, value)
    else:
        column = sequence.start_mark.column
        item = "".join(f"{' ' * column}{line}\n" for line in _item_lines(value))
        before, behind = _split_after_line(text, _end(text, sequence))
        after = f"{before}{item}{behind}"

    def change(held: Any) -> Any:
        return put(held, (*path, len(sequence.value)), content_of(value))

    return _checked(text, after, path, change)


def line_of(text: str, path: YamlPath) -> int:
    """Return the line of a value, or of the nearest thing above it that exists, counted from 1."""
    node, _ = _nearest(compose(text), path)
    line: int = node.start_mark.line
    return line + 1


def written(value: Value, *, quote: str = "") -> str:
    """Write a value on one line, with the quotes that a reader needs, or those of `quote`."""
    if isinstance(value, str):
        if quote == "'":
            return "'" + value.replace("'", "''") + "'"
        if quote == '"' or not _is_plain(value):
            return json.dumps(value, ensure_ascii=False)
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(child)}" for key, child in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def _is_mapping(node: Any) -> bool:
    return isinstance(node, yaml.MappingNode)


def _is_plain(value: str) -> bool:
    return bool(_PLAIN.match(value)) and yaml.safe_load(value) == value


def _nearest(root: Any, path: YamlPath) -> tuple[Any, YamlPath]:
    """Return the node at a path, or the last one above it that exists, and what of the path is missing."""
    node = root
    for depth, part in enumerate(path):
        if isinstance(node, yaml.MappingNode):
            child = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
        else:
            child = None
        if child is None:
            return node, path[depth:]
        node = child
    return node, ()


def _replaced(text: str, path: YamlPath, value: Value) -> str:
    node, _ = _nearest(compose(text), path)
    start, end = node.start_mark.index, _end(text, node)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        _refuse_comments(text, start, end, path, node)
        # A block begins on a line of its own; its successor stands behind the key.
        start = len(text[:start].rstrip())
        return f"{text[:start]} {written(value)}{text[end:]}"
    # The end of a text in block style is that of its last line, and the line's end is no part of it.
    end = start + len(text[start:end].rstrip())
    quote = node.style if isinstance(node, yaml.ScalarNode) and node.style in {'"', "'"} else ""
    blank = " " if start == end else ""
    return f"{text[:start]}{blank}{written(value, quote=quote)}{text[end:]}"


def _with_key(text: str, mapping: Any, path: YamlPath, key: str, value: Value) -> str:
    """Add a key at the end of a mapping, on a line of its own unless the mapping is written on one."""
    if not isinstance(mapping, yaml.MappingNode):
        raise CannotEditError(path, mapping.start_mark.line + 1, "what stands here is no mapping")
    entry = f"{key}: {written(value)}"
    if not mapping.value:
        return f"{text[: mapping.start_mark.index]}{{{entry}}}{text[mapping.end_mark.index :]}"
    end = _end(text, mapping.value[-1][1])
    if mapping.flow_style:
        return f"{text[:end]}, {entry}{text[end:]}"
    before, behind = _split_after_line(text, end)
    return f"{before}{' ' * mapping.value[0][0].start_mark.column}{entry}\n{behind}"


def _without_key(text: str, mapping: Any, path: YamlPath) -> str:
    index = next(index for index, (key, _) in enumerate(mapping.value) if key.value == path[-1])
    if mapping.flow_style:
        return _cut_from_flow(text, mapping, index, path)
    key, value = mapping.value[index]
    start, end = key.start_mark.index, _end(text, value)
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():
        # The first key of a list's item stands behind the item's dash, where the next key takes its place.
        if index + 1 == len(mapping.value):
            raise CannotEditError(path, key.start_mark.line + 1, "nothing would be left of the entry")
        following = mapping.value[index + 1][0].start_mark.index
        _refuse_comments(text, end, following, path, key)
        return text[:start] + text[following:]
    return text[:line] + _split_after_line(text, end)[1]


def _without_item(text: str, sequence: Any, path: YamlPath) -> str:
    index = int(path[-1])
    if sequence.flow_style:
        return _cut_from_flow(text, sequence, index, path)
    node = sequence.value[index]
    line = text.rfind("\n", 0, node.start_mark.index) + 1
    rest = _split_after_line(text, _end(text, node))[1]
    if len(sequence.value) > 1:
        return text[:line] + rest
    # Comments between the key and its only item stay where they are.
    return _with_empty_list(text[:line], len(_without_comment_lines(text[:line]).rstrip())) + rest


def _with_empty_list(text: str, behind: int) -> str:
    """Write `[]` behind the key that the last line with content holds."""
    line = text.rfind("\n", 0, behind) + 1
    colon = _key_end(text[line:behind])
    return f"{text[: line + colon]} []{text[line + colon :]}"


def _key_end(line: str) -> int:
    found = re.match(r"\s*(?:- )*[\w-]+:(?=\s|$)", line)
    return found.end() if found else len(line)


def _without_comment_lines(text: str) -> str:
    lines = text.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return "".join(lines)


def _cut_from_flow(text: str, collection: Any, index: int, path: YamlPath) -> str:
    """Cut an entry out of [] or {} together with one comma."""
    entries = [entry if isinstance(entry, tuple) else (entry, entry) for entry in collection.value]
    first, last = entries[index]
    start, end = first.start_mark.index, _end(text, last)
    if index + 1 < len(entries):
        end = entries[index + 1][0].start_mark.index
    elif index:
        start = _end(text, entries[index - 1][1])
    _refuse_comments(text, start, end, path, first)
    return text[:start] + text[end:]


def _appended_to_flow(text: str, sequence: Any, path: YamlPath, value: Value) -> str:
    if sequence.value:
        end = _end(text, sequence.value[-1])
        return f"{text[:end]}, {written(value)}{text[end:]}"
    start, end = sequence.start_mark.index, sequence.end_mark.index
    line = text.rfind("\n", 0, start) + 1
    if not isinstance(value, Mapping) or "{" in text[line:start]:
        return f"{text[:start]}[{written(value)}]{text[end:]}"
    _refuse_comments(text, start, end, path, sequence)
    indent = " " * (len(text[line:start]) - len(text[line:start].lstrip()) + 2)
    before, behind = _split_after_line(text[:start].rstrip() + text[end:], len(text[:start].rstrip()))
    return before + "".join(f"{indent}{row}\n" for row in _item_lines(value)) + behind


def _item_lines(value: Value) -> list[str]:
    """Write an item of a block list: a mapping with one key a line, anything else on one."""
    if not isinstance(value, Mapping):
        return [f"- {written(value)}"]
    keys = [f"{key}: {written(child)}" for key, child in value.items()]
    return [f"{'- ' if not index else '  '}{line}" for index, line in enumerate(keys)]


def _split_after_line(text: str, end: int) -> tuple[str, str]:
    """Split behind the line in which a value ends, so that a comment behind the value stays with it."""
    end = text.find("\n", end) + 1 or len(text)
    before = text[:end]
    return before if before.endswith("\n") or not before else f"{before}\n", text[end:]


def _end(text: str, node: Any) -> int:
    """Return where a value ends; of a block, where its last line does, not where the next token begins."""
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        return len(text[: node.end_mark.index].rstrip())
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(text, last[1] if isinstance(last, tuple) else last)


def _refuse_comments(text: str, start: int, end: int, path: YamlPath, node: Any) -> None:
    marks = [start + index for index, character in enumerate(text[start:end]) if character == "#"]
    if not marks:
        return
    # Within a text it begins no comment.
    scalars = [token for token in yaml.scan(text) if isinstance(token, yaml.ScalarToken)]
    if any(not any(one.start_mark.index <= mark < one.end_mark.index for one in scalars) for mark in marks):
        raise CannotEditError(
            path, node.start_mark.line + 1, "a comment stands inside what would be replaced"
        )


def _checked(before: str, after: str, path: YamlPath, change: Callable[[Any], Any]) -> str:
    """Return the edited text if it holds what was there with the change, and nothing else."""
    line = line_of(before, path)
    try:
        found = content(compose(after))
    except yaml.YAMLError as error:
        raise CannotEditError(path, line, "the edit would not leave valid YAML") from error
    if found != change(content(compose(before))):
        raise CannotEditError(path, line, f"more than {format_path(path)} would change")
    return after
