"""What the command prints: tables, JSON, warnings; colours on a terminal only, and none with NO_COLOR."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.style import Style
from rich.text import Text

from ops.edits import Edited


def say(line: str = "", *, style: str = "") -> None:
    """Print a line, never wrapped: what follows in a pipe reads lines."""
    _print(_console(), line, style)


def warn(line: str) -> None:
    """Print a warning to stderr."""
    _print(_console(stderr=True), f"warning: {line}", "yellow")


def note(line: str) -> None:
    """Print a line about what happens to stderr; stdout is for what was asked for."""
    _print(_console(stderr=True), line, "dim")


def fail(text: str) -> None:
    """Print what ends the command to stderr."""
    _print(_console(stderr=True), text, "red")


def clear() -> None:
    """Empty the terminal."""
    _console().clear()


def as_json(value: object) -> None:
    """Print a value for programs."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def edited(edit: Edited) -> None:
    """Print what an edit came to: the files, what was done, and what follows."""
    for file in edit.files:
        say(f"wrote {file}", style="dim")
    first, *rest = edit.said
    say(first, style="bold")
    for line in rest:
        say(line)


def table(
    heading: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: frozenset[int] = frozenset()
) -> None:
    """Print rows below a heading, in columns as wide as they need.

    Args:
        heading: a name for each column.
        rows: what they hold; None is a hyphen.
        numbers: the columns that are aligned to the right.
    """
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [heading, *cells]) for column in range(len(heading))]
    for index, row in enumerate([heading, *cells]):
        aligned = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(aligned).rstrip(), style="" if index else "bold")


def _console(*, stderr: bool = False) -> Console:
    """Return a console that writes no escape at all with NO_COLOR; rich itself would still write bold."""
    system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(stderr=stderr, highlight=False, color_system=system)


def _print(console: Console, line: str, style: str) -> None:
    console.print(Text(line, style=Style.parse(style)), soft_wrap=True)
