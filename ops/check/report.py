"""The result in words: lines for people, JSON for programs, a table for a run's page."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from ops.check.finding import Colour, few
from ops.check.run import Line
from ops.guard.text import cell

_SIGNS = {
    Colour.GREEN: "\N{LARGE GREEN CIRCLE}",
    Colour.YELLOW: "\N{LARGE YELLOW CIRCLE}",
    Colour.RED: "\N{LARGE RED CIRCLE}",
}
_LONGEST = 1000
"""Characters of a cell."""
_EVIDENCE = 3
"""Pieces of evidence in a green line; `--json` has all."""


def text(lines: Sequence[Line]) -> Iterator[tuple[Colour, str]]:
    """Yield the lines with their colours; what is not green has a line for each thing that is wrong."""
    width = max((len(line.check.name) for line in lines), default=0)
    for line in lines:
        name = line.check.name.ljust(width)
        if line.colour is Colour.GREEN:
            yield Colour.GREEN, f"{'green':6}  {name}  {few((one.text for one in line.told), _EVIDENCE)}"
            continue
        for one in line.told:
            yield one.colour, f"{one.colour.word:6}  {name}  {one.text}. {one.todo}"


def summary(environment: str, lines: Sequence[Line]) -> str:
    """Count the colours."""
    counts = {colour: sum(1 for line in lines if line.colour is colour) for colour in Colour}
    return f"{environment}: " + ", ".join(f"{count} {colour.word}" for colour, count in counts.items())


def as_json(environment: str, at: datetime, lines: Sequence[Line]) -> dict[str, Any]:
    """Return the same for programs, with all of the evidence."""
    return {
        "environment": environment,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "colour": max((line.colour for line in lines), default=Colour.GREEN).word,
        "lines": [
            {
                "name": line.check.name,
                "title": line.check.title,
                "colour": line.colour.word,
                "findings": [
                    {"colour": one.colour.word, "text": one.text, "todo": one.todo} for one in line.findings
                ],
            }
            for line in lines
        ],
    }


def markdown(environment: str, lines: Sequence[Line]) -> str:
    """Return a table for the page of a run; words are others', so they stand as code."""
    rows = [f"## {summary(environment, lines)}", "", "| | Line | Seen | To do |", "|---|---|---|---|"]
    for line in lines:
        for one in line.told if line.colour is not Colour.GREEN else line.told[:1]:
            seen, todo = cell(one.text, _LONGEST), cell(one.todo, _LONGEST)
            rows.append(f"| {_SIGNS[one.colour]} | {line.check.title} | {seen} | {todo} |")
    return "\n".join(rows) + "\n"
