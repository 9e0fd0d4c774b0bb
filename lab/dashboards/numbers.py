"""Draw panels of numbers: one large one, or a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.dashboards.svg import BLACK, COLORS, GREY, LETTER, Box, beside, short, text, title, within
from lab.dashboards.units import shown

_LINK = "#2458a6"
_ROW = 19

Answer = Sequence[Mapping[str, Any]]
"""The series that the store returns."""


def number(panel: Mapping[str, Any], box: Box, answer: Answer) -> Iterator[str]:
    """Draw one number, on the colour of its limit."""
    defaults = panel["fieldConfig"]["defaults"]
    words, color, ground = defaults["noValue"], GREY, "#fff"
    if answer:
        value = float(answer[0]["value"][1])
        words = _words(defaults.get("mappings", []), value) or shown(
            value, defaults["unit"], defaults.get("decimals")
        )
        color = BLACK
        if panel["options"]["colorMode"] == "background":
            color, ground = "#fff", _color(defaults["thresholds"]["steps"], value)
    yield box.drawn(ground, "#d5d8dd")
    yield title(box, panel["title"], color)
    yield text(box.x + box.width / 2, box.y + 76, words, size=28, bold=True, color=color, anchor="middle")


def table(panel: Mapping[str, Any], box: Box, answer: Answer) -> Iterator[str]:
    """Draw a table: its columns as the panel orders and names them, as many rows as there is room for."""
    yield title(box, panel["title"])
    columns = columns_of(panel)
    cells = list(cells_of(panel, answer))
    if not cells:
        yield within(box, panel["fieldConfig"]["defaults"]["noValue"])
        return
    widest = [
        max(len(head), *(len(row[at][0]) for row in cells)) + 2 for at, head in enumerate(columns.values())
    ]
    scale = min((box.width - 16) / sum(widest), 2 * LETTER)
    starts = [box.x + 8 + scale * sum(widest[:at]) for at in range(len(widest))]
    for x, head in zip(starts, columns.values(), strict=True):
        yield text(x, box.y + 38, head, color=GREY, bold=True)
    fits = int((box.height - 48) // _ROW)
    for line, row in enumerate(cells[:fits]):
        for x, (words, color), most in zip(starts, row, widest, strict=True):
            yield text(x, box.y + 57 + _ROW * line, short(words, int(scale * most / LETTER)), color=color)
    if len(cells) > fits:
        yield beside(box, f"{len(cells) - fits} more below")


def columns_of(panel: Mapping[str, Any]) -> dict[str, str]:
    """Return a table's columns in their order: headings by label."""
    wanted, order = (one["options"] for one in panel["transformations"])
    return {name: order["renameByName"][name] for name in wanted["include"]["names"]}


def cells_of(panel: Mapping[str, Any], answer: Answer) -> Iterator[list[tuple[str, str]]]:
    """Return a table's rows in their order: each cell's text and colour."""
    columns = columns_of(panel)
    labels = {heading: label for label, heading in columns.items()}
    settings = {
        one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
        for one in panel["fieldConfig"]["overrides"]
    }
    rows = [{**one["metric"], "Value": float(one["value"][1])} for one in answer]
    for order in panel["options"].get("sortBy", []):
        label = labels[order["displayName"]]
        rows.sort(key=lambda row, label=label: row.get(label, ""), reverse=order["desc"])  # type: ignore[misc]
    for row in rows:
        yield [_cell(row.get(label, ""), settings[heading]) for label, heading in columns.items()]


def _cell(value: str | float, settings: Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(value, str):
        return _words(
            settings.get("mappings", []), value
        ) or value, _LINK if "links" in settings and value else BLACK
    steps = settings.get("thresholds", {"steps": []})["steps"]
    words = _words(settings.get("mappings", []), value) or shown(value, settings["unit"], None)
    return words, _color(steps, value) if steps else BLACK


def _color(steps: Sequence[Mapping[str, Any]], value: float) -> str:
    return COLORS[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]


def _words(mappings: Sequence[Mapping[str, Any]], value: str | float) -> str | None:
    """Return what is written instead of a number, if anything is."""
    known = value if isinstance(value, str) else f"{value:g}"
    return next((str(one["options"][known]["text"]) for one in mappings if known in one["options"]), None)
