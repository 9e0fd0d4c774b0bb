"""What a check before an apply finds."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Checked:
    """The result of checks.

    Attributes:
        problems: why an apply would fail; each with what to do.
        notes: what could not be checked, and why; it stops nothing.
    """

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Checked") -> "Checked":
        return Checked((*self.problems, *other.problems), (*self.notes, *other.notes))


def together(found: Iterable[Checked]) -> Checked:
    """Return several results as one."""
    return sum(found, Checked())
