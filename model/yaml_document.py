"""Read YAML fast, strictly, and with line numbers for error messages.

Plain scalars follow YAML 1.2's core schema, not PyYAML's 1.1, where ``no`` is false, ``14:00`` is 840 and
``010`` is 8. Duplicate keys, anchors, aliases and tags are problems, not features: each of them makes a reviewed
line mean something that is written elsewhere.

The text is read as libyaml's events rather than through a PyYAML constructor: at 10,000 tenants that is 0.2 s
instead of 0.8 s. Line numbers are looked up in a second pass, only when there is something to report.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from model.errors import (
    SECRETS,
    Finding,
    Findings,
    InvalidInputError,
    Problem,
    YamlPath,
    format_path,
    relative_name,
    shown,
)
from model.operator_files import read_text
from model.secret_values import HIDDEN
from model.yaml_faults import comment_fault, syntax_fault, text_fault

# libyaml where PyYAML was built with it (every wheel is), the pure parser elsewhere.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Value: TypeAlias = Any
"""What a document holds: dict, tuple, str, int, float, bool or None."""

# No file of ours is nested deeper than 6; without a limit, brackets alone exhaust Python's stack further on.
_DEEPEST = 20


class LeadingZero:
    """A number that begins with 0: 10 to this program and 8 to every reader of YAML 1.1, so it is neither.

    It is shown, and quoted, as it was written: ``010``.
    """

    def __init__(self, written: str) -> None:
        self.written = written

    def __repr__(self) -> str:
        return self.written


class _WrittenInt(int):
    """A number whose text is not what Python would print: ``+7`` is shown, and quoted, as ``+7``."""

    written: str

    def __repr__(self) -> str:
        return self.written


class _WrittenFloat(float):
    """A number whose text is not what Python would print: ``1.10`` is shown, and quoted, as ``1.10``."""

    written: str

    def __repr__(self) -> str:
        return self.written


def _number(plain: type[int] | type[float], as_written: type[_WrittenInt] | type[_WrittenFloat]) -> Any:
    def convert(text: str) -> int | float:
        value = plain(text)
        if repr(value) == text:
            return value
        odd = as_written(text)
        odd.written = text
        return odd

    return convert


# YAML 1.2.2, section 10.3.2, "Tag Resolution". More digits than Python converts (4300) are left to float.
_CORE_SCHEMA: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"(?:null|Null|NULL|~|)\Z"), lambda _: None),
    (re.compile(r"(?:true|True|TRUE)\Z"), lambda _: True),
    (re.compile(r"(?:false|False|FALSE)\Z"), lambda _: False),
    (re.compile(r"[-+]?0[0-9]{1,299}\Z"), LeadingZero),
    (re.compile(r"[-+]?[0-9]{1,300}\Z"), _number(int, _WrittenInt)),
    (
        re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"),
        _number(float, _WrittenFloat),
    ),
)
# Only text that starts like one of the above can be anything but a string.
_MAY_NOT_BE_TEXT = re.compile(r"[-+.0-9~nNtTfF]|\Z")


@dataclass(frozen=True)
class YamlDocument:
    """One parsed file.

    Attributes:
        file: the file's name, for messages.
        text: what the file holds.
        value: its content; sequences are tuples.
        refused: what is wrong with it although its content could be made out.
    """

    file: str
    text: str
    value: Value
    refused: tuple[Problem, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "YamlDocument":
        """Parse a file.

        Raises:
            InvalidInputError: it cannot be read, is no UTF-8 or no YAML, or its content cannot be made out.
        """
        return cls.parse(
            relative_name(path), read_text(path, missing="Create it; README.md shows its shape.")
        )

    @classmethod
    def parse(cls, file: str, text: str) -> "YamlDocument":
        """Parse a text.

        Args:
            file: what problems call it.
            text: its content.

        Raises:
            InvalidInputError: it is no YAML, or its content cannot be made out.
        """
        builder = _parse(file, text)
        return cls(file, text, builder.root[0] if builder.root else None, tuple(builder.problems))

    def problem(self, finding: Finding) -> Problem:
        """Turn a finding into a problem with its file and line."""
        line = self._line_of(finding.path, at_key=finding.at_key)
        return Problem(self.file, line, format_path(finding.path), finding.message, finding.remedy)

    def problems(self, findings: Findings) -> list[Problem]:
        """Turn findings into problems with their file and line."""
        return [self.problem(finding) for finding in findings]

    def _line_of(self, path: YamlPath, *, at_key: bool) -> int:
        """Return the line of the value at a path, or of the nearest thing above it that exists."""
        node = self._root
        line: int = node.start_mark.line + 1 if node else 1
        for depth, part in enumerate(path):
            child = None
            key_line = 0
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        key_line, child = key.start_mark.line + 1, value
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                child = node.value[part]
            if child is None:
                return line
            last = depth == len(path) - 1
            # A block's own mark is its first line of content; its key says more.
            use_key = key_line and ((last and at_key) or not isinstance(child, yaml.ScalarNode))
            line = key_line if use_key else child.start_mark.line + 1
            node = child
        return line

    @property
    def _root(self) -> Any:
        # Kept beside the frozen fields: composing a large file for every problem would be quadratic.
        if "_composed" not in self.__dict__:
            object.__setattr__(self, "_composed", yaml.compose(self.text, Loader=_LOADER))
        return self.__dict__["_composed"]


def _parse(file: str, text: str) -> "_Builder":
    """Build the value of a document from libyaml's events."""
    builder = _Builder(file)
    if fault := text_fault(text):
        builder.refuse(*fault)
        raise InvalidInputError(builder.problems)
    if fault := comment_fault(text):
        builder.refuse(*fault)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.feed(event)
    except _TooDeepError as error:
        builder.refuse(error.line, "this is nested too deeply", f"Nest at most {_DEEPEST - 1} levels.")
        builder.lost = True
    except yaml.MarkedYAMLError as error:
        builder.refuse(*syntax_fault(text, error, _LOADER))
        builder.lost = True
    if builder.lost:
        raise InvalidInputError(builder.problems)
    return builder


