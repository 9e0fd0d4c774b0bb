"""The lock of the drill's state, where Terraform was killed with the program that started it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from model.drill_time import FORK_MINUTES
from ops import unlock
from ops.errors import UsageError

STALE = timedelta(minutes=FORK_MINUTES + 60)
"""No apply of a drill takes longer: making the fork is the longest part of it."""


class Opened(Protocol):
    """Terraform in a stack's folder."""

    @property
    def folder(self) -> Path:
        """Where the stack's cdk.tf.json is."""

    @property
    def environ(self) -> Mapping[str, str]:
        """All variables of the program."""

    def force_unlock(self, lock_id: str) -> None:
        """Remove the lock with this id."""


def remove_stale(terraform: Opened, now: datetime, say: Callable[[str], None]) -> None:
    """Remove a lock that nobody can hold any more; only who holds the fork may ask (ops/drill/holding.py).

    A lock that is younger may be that of a Terraform whose caller alone was killed. It stays, and Terraform says whose
    it is, and how to remove it.

    Raises:
        OperationError: the bucket does not answer, or Terraform refuses.
    """
    try:
        lock = unlock.find(terraform.folder, terraform.environ)
    except UsageError:
        # In a file here: that lock ends with its process.
        return
    if lock is not None and now - lock.created > STALE:
        say(f"{lock.told(now)}: that run was killed, and its lock is removed")
        terraform.force_unlock(lock.id)
