"""Numbers as Grafana shows them, for the units that our dashboards have."""

import math
from typing import Final

_STEPS: Final = {
    "s": ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (0.001, "ms")),
    "bytes": ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B")),
    "Bps": ((10**9, "GB/s"), (10**6, "MB/s"), (1000, "kB/s"), (1, "B/s")),
    "short": ((10**6, "M"), (1000, "K"), (1, "")),
}
_SIMPLE: Final = {"percentunit": (100, "%"), "reqps": (1, " req/s"), "ops": (1, " ops/s"), "d": (1, " d")}


def shown(value: float, unit: str, decimals: int | None) -> str:
    """Return a number with its unit.

    Raises:
        KeyError: no dashboard has this unit yet.
    """
    if unit in _SIMPLE:
        factor, text = _SIMPLE[unit]
        return f"{_number(value * factor, decimals)}{text}"
    steps = _STEPS[unit]
    size, text = next((one for one in steps if abs(value) >= one[0]), steps[-1])
    if value == 0:
        size, text = 1, next(word for known, word in steps if known == 1)
    return f"{_number(value / size, decimals)} {text}".strip()


def round_up(value: float) -> float:
    """Return the next number above, of which a quarter reads well."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value * 0.999)


def _number(value: float, decimals: int | None) -> str:
    if decimals is None:
        digits = 3 - len(f"{abs(value):.0f}") if value else 0
        return f"{value:.{max(0, digits)}f}".rstrip("0").rstrip(".") if digits > 0 else f"{value:.0f}"
    return f"{value:.{decimals}f}"
