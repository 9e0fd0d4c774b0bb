"""Losses that people have accepted: `accepted_losses` of an environment's file, as the last commit has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model.accepted_losses import AcceptedLoss
from model.environment_folders import ENVIRONMENT_FILE
from model.errors import InvalidInputError
from model.yaml_document import YamlDocument
from ops.errors import OperationError
from ops.git import git

LONGEST = timedelta(days=14)
"""How far ahead an acceptance may end: one that is forgotten would let the next loss through."""

Losses = Mapping[str, tuple[AcceptedLoss, ...]]
"""By environment, what its file accepts."""

_ENTRIES = TypeAdapter(tuple[AcceptedLoss, ...])


@dataclass(frozen=True)
class Accepted:
    """What is accepted, and which day it is.

    Attributes:
        losses: by environment.
        today: in UTC.
    """

    losses: Losses
    today: date

    @classmethod
    def of(cls, losses: Losses | None, today: date | None) -> "Accepted":
        """Return them; without a day, as of now."""
        return cls(losses or {}, today or datetime.now(UTC).date())

    def entry(self, environment: str, resource: str) -> AcceptedLoss | None:
        """Return the entry of a resource; None if there is none."""
        own = self.losses.get(environment, ())
        return next((one for one in own if one.resource == resource), None)

    def fault(self, entry: AcceptedLoss) -> str:
        """Return why an entry does not count, as the end of a sentence; empty if it does."""
        try:
            until = date.fromisoformat(entry.until)
        except ValueError:
            return f"until {entry.until}, which is no day"
        if until < self.today:
            return f"until {entry.until}, which is over"
        if until > self.today + LONGEST:
            return f"until {entry.until}, which is more than {LONGEST.days} days ahead"
        return ""


def committed(environments: Path) -> Losses:
    """Read what the last commit accepts; outside of git nothing is. An entry that is not valid accepts nothing.

    Args:
        environments: the folder of the operators' files.
    """
    found = {}
    for file in sorted(environments.glob(f"*/{ENVIRONMENT_FILE}")):
        try:
            text = git(file.parent, "show", f"HEAD:./{ENVIRONMENT_FILE}")
        except (OperationError, FileNotFoundError):
            continue
        found[file.parent.name] = of_text(text)
    return found


def of_text(text: str) -> tuple[AcceptedLoss, ...]:
    """Read what the text of an environment.yaml accepts."""
    try:
        content = YamlDocument.parse(ENVIRONMENT_FILE, text).value
        entries = content.get("accepted_losses", ()) if isinstance(content, Mapping) else ()
        return _ENTRIES.validate_python(entries)
    except (InvalidInputError, ValidationError):
        return ()
