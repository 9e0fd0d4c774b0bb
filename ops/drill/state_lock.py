"""The lock of the drill's state, where Terraform was killed with the program that started it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from model.drill_time import FORK_MINUTES
from ops import unlock
from ops.errors import OperationError, UsageError
from ops.unlock import StateLock

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


def of(folder: Path, environ: Mapping[str, str]) -> StateLock | None:
    """Return the lock of the state of the stack in a folder; None where there is none, or none that outlives its run.

    Raises:
        OperationError: the bucket does not answer.
    """
    try:
        return unlock.find(folder, environ)
    except UsageError:
        # The state is in a file here.
        return None


def check_free(lock: StateLock | None, now: datetime) -> None:
    """Check that no Terraform of an earlier drill still makes the fork, where its caller alone was killed.

    If its cluster were destroyed now, it would wait for it without end (the provider's
    database/resource_database_cluster.go does not count answers of 404), and keep the lock.

    Raises:
        OperationError: there may be one.
    """
    if lock is not None and now - lock.created <= STALE:
        raise OperationError(
            f"{lock.told(now)}: Terraform of an earlier drill may still make the fork. Wait until it has ended; if it "
            f"was killed: presence360 unlock {lock.stack}"
        )


def remove_stale(terraform: Opened, now: datetime, say: Callable[[str], None]) -> None:
    """Remove a lock that nobody can hold any more; only who holds the fork may ask (ops/drill/holding.py).

    A lock that is younger may be that of a Terraform whose caller alone was killed. It stays, and Terraform says whose
    it is, and how to remove it.

    Raises:
        OperationError: the bucket does not answer, or Terraform refuses.
    """
    lock = of(terraform.folder, terraform.environ)
    if lock is not None and now - lock.created > STALE:
        say(f"{lock.told(now)}: that run was killed, and its lock is removed")
        terraform.force_unlock(lock.id)
