"""A database's part of the record, and what it means for the image that is wanted. Pure.

The record holds the images that migrated the database, in their order. A schema never goes back: an image that came
before the last one finds a schema that it knows, and more. So a rollback of the code has nothing to do here, and an
image is known to be an older one if any database of the cluster has had it before the one that this database has.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from droplet.integers import LATEST, integer

KEPT_IMAGES = 30
"""In a record; a rollback over more releases than these is not recognised: the older image is asked to migrate."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60, 1800
"""After a failure: twice as long each time."""

SKEW_SECONDS = 5
"""By which clocks of droplets differ, with a rounded second; runs are 30 s apart. A failure that is noted for a later
time was noted by a clock that was ahead, and says nothing of when to try again."""


class Verdict(StrEnum):
    """What is true of a database."""

    DONE = "done"
    """The wanted image was the last to migrate it."""
    AHEAD = "ahead"
    """A newer image was: the code went back, and the schema stays."""
    DUE = "due"
    FAILED = "failed"
    """It failed with the wanted image, and is tried again later."""

    @property
    def arrived(self) -> bool:
        """Whether code of the wanted image finds the schema that it needs."""
        return self in {Verdict.DONE, Verdict.AHEAD}


@dataclass(frozen=True)
class History:
    """What the record says of a database's migrations.

    Attributes:
        images: the digests of those that migrated it, the last one last.
        revision: what it was at then, as Alembic names it; None if the image keeps none.
        since: when the last one did, seconds since 1970.
        failed: the digest of an image that failed since; empty: none did.
        reason: why it failed: one line without secrets.
        at: when it failed last.
        tries: how often it failed.
    """

    images: tuple[str, ...] = ()
    revision: str | None = None
    since: float = 0
    failed: str = ""
    reason: str = ""
    at: float = 0
    tries: int = 0

    @classmethod
    def of(cls, value: object) -> "History":
        """Read it; what cannot be read means that nothing is known, so that the database is migrated."""
        if not isinstance(value, dict):
            return cls()
        try:
            return cls(
                images=tuple(str(one) for one in value["images"]),
                revision=None if value["revision"] is None else str(value["revision"]),
                since=integer(value["since"], 0, LATEST),
                failed=str(value.get("failed", "")),
                reason=str(value.get("reason", "")),
                at=integer(value.get("at", 0), 0, LATEST),
                tries=integer(value.get("tries", 0), 0),
            )
        except (KeyError, TypeError, ValueError):
            return cls()

    def as_json(self) -> dict[str, Any]:
        """Return what the record has."""
        value: dict[str, Any] = {
            "images": list(self.images),
            "revision": self.revision,
            "since": round(self.since),
        }
        if self.failed:
            value |= {
                "failed": self.failed,
                "reason": self.reason,
                "at": round(self.at),
                "tries": self.tries,
            }
        return value

    def after_success(self, image: str, revision: str | None, now: float) -> "History":
        """Return it after an image migrated the database."""
        return History((*self.images, image)[-KEPT_IMAGES:], revision, now)

    def after_failure(self, image: str, reason: str, now: float) -> "History":
        """Return it after an image failed."""
        tries = self.tries + 1 if self.failed == image else 1
        return replace(self, failed=image, reason=reason, at=now, tries=tries)

    def verdict(
        self, wanted: str, newer: Mapping[str, Collection[str]], now: float, asked: float = 0
    ) -> Verdict:
        """Say what is true of the database.

        Args:
            wanted: the digest of the image that is to migrate it.
            newer: the images that came after that one, see `images_after`.
            now: seconds since 1970.
            asked: when an operator asked for another try; 0 if nobody did.
        """
        if self.images and self.images[-1] == wanted:
            return Verdict.DONE
        if wanted in self.images or (self.images and self.images[-1] in newer):
            return Verdict.AHEAD
        if self.failed != wanted or self.at > now + SKEW_SECONDS:
            return Verdict.DUE
        return Verdict.FAILED if now < self.again and asked <= self.at else Verdict.DUE

    @property
    def again(self) -> float:
        """When it is tried again after a failure."""
        doubled = min(max(self.tries - 1, 0), 10)
        return self.at + min(FIRST_PAUSE_SECONDS << doubled, LONGEST_PAUSE_SECONDS)


def images_after(wanted: str, histories: Iterable[History]) -> dict[str, set[str]]:
    """Return the images that any database has had after the wanted one, each with the revisions that databases say.

    A revision is a church's own word, so nothing follows from it alone (`Migrator.migrate`).
    """
    found: dict[str, set[str]] = {}
    for history in histories:
        if wanted not in history.images:
            continue
        later = history.images[history.images.index(wanted) + 1 :]
        for image in later:
            if image != wanted:
                found.setdefault(image, set())
        if later and later[-1] != wanted and history.revision is not None:
            found[later[-1]].add(history.revision)
    return found
