"""Whether the databases are ready for a release: what the control group says, before this droplet changes.

`migrations.json` in the group's bucket names the images that bring migrations. The control group migrates with them
(droplet/migrate) and says how far it is in an object of the same name in its own status bucket, which every group
reads.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from droplet import journal
from droplet.converge.errors import ConvergeError, HeldError, WaitingError
from droplet.converge.manifest import sha256
from droplet.converge.paths import Paths, read_json, write
from droplet.converge.peers import FRESH_SECONDS, read_time
from droplet.converge.store import LARGEST, Store

KEY = "migrations.json"
"""The object in both buckets."""

RUNNING, DONE, FAILED = "running", "done", "failed"
"""States of the control group's object."""

SILENT_SECONDS = 300
"""For how long a control group that says nothing is waited for."""

ACCEPTED = 20
"""Sets of images that are remembered as having been waited for: to go back to one of them waits for nothing."""


@dataclass
class Gate:
    """What stands between a droplet and a release.

    Attributes:
        paths: where records are.
        store: the status buckets.
        clock: seconds since 1970.
        waited: tells for how many seconds this droplet has waited for something.
    """

    paths: Paths
    store: Store
    clock: Callable[[], float]
    waited: Callable[[str], float]

    def check(self, beside: Mapping[str, bytes], *, retry: bool = False) -> None:
        """Return if the databases are ready for a release.

        Args:
            beside: what was fetched beside the release.
            retry: a person wants the release in spite of what the control group says.

        Raises:
            WaitingError: the control group is at work.
            HeldError: it failed, or is silent.
            ConvergeError: the bucket's object cannot be read.
        """
        images = self._images(beside)
        if not images or images in self._accepted:
            return
        try:
            self._check(images, asked_by(beside[KEY]))
        except (HeldError, WaitingError) as error:
            if not retry:
                raise
            journal.log(journal.WARNING, f"{error}; somebody wants the release all the same")

    def accept(self, beside: Mapping[str, bytes]) -> None:
        """Note that this droplet has changed to a release: its migrations are not waited for a second time.

        So a new setting, or the way back to this release, is held up by no church whose migration fails.
        """
        images = self._images(beside)
        known = self._accepted
        if images and images not in known[-1:]:
            kept = [*(one for one in known if one != images), images][-ACCEPTED:]
            write(self.paths.migrated, json.dumps({"images": kept}).encode(), mode=0o644)

    def settle(self, beside: Mapping[str, bytes]) -> None:
        """Do the same where the release changed nothing here, once the control group is done with it."""
        images = self._images(beside)
        if images and images not in self._accepted:
            try:
                self._check(images, asked_by(beside[KEY]))
            except (HeldError, WaitingError):
                return
            self.accept(beside)

    def _images(self, beside: Mapping[str, bytes]) -> dict[str, str]:
        return images_of(beside[KEY]) if KEY in beside else {}

    @property
    def _accepted(self) -> list[object]:
        found = read_json(self.paths.migrated).get("images")
        return found if isinstance(found, list) else []

    def _check(self, images: Mapping[str, str], asked: str) -> None:
        said = self._said()
        if said is None:
            # Only here: what a droplet waits for is one record, and its turn is waited for by the same.
            waited = self.waited(f"migrations {sorted(images.items())}")
            if waited > SILENT_SECONDS:
                raise HeldError(
                    f"migrations: the control group says nothing of them for {waited / 60:.0f} minutes; see "
                    "presence360-migrate on its droplets"
                )
            raise WaitingError("migrations: the control group has not said anything yet")
        # What it says of another share is no verdict on this one. Programs before 2026-11-26 do not say it.
        if said.get("images") != images or said.get("asked", asked) != asked:
            raise WaitingError("migrations: the control group has not begun with this release")
        if said.get("state") == DONE:
            return
        if said.get("state") == FAILED:
            raise HeldError(f"migrations: {_line(said.get('reason'))}")
        raise WaitingError(f"migrations: {_line(said.get('reason'))}")

    def _said(self) -> dict[str, Any] | None:
        """Return what the control group says; None if it says nothing of the present."""
        file = self.paths.run / f"control-{KEY}"
        # A request that fails is no silence: the copy of before counts as long as it is fresh.
        with contextlib.suppress(ConvergeError, OSError):
            self.store.read_control(KEY, file)
        try:
            said = read_json(file, LARGEST)
            fresh = abs(self.clock() - read_time(str(said["time"]))) <= FRESH_SECONDS
        except (KeyError, ValueError):
            return None
        return said if fresh else None


def asked_by(content: bytes) -> str:
    """Name what the group's object asks for: 16 hexadecimal digits."""
    return sha256(content)[:16]


def images_of(content: bytes) -> dict[str, str]:
    """Return by service the images that bring migrations, as the group's object names them.

    Raises:
        ConvergeError: it has another form.
    """
    try:
        return {str(job["service"]): str(job["image"]) for job in json.loads(content)["jobs"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ConvergeError(f"{KEY} is not what Terraform writes ({type(error).__name__})") from None


def _line(value: object) -> str:
    return "".join(one if one.isprintable() else " " for one in str(value or "")[:350])
