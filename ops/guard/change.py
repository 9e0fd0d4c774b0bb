"""What a plan says of one resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.guard.kinds import SHOWN


@dataclass(frozen=True)
class Change:
    """What happens to one resource.

    Attributes:
        stack: whose plan says so.
        address: where it is, with its key.
        kind: its type.
        block: its name in the configuration, without the key.
        key: what `for_each` or `count` tells it apart by; None if it stands alone.
        actions: as Terraform writes them.
        before: attributes as they are; empty if there is nothing yet.
        after: attributes as they will be, as far as they are known; empty if there will be nothing.
        unknown: which of those will be known after the apply only.
        hidden: attributes that are marked sensitive, before or after.
        reason: why Terraform deletes or replaces it, in Terraform's word; empty if it gives none.
        previous_address: where it was before a `moved` block; empty if it was not moved.
        deposed: the id of an object that a replacement left behind; empty if it is none.
        replace_paths: the attributes that force the replacement.
    """

    stack: str
    address: str
    kind: str
    block: str
    key: str | int | None
    actions: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    unknown: Mapping[str, Any]
    hidden: frozenset[str]
    reason: str = ""
    previous_address: str = ""
    deposed: str = ""
    replace_paths: tuple[str, ...] = ()

    @property
    def deletes(self) -> bool:
        """Whether an object that is there goes."""
        return "delete" in self.actions

    @property
    def creates(self) -> bool:
        """Whether an object comes."""
        return "create" in self.actions

    @property
    def forgets(self) -> bool:
        """Whether Terraform gives an object up without deleting it."""
        return "forget" in self.actions

    @property
    def updates(self) -> bool:
        """Whether an object stays and changes."""
        return self.actions == ("update",)

    @property
    def stays(self) -> bool:
        """Whether the object that is there is still there, and Terraform's, afterwards."""
        return self.actions in {("no-op",), ("update",)} and not self.deposed

    @property
    def is_nothing(self) -> bool:
        """Whether nothing happens, not even a move."""
        return self.actions == ("no-op",) and not self.previous_address

    def changed(self, attribute: str) -> bool:
        """Whether an attribute of an object that stays will have another value; unknown counts as another."""
        return self.updates and (
            self.before.get(attribute) != self.after.get(attribute) or bool(self.unknown.get(attribute))
        )

    def shows(self, attribute: str) -> bool:
        """Whether an attribute's value may be shown."""
        return attribute in SHOWN.get(self.kind, ()) and attribute not in self.hidden

    def said(self, attribute: str, *, after: bool = False) -> str:
        """Return a value that may be shown; empty if it may not, or is not there."""
        if not self.shows(attribute):
            return ""
        value = (self.after if after else self.before).get(attribute)
        return str(value) if isinstance(value, (str, int)) else ""

    @property
    def name(self) -> str:
        """Its physical name if it has one that may be shown, before or else after."""
        return self.said("name") or self.said("name", after=True)
