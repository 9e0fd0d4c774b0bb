"""Text of our own, and text from plans, files, databases and droplets, which may hold anything.

All Markdown of this repository that holds others' text is written with `safe`, `code`, `cell` or `block`.

`quote` marks foreign text when a sentence is made, and `to_markdown` writes it so that GitHub shows it literally: no
markup, no mention, no link. The marks are private-use characters, which are removed from foreign text.
"""

import re
import unicodedata
from collections.abc import Iterable

_BEGIN, _END = "\ue000", "\ue001"
_QUOTED = re.compile(f"{_BEGIN}([^{_END}]*){_END}")

# Letters of any script, digits, blanks and the punctuation of names. Anything else goes into a code span, where
# GitHub renders neither HTML nor links nor mentions (GitHub Flavored Markdown, section 6.3 "Code spans").
_PLAIN = re.compile(r"[\w' .,()-]+")
# What GitHub turns into a link or emphasis without markup: an address, an issue, a commit, an underscore.
_LINKED = re.compile(r"www\.|\bgh-\d|\b[0-9a-f]{7,40}\b|_|\.\w", re.IGNORECASE)
# What starts a list at the beginning of a line.
_STARTS_A_BLOCK = re.compile(r"[-(]|\d+[.)]")
MOST = 200
"""The longest foreign text that is shown, in characters."""


def quote(text: object) -> str:
    """Mark a foreign text, on one line and not too long."""
    return f"{_BEGIN}{one_line(str(text))}{_END}"


def to_plain(text: str) -> str:
    """Return a sentence for a terminal or a program."""
    return text.replace(_BEGIN, "").replace(_END, "")


def to_markdown(text: str) -> str:
    """Return a sentence for the middle of a Markdown line. What becomes what is told with an arrow of one character."""
    arrow = text.replace(f"{_END} -> {_BEGIN}", f"{_END} → {_BEGIN}")
    return _QUOTED.sub(lambda found: safe(found[1]), arrow)


def safe(text: str, most: int = MOST) -> str:
    """Return a foreign text unchanged if it is harmless in Markdown, or else as code."""
    text = one_line(text, most)
    harmless = _PLAIN.fullmatch(text) and not _LINKED.search(text) and not _STARTS_A_BLOCK.match(text)
    return text if harmless and text.strip() == text else code(text, most)


def code(text: str, most: int = MOST) -> str:
    """Return a code span whose content cannot end it."""
    text = one_line(text, most)
    if not text.strip():
        text = "(empty)"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def cell(text: str, most: int = MOST) -> str:
    """Return a code span for a cell of a table; nothing for nothing.

    A bar ends a cell in a code span too, unless a backslash is before it (GitHub Flavored Markdown, section 4.10).
    """
    return code(text, most).replace("|", "\\|") if text.strip() else ""


def block(lines: Iterable[str]) -> str:
    """Return lines as a code block that no line of them can end."""
    shown = [one_line(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(longest + 1, 3)
    return "\n".join([fence, *shown, fence, ""])


def one_line(text: str, most: int = MOST) -> str:
    """Return a text without line breaks, control, direction and private characters, and not too long."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    return visible if len(visible) <= most else f"{visible[: most - 3]}..."
