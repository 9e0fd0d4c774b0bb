"""What a plan changes, in plain words."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ops import plan_json
from ops.change import Change
from policies.stack import Stack

DATABASES = frozenset({"database_cluster", "database_db"})
"""Kinds whose loss is the loss of data."""

_HASH = re.compile(r"_[0-9A-F]{8}(?=$|\[)")


@dataclass(frozen=True)
class Plan:
    """The changes of a plan, without the resources that nothing happens to."""

    whole: plan_json.Plan
    planned: Stack | None = None
    """What will be there, as policies read it."""

    def __iter__(self) -> Iterator[Change]:
        return (change for change in self.whole.changes if not change.is_nothing)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes, outputs included."""
        return not len(self) and not self.whole.outputs

    def of(self, *kinds: str) -> list[Change]:
        """Return the changes of some kinds, which are named without the provider's prefix."""
        return [change for change in self if change.short_kind in kinds]

    def lines(self) -> list[str]:
        """Return one line for each change, moves last."""
        ordered = sorted(self, key=lambda change: (change.sign == ">", change.kind, label(change)))
        return [*map(words, ordered), *(f"~ output {name}" for name in self.whole.outputs)] or ["nothing"]


def words(change: Change) -> str:
    """Return a change in words, without any value."""
    said = f"{change.sign} {change.short_kind} {label(change)}"
    if change.updates:
        said += f" ({', '.join(change.differing)})"
    if change.previous_address:
        said += " (moved in the state, untouched)"
    return said


def label(change: Change) -> str:
    """Return DigitalOcean's name of a resource, or the words of its address where it has no name."""
    values = change.after or change.before
    if change.short_kind == "spaces_bucket_object":
        return f"{values.get('bucket') or ''}/{values['key']}"
    name = str(values.get("name") or "")
    if name and change.short_kind == "record":
        return f"{values['type']} {name}"
    return name or _HASH.sub("", change.address.split(".", 1)[1])


def summary(changes: Iterable[Change]) -> str:
    """Count changes by sign and kind: ``+ 2 database_db, - 1 database_user``."""
    counts = Counter((change.sign, change.short_kind) for change in changes)
    return ", ".join(f"{sign} {count} {kind}" for (sign, kind), count in sorted(counts.items())) or "nothing"
