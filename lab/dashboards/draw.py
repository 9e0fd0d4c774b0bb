"""Draw a dashboard as SVG: its panels where Grafana puts them, with what their queries return.

It is no Grafana: it shows what the panels ask for, with their units, limits and legends. So a panel is seen
that is empty, has a wrong unit or a legend that nobody can read.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.dashboards.curves import curves
from lab.dashboards.numbers import number, table
from lab.dashboards.store import Chosen, Store, filled
from lab.dashboards.svg import GREY, Box, text

_CELL_X, _CELL_Y, _GAP, _HEAD = 50, 30, 4, 52
_WIDTH = 24 * _CELL_X
_FONTS = "text{font-family:Helvetica,Arial,'DejaVu Sans',sans-serif}"


def svg(dashboard: Mapping[str, Any], store: Store, chosen: Chosen) -> str:
    """Return a picture of a dashboard.

    Args:
        dashboard: its JSON.
        store: what answers.
        chosen: by variable, text and value.
    """
    rows = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in dashboard["panels"])
    height = _HEAD + _CELL_Y * rows + 8
    marks = _marks(dashboard, store, chosen)
    known = [f"{one['label']}: {chosen[one['name']][0]}." for one in dashboard["templating"]["list"]]
    body = [
        text(12, 24, dashboard["title"], size=18, bold=True),
        text(12, 42, " ".join([*known, dashboard["description"]]), color=GREY),
    ]
    for panel in dashboard["panels"]:
        body += _panel(panel, store, chosen, marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">'
        f"<style>{_FONTS}</style>{Box(0, 0, _WIDTH, height).drawn('#f3f4f6')}{''.join(body)}</svg>\n"
    )


def lines_of(panel: Mapping[str, Any], store: Store, chosen: Chosen) -> list[tuple[str, dict[float, float]]]:
    """Return a panel's lines: their names, and values by time."""
    found = []
    for target in panel["targets"]:
        form = filled(target.get("legendFormat", ""), chosen)
        for one in store.range(filled(target["expr"], chosen)):
            points = {float(time): float(value) for time, value in one["values"]}
            found.append((_legend(form, one["metric"]), points))
    return found


def _marks(dashboard: Mapping[str, Any], store: Store, chosen: Chosen) -> list[float]:
    """Return when annotations begin."""
    answers = [store.range(filled(one["expr"], chosen)) for one in dashboard["annotations"]["list"]]
    return sorted({float(one["values"][0][0]) for answer in answers for one in answer})


def _panel(panel: Mapping[str, Any], store: Store, chosen: Chosen, marks: Sequence[float]) -> Iterator[str]:
    place = panel["gridPos"]
    box = Box(
        place["x"] * _CELL_X + _GAP,
        _HEAD + place["y"] * _CELL_Y,
        place["w"] * _CELL_X - 2 * _GAP,
        place["h"] * _CELL_Y - _GAP,
    )
    if panel["type"] == "row":
        yield text(box.x + 4, box.y + 20, f"▾ {panel['title']}", size=13, bold=True)
        return
    yield box.drawn("#fff", "#d5d8dd")
    if panel["type"] == "timeseries":
        yield from curves(panel, box, lines_of(panel, store, chosen), marks)
        return
    answer = store.now(filled(panel["targets"][0]["expr"], chosen))
    yield from (number if panel["type"] == "stat" else table)(panel, box, answer)


def _legend(form: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        form = form.replace(f"{{{{{name}}}}}", value)
    return form
