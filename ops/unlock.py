"""Remove a state lock that a run left behind when it was killed.

A lock in a bucket is an object beside the state, `<key>.tflock` (Terraform, internal/backend/remote-state/s3/client.go,
`lockFileSuffix`). It holds Terraform's `statemgr.LockInfo` as JSON: who locked the state, when, and for what.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ops.arguments import told
from ops.ci.keep import PlanStore
from ops.errors import OperationError, UsageError
from ops.progress import elapsed
from ops.terraform import Terraform

SUFFIX = ".tflock"


@dataclass(frozen=True)
class StateLock:
    """A lock of a stack's state.

    Attributes:
        stack: whose state is locked.
        id: what `terraform force-unlock` has to be given.
        who: the user and the machine that locked it.
        operation: what for, in Terraform's words: OperationTypeApply.
        created: when.
    """

    stack: str
    id: str
    who: str
    operation: str
    created: datetime

    @classmethod
    def read(cls, stack: str, text: bytes) -> Self:
        """Read what Terraform wrote.

        Raises:
            OperationError: Terraform did not write this.
        """
        try:
            found = json.loads(text)
            # Terraform writes nanoseconds, which Python 3.11 reads as microseconds.
            created = datetime.fromisoformat(found["Created"])
            return cls(stack, told(found["ID"]), told(found["Who"]), told(found["Operation"]), created)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise OperationError(
                f"{stack}: the lock beside its state is not one that Terraform wrote ({type(error).__name__}). Look at "
                f"the object {stack}.tflock in the state's bucket before you remove it."
            ) from None

    def as_json(self) -> Mapping[str, str]:
        """Return it for programs."""
        return {
            "stack": self.stack,
            "id": self.id,
            "who": self.who,
            "operation": self.operation,
            "created": self.created.isoformat(),
        }

    def told(self, now: datetime | None = None) -> str:
        """Say whose lock it is and since when."""
        age = elapsed(((now or datetime.now(UTC)) - self.created).total_seconds())
        what = self.operation.removeprefix("OperationType").lower() or "an operation"
        return (
            f"{self.stack} is locked by {self.who} for {what}, since {self.created:%Y-%m-%d %H:%M:%S} UTC ({age}); "
            f"lock id {self.id}"
        )


def find(folder: Path, environ: Mapping[str, str]) -> StateLock | None:
    """Return the lock of the state of the stack in a folder, or None.

    Raises:
        UsageError: the state is in a file; its lock ends with the process that holds it.
        StepError: the bucket does not answer.
    """
    stack = json.loads((folder / "cdk.tf.json").read_text(encoding="utf-8"))
    backend = stack["terraform"]["backend"].get("s3")
    if backend is None:
        raise UsageError(
            [f"{folder.name} keeps its state in a file here, whose lock ends with its run: end that run"]
        )
    text = PlanStore.of_stack(folder, environ).read(f"{backend['key']}{SUFFIX}")
    return None if text is None else StateLock.read(folder.name, text)


def remove(terraform: Terraform, lock: StateLock) -> None:
    """Remove a lock, and no other one that was taken meanwhile.

    Raises:
        StepError: Terraform refuses, as when the lock is another one by now.
    """
    terraform.force_unlock(lock.id)
