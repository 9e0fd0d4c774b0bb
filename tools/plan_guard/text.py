"""Text that GitHub renders as it stands: no markup, no mention, no link, whatever a name holds."""

import re
import unicodedata

# Letters of any script, digits, blanks and what names have between them. Anything else goes into a code span, where
# GitHub renders neither HTML nor links nor mentions (GitHub Flavored Markdown, section 6.3 "Code spans").
_PLAIN = re.compile(r"[\w' .,()-]*", re.UNICODE)
# What GitHub makes a link of without any markup: an address, an issue, a commit.
_LINKED = re.compile(r"www\.|https?:|\bgh-\d|\b[0-9a-f]{7,40}\b|_|\.\w", re.IGNORECASE)
_STARTS_A_BLOCK = re.compile(r"\s*([-(]|\d+[.)])")
MOST = 120
"""Characters of a name that are shown."""


def safe(text: str) -> str:
    """Return a text for the middle of a Markdown line: as it is if it is harmless, else as code."""
    text = one_line(text)
    if (
        _PLAIN.fullmatch(text)
        and not _LINKED.search(text)
        and not _STARTS_A_BLOCK.match(text)
        and text.strip() == text
    ):
        return text or code("")
    return code(text)


def code(text: str) -> str:
    """Return a code span that its content cannot end."""
    text = one_line(text)
    if not text.strip():
        text = "(empty)"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def one_line(text: str) -> str:
    """Return a text without line breaks, control and direction characters, and not too long."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    return visible if len(visible) <= MOST else f"{visible[: MOST - 3]}..."
