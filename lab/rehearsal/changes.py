"""What a plan would change, read from `terraform show -json`, and in plain words."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

PROVIDER_PREFIX = "digitalocean_"
NOTHING = ("no-op",)
READ = ("read",)
SIGNS = {
    ("create",): "+",
    ("delete",): "-",
    ("update",): "~",
    ("delete", "create"): "-/+",
    ("create", "delete"): "+/-",
    ("forget",): ".",
    NOTHING: ">",
}
DATABASES = frozenset({"database_cluster", "database_db"})
"""Kinds whose loss is the loss of data."""

_HASH = re.compile(r"_[0-9A-F]{8}(?=$|\[)")


@dataclass(frozen=True)
class Change:
    """What a plan does with one resource.

    Attributes:
        address: Terraform's.
        kind: without the provider's prefix.
        actions: as Terraform writes them: ``("create",)``, ``("create", "delete")``.
        label: what DigitalOcean calls it, or the address's own words where it has no name.
        moved_from: the address it had before, if another.
        fields: top-level arguments that differ.
    """

    address: str
    kind: str
    actions: tuple[str, ...]
    label: str
    moved_from: str
    fields: tuple[str, ...]

    @classmethod
    def of(cls, written: dict[str, Any]) -> "Change":
        """Read one of a plan's `resource_changes`."""
        change = written["change"]
        before, after = change.get("before") or {}, change.get("after") or {}
        unknown = change.get("after_unknown") or {}
        fields = sorted(key for key in after if before.get(key) != after[key])
        fields += sorted(key for key in unknown if key not in fields)
        previous = written.get("previous_address", "")
        return cls(
            address=written["address"],
            kind=written["type"].removeprefix(PROVIDER_PREFIX),
            actions=tuple(change["actions"]),
            label=_label(written, after or before),
            moved_from=previous if previous != written["address"] else "",
            fields=tuple(fields),
        )

    @property
    def sign(self) -> str:
        """How Terraform draws it."""
        return SIGNS.get(self.actions, "?")

    @property
    def adds(self) -> bool:
        """Whether it makes something."""
        return "create" in self.actions

    @property
    def removes(self) -> bool:
        """Whether it ends something."""
        return "delete" in self.actions

    def __str__(self) -> str:
        words = f"{self.sign} {self.kind} {self.label}"
        if self.actions == ("update",):
            words += f" ({', '.join(self.fields)})"
        if self.moved_from:
            words += " (moved in the state, untouched)"
        return words


def _label(written: dict[str, Any], values: dict[str, Any]) -> str:
    if written["type"] == "digitalocean_spaces_bucket_object":
        return f"{values.get('bucket') or ''}/{values['key']}"
    if values.get("name") and values.get("type") and written["type"] == "digitalocean_record":
        return f"{values['type']} {values['name']}"
    if values.get("name"):
        return str(values["name"])
    return _HASH.sub("", written["address"].split(".", 1)[1])


@dataclass(frozen=True)
class Plan:
    """A plan.

    Attributes:
        changes: of managed resources, without those that nothing happens to.
        outputs: names of those that change.
        json: all of it, as `terraform show -json` says it. Secrets are in it.
    """

    changes: tuple[Change, ...]
    outputs: tuple[str, ...]
    json: dict[str, Any]

    @classmethod
    def read(cls, shown: dict[str, Any]) -> "Plan":
        """Read what `terraform show -json` says."""
        changes = [Change.of(one) for one in shown.get("resource_changes", ()) if one["mode"] == "managed"]
        outputs = shown.get("output_changes", {})
        return cls(
            tuple(change for change in changes if change.actions != NOTHING or change.moved_from),
            tuple(sorted(name for name, one in outputs.items() if tuple(one["actions"]) != NOTHING)),
            shown,
        )

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return not self.changes and not self.outputs

    def of(self, *kinds: str) -> list[Change]:
        """Return what happens to some kinds."""
        return [change for change in self.changes if change.kind in kinds]

    def counts(self) -> Counter[tuple[str, str]]:
        """Count changes by kind and sign."""
        return Counter((change.kind, change.sign) for change in self.changes)

    def lines(self) -> list[str]:
        """Say it in plain words, one line a change, moved ones last."""
        ordered = sorted(self.changes, key=lambda change: (change.sign == ">", change.kind, change.label))
        said = [str(change) for change in ordered]
        return said + [f"~ output {name}" for name in self.outputs] or ["nothing"]


def summary(changes: Iterable[Change]) -> str:
    """Count changes by sign and kind: ``+ 2 database_db, - 1 database_user``."""
    counts = Counter((change.sign, change.kind) for change in changes)
    return ", ".join(f"{sign} {count} {kind}" for (sign, kind), count in sorted(counts.items())) or "nothing"
