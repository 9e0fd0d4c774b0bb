"""What a plan says of one resource."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROVIDER_PREFIX = "digitalocean_"

# As Terraform draws actions; `>` is a move, where the object itself stays as it is.
_SIGNS = {
    ("create",): "+",
    ("delete",): "-",
    ("update",): "~",
    ("delete", "create"): "-/+",
    ("create", "delete"): "+/-",
    ("forget",): ".",
    ("no-op",): ">",
}


@dataclass(frozen=True)
class Change:
    """What happens to one resource.

    Attributes:
        stack: the stack whose plan this is.
        address: Terraform's address, with the key.
        kind: the resource type.
        block: the name in the configuration, without the key.
        key: the key of `for_each` or the number of `count`; None for a single resource.
        actions: as Terraform writes them: ``("create",)``, ``("create", "delete")``.
        before: the attributes now; empty if the resource does not exist yet.
        after: the attributes after the apply, as far as they are known; empty if it will not exist.
        unknown: the attributes that are known only after the apply.
        hidden: the attributes that are marked sensitive, before or after.
        reason: Terraform's reason for a delete or a replacement, in Terraform's word; empty if it gives none.
        previous_address: the address before a `moved` block; empty if the resource was not moved.
        deposed: the id of an object that an unfinished replacement left behind; empty for a current object.
        replace_paths: the attributes that force the replacement.
    """

    stack: str
    address: str
    kind: str
    block: str
    key: str | int | None
    actions: tuple[str, ...]
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    reason: str = ""
    previous_address: str = ""
    deposed: str = ""
    replace_paths: tuple[str, ...] = ()

    @property
    def short_kind(self) -> str:
        """The resource type without the provider's prefix."""
        return self.kind.removeprefix(PROVIDER_PREFIX)

    @property
    def sign(self) -> str:
        """The actions as Terraform draws them."""
        return _SIGNS.get(self.actions, "?")

    @property
    def deletes(self) -> bool:
        """Whether an existing object is deleted."""
        return "delete" in self.actions

    @property
    def creates(self) -> bool:
        """Whether an object is created."""
        return "create" in self.actions

    @property
    def forgets(self) -> bool:
        """Whether Terraform drops an object from its state without deleting it."""
        return "forget" in self.actions

    @property
    def updates(self) -> bool:
        """Whether an object is changed in place."""
        return self.actions == ("update",)

    @property
    def stays(self) -> bool:
        """Whether an existing object still exists afterwards, in Terraform's state."""
        return self.actions in {("no-op",), ("update",)} and not self.deposed

    @property
    def is_nothing(self) -> bool:
        """Whether nothing happens, not even a move."""
        return self.actions == ("no-op",) and not self.previous_address

    def changed(self, attribute: str) -> bool:
        """Whether an update gives an attribute another value; an unknown value counts as another."""
        return self.updates and (
            self.before.get(attribute) != self.after.get(attribute) or bool(self.unknown.get(attribute))
        )

    @property
    def differing(self) -> list[str]:
        """The attributes that differ. None and empty are alike, because the provider reads one back as the other."""
        names = {
            name
            for name in {*self.before, *self.after}
            if (self.before.get(name) or None) != (self.after.get(name) or None)
        }
        return sorted(names | {name for name, mark in self.unknown.items() if marks_any(mark)})


def marks_any(mark: Any) -> bool:
    """Whether anything is marked in a tree of marks (`after_unknown`, `after_sensitive`)."""
    if isinstance(mark, Mapping):
        return any(map(marks_any, mark.values()))
    if isinstance(mark, list):
        return any(map(marks_any, mark))
    return mark is not False
