"""Draw panels with lines over time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lab.dashboards.svg import COLORS, GREY, LETTER, Box, beside, short, text, title, within
from lab.dashboards.units import round_up, shown
from lab.dashboards.values import END, HOURS

_SECONDS = HOURS * 3600
_PALETTE: Final = (
    "#3b7dd8", "#e0853d", "#3f9e55", "#c4413d", "#8460c2", "#8a6d5c", "#d17fb8", "#6f7680", "#b3a229", "#2fa8b5",
)  # fmt: skip

Points = Mapping[float, float]
"""Values by time."""


def curves(
    panel: Mapping[str, Any], box: Box, lines: Sequence[tuple[str, Points]], marks: Sequence[float]
) -> Iterator[str]:
    """Draw lines with their names; ``marks`` are the times of annotations."""
    yield title(box, panel["title"])
    if not lines:
        yield within(box, "no data")
        return
    defaults = panel["fieldConfig"]["defaults"]
    plot = Box(box.x + 64, box.y + 28, box.width - 76, box.height - 80)
    stacked = defaults["custom"].get("stacking", {}).get("mode") == "normal"
    bands = list(_stacked(lines) if stacked else ((points, None) for _, points in lines))
    highest = max((value for points, _ in bands for value in points.values()), default=0)
    top = defaults.get("max") or round_up(highest or 1)
    yield from _axes(plot, top, defaults["unit"])
    for mark in marks:
        x = plot.x + plot.width * (mark - END + _SECONDS) / _SECONDS
        yield f'<path d="M{x:.1f},{plot.y}v{plot.height}" stroke="#3b7dd8" stroke-dasharray="2 3"/>'
    if defaults["custom"].get("thresholdsStyle", {}).get("mode") == "dashed":
        yield from _limits(plot, top, defaults["thresholds"]["steps"])
    for number, (points, below) in enumerate(bands):
        color = _PALETTE[number % len(_PALETTE)]
        path = " ".join(_at(plot, top, time, value) for time, value in sorted(points.items()))
        if below is not None:
            back = " ".join(_at(plot, top, time, below[time]) for time in sorted(points, reverse=True))
            yield f'<polygon points="{path} {back}" fill="{color}" fill-opacity="0.45"/>'
        yield f'<polyline points="{path}" fill="none" stroke="{color}"/>'
    yield from _names([name for name, _ in lines], box)


def _at(plot: Box, top: float, time: float, value: float) -> str:
    x = plot.x + plot.width * (time - END + _SECONDS) / _SECONDS
    return f"{x:.1f},{plot.bottom - plot.height * min(value, top) / top:.1f}"


def _axes(plot: Box, top: float, unit: str) -> Iterator[str]:
    for step in range(5):
        y = plot.bottom - plot.height * step / 4
        yield f'<path d="M{plot.x},{y:.1f}h{plot.width}" stroke="#e6e8eb"/>'
        yield text(plot.x - 5, y + 4, shown(top * step / 4, unit, None), size=10, color=GREY, anchor="end")
    for half in range(HOURS * 2 + 1):
        x = plot.x + plot.width * half / (HOURS * 2)
        # It begins half an hour after midnight.
        clock = f"{(half + 1) // 2:02}:{30 * ((half + 1) % 2):02}"
        yield text(x, plot.bottom + 14, clock, size=10, color=GREY, anchor="middle")


def _limits(plot: Box, top: float, steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if step["value"] is not None and step["value"] <= top:
            y = plot.bottom - plot.height * step["value"] / top
            yield (
                f'<path d="M{plot.x},{y:.1f}h{plot.width}" stroke="{COLORS[step["color"]]}" stroke-dasharray="6 4"/>'
            )


def _stacked(lines: Sequence[tuple[str, Points]]) -> Iterator[tuple[Points, Points]]:
    """Return where each line is with those below it, and where it begins."""
    total: dict[float, float] = {}
    for _, points in lines:
        below = {time: total.get(time, 0) for time in points}
        total |= {time: below[time] + value for time, value in points.items()}
        yield {time: total[time] for time in points}, below


def _names(names: Sequence[str], box: Box) -> Iterator[str]:
    """Name the lines, as far as two rows have room."""
    x, row = box.x + 10, 0
    for number, name in enumerate(names):
        words = short(name, int((box.width - 40) / LETTER))
        width = 28 + LETTER * len(words)
        if x + width > box.right and x > box.x + 10:
            x, row = box.x + 10, row + 1
        if row > 1:
            yield beside(box, f"{len(names) - number} more names")
            return
        y = box.bottom - 24 + 16 * row
        color = _PALETTE[number % len(_PALETTE)]
        yield f'<path d="M{x:.1f},{y - 4}h12" stroke="{color}" stroke-width="3"/>'
        yield text(x + 16, y, words)
        x += width
