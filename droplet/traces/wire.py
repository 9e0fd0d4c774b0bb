"""Read and write protobuf as it is on the wire, by rules that say which fields are kept.

There is no library of OpenTelemetry's or of protobuf in Debian 13's Python without further packages, and only this is
needed: take fields away. What no rule names is not kept, so that a new version of the protocol brings nothing new along
(protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10
_CONTINUES = 0x80


class MalformedError(ValueError):
    """What was sent is no message."""


@dataclass
class Budget:
    """How many fields of a message may still be read: 4 MiB of empty ones cost seconds and hundreds of MiB."""

    left: int

    def spend(self) -> None:
        """Count one.

        Raises:
            MalformedError: there are too many.
        """
        self.left -= 1
        if self.left < 0:
            raise MalformedError("too many fields")


Change = Callable[[bytes, Budget], bytes | None]
"""From the content of a field to what is kept of it; None: nothing."""


@dataclass(frozen=True)
class Rule:
    """What is kept of a field.

    Attributes:
        kind: how it has to be written.
        change: of its content, where it has a length; None keeps a number as it is.
    """

    kind: int
    change: Change | None = None


Rules = Mapping[int, Rule]
"""By the number of a field."""


@dataclass(frozen=True)
class Field:
    """A field of a message: its number, how it is written, its content, and, of a number, all of it as it was."""

    number: int
    kind: int
    content: bytes
    whole: bytes


def fields(message: bytes, budget: Budget) -> Iterator[Field]:
    """Yield a message's fields.

    Raises:
        MalformedError: it is none, or has too many.
    """
    at = 0
    while at < len(message):
        budget.spend()
        began = at
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        start = at
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind == BYTES:
            length, start = _varint(message, at)
            at = start + length
        else:
            raise MalformedError(f"a field of kind {kind}")
        if at > len(message):
            raise MalformedError("the message breaks off")
        yield Field(number, kind, message[start:at], b"" if kind == BYTES else message[began:at])


def kept(message: bytes, rules: Rules, budget: Budget) -> bytes:
    """Return what the rules keep of a message.

    Raises:
        MalformedError: it is none, or has too many fields.
    """
    parts = []
    for field in fields(message, budget):
        rule = rules.get(field.number)
        if rule is None or rule.kind != field.kind:
            continue
        if rule.change is None:
            parts.append(field.whole)
        elif (content := rule.change(field.content, budget)) is not None:
            parts.append(with_length(field.number, content))
    return b"".join(parts)


def message(rules: Rules) -> Rule:
    """Return the rule of a field that is a message of its own. One of which nothing is kept goes as a whole."""
    return Rule(BYTES, lambda content, budget: kept(content, rules, budget) or None)


def with_length(number: int, content: bytes) -> bytes:
    """Write a field that has a length: text, bytes, or a message."""
    return _written(number << 3 | BYTES) + _written(len(content)) + content


def _varint(text: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position in range(_LONGEST_VARINT):
        if at >= len(text):
            raise MalformedError("the message breaks off")
        byte = text[at]
        at += 1
        value |= (byte & ~_CONTINUES) << 7 * position
        if byte < _CONTINUES:
            return value, at
    raise MalformedError("a number that is too long")


def _written(value: int) -> bytes:
    parts = bytearray()
    while value >= _CONTINUES:
        parts.append(value & ~_CONTINUES & 0xFF | _CONTINUES)
        value >>= 7
    return bytes([*parts, value])