class _TooDeepError(Exception):
    """Nothing of ours is nested so deeply; the rest, which may be megabytes of brackets, is not read."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _Builder:
    """A stack machine: containers that are open, and for each mapping the key that waits for its value."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.lost = False
        """Whether something is missing or guessed in the value, so that nothing more can be said of it."""
        self.root: list[Value] = []
        self._open: list[list[Value] | dict[str, Value]] = [self.root]
        self._keys: list[str | None] = [None]

    def refuse(self, line: int, message: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, line, "", message, remedy))

    def feed(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_anchor_or_tag(event)
            self._place(_scalar(event.value, plain=event.implicit[0]), event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._refuse_anchor_or_tag(event)
            if len(self._open) == _DEEPEST:
                raise _TooDeepError(_line(event))
            self._open.append({} if isinstance(event, yaml.MappingStartEvent) else [])
            self._keys.append(None)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._keys.pop()
            closed = self._open.pop()
            self._place(tuple(closed) if isinstance(closed, list) else closed, event)
        elif isinstance(event, yaml.AliasEvent):
            told = HIDDEN if SECRETS in self._keys else f"*{event.anchor}"
            self.refuse(_line(event), f"alias {told} is not allowed", "Write the value out.")
            self._place("", event)
            self.lost = True
        elif isinstance(event, yaml.DocumentStartEvent) and self.root:
            self.refuse(_line(event), "a second document starts here", "Write one document per file.")
            self.lost = True

    def _refuse_anchor_or_tag(self, event: Any) -> None:
        if event.anchor or event.tag:
            self.refuse(_line(event), "anchors and tags are not allowed", "Write the value out.")

    def _place(self, value: Value, event: Any) -> None:
        container = self._open[-1]
        if isinstance(container, list):
            container.append(value)
            return
        key = self._keys[-1]
        if key is not None:
            container[key] = value
            self._keys[-1] = None
            return
        if isinstance(value, (dict, tuple)):
            # Not repeated in the message: it may be nested deeper than can be shown.
            remedy = "If this is text that begins with { or [, put all of it in quotes."
            self.refuse(_line(event), "a key cannot be a mapping or a list", remedy)
            value = f"line {_line(event)}"
            self.lost = True
        elif not isinstance(value, str):
            self.refuse(_line(event), f"the key {self._told(value)} is not text", "Write the key in quotes.")
            self.lost = True
        key = str(value)
        if key in container:
            message = f"the key {self._told(key)} is listed twice"
            self.refuse(_line(event), message, "Remove one of the two.")
        self._keys[-1] = key

    def _told(self, value: object) -> str:
        """Return a value for a message; nothing below `secrets` is shown."""
        return HIDDEN if SECRETS in self._keys else shown(value)


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _scalar(text: str, *, plain: bool) -> Value:
    if plain and _MAY_NOT_BE_TEXT.match(text):
        for pattern, convert in _CORE_SCHEMA:
            if pattern.match(text):
                return convert(text)
    return text
