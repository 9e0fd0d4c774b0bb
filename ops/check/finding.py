"""What a check finds: green with its evidence, or yellow and red with what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from model.contract import line


class Colour(IntEnum):
    """How it is; the larger one is the worse one."""

    GREEN = 0
    """It was seen to be right."""
    YELLOW = 1
    """It was not seen, or it needs attention soon."""
    RED = 2
    """It was seen to be wrong."""

    @property
    def word(self) -> str:
        """As it is written."""
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        colour: how it is.
        text: what was seen.
        todo: what to do; empty where it is green.
    """

    colour: Colour
    text: str
    todo: str = ""


class NotSeenError(Exception):
    """What a check needs to see is not to be had: a key, an answer, a state.

    Attributes:
        text: what is missing.
        todo: what to do.
    """

    def __init__(self, text: str, todo: str) -> None:
        super().__init__(text)
        self.text, self.todo = text, todo

    @property
    def finding(self) -> Finding:
        """As a line of the result."""
        return not_seen(self.text, self.todo)


def good(text: str) -> Finding:
    """Return evidence."""
    return Finding(Colour.GREEN, _plain(text))


def soon(text: str, todo: str) -> Finding:
    """Return what needs attention, and breaks nothing yet."""
    return Finding(Colour.YELLOW, _plain(text), todo)


def not_seen(text: str, todo: str) -> Finding:
    """Return what could not be looked at."""
    return Finding(Colour.YELLOW, _plain(f"not seen: {text}"), todo)


def bad(text: str, todo: str) -> Finding:
    """Return what is wrong."""
    return Finding(Colour.RED, _plain(text), todo)


def worst(findings: Iterable[Finding]) -> Colour:
    """Return the worst colour; yellow where there is nothing, which proves nothing."""
    return max((one.colour for one in findings), default=Colour.YELLOW)


def few(names: Iterable[str], most: int = 5) -> str:
    """Join names, of many only the first."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _plain(text: str) -> str:
    """Return what others may have written as one line: it reaches terminals and logs."""
    return line(" ".join(text.split()))
