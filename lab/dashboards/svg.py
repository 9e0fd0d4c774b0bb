"""Pieces of a picture, as SVG."""

import html
from dataclasses import dataclass
from typing import Final

LETTER: Final = 6.9
"""How wide a letter of 11 px is at most, on average."""
GREY: Final = "#667"
BLACK: Final = "#222"
COLORS: Final = {"green": "#3f9e55", "yellow": "#e5a300", "red": "#d03b3b"}
"""By the colours of limits."""


@dataclass(frozen=True)
class Box:
    """Where something is, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.height

    def drawn(self, fill: str, stroke: str = "none") -> str:
        """Return it as a rectangle."""
        place = f'x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}"'
        return f'<rect {place} rx="3" fill="{fill}" stroke="{stroke}"/>'


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 11,
    color: str = BLACK,
    bold: bool = False,
    anchor: str = "start",
) -> str:
    """Return a line of text; ``anchor`` is the part of it that stands at ``x``: start, middle or end."""
    more = ' font-weight="bold"' if bold else ""
    more += f' text-anchor="{anchor}"' if anchor != "start" else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}"{more}>{html.escape(words)}</text>'
    )


def title(box: Box, words: str, color: str = BLACK) -> str:
    """Return the title of a panel."""
    return text(box.x + 8, box.y + 17, words, size=12, bold=True, color=color)


def beside(box: Box, words: str) -> str:
    """Return a remark at the right of a panel's title."""
    return text(box.right - 8, box.y + 17, words, color=GREY, anchor="end")


def within(box: Box, words: str) -> str:
    """Return a line in the middle of a panel."""
    return text(box.x + box.width / 2, box.y + box.height / 2, words, color=GREY, anchor="middle")


def short(words: str, most: int) -> str:
    """Cut what does not fit."""
    return words if len(words) <= most else f"{words[: max(1, most - 1)]}…"
