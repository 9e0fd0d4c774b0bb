"""What a drill works with: DigitalOcean, Terraform in the drill's folder, and the environment's buckets."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from model.bucket_access import Bucket as Kind
from model.contract import ContractError
from model.drill_status import DrillReport, is_report, parse_report
from model.droplets import DropletGroupPlan
from model.naming import Names
from model.plan import EnvironmentPlan
from model.restore_drill import REPORTS, RestoreDrillPlan
from ops.bucket import Bucket
from ops.drill import state_lock
from ops.drill.asking import Asking
from ops.drill.forks import Forks
from ops.drill.holding import Holding, me
from ops.errors import OperationError, UsageError
from ops.paths import OUTDIR
from ops.unlock import StateLock
from ops.waiting import SYSTEM_CLOCK, Clock


class Terraform(Protocol):
    """Terraform in the drill's folder."""

    @property
    def folder(self) -> Path:
        """The folder."""

    @property
    def environ(self) -> Mapping[str, str]:
        """All variables of the program."""

    def plan(self, file: Path, *options: str) -> bool:
        """Write a plan file; return whether it changes anything."""

    def show(self, file: Path) -> str:
        """Return a plan file as JSON."""

    def apply(self, file: Path) -> None:
        """Apply a plan file."""

    def must(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command that has to succeed."""

    def force_unlock(self, lock_id: str) -> None:
        """Remove the lock with this id."""


@dataclass(frozen=True)
class Place:
    """What a drill works with.

    Attributes:
        plan: the environment's.
        drill: the drill's.
        forks: DigitalOcean.
        open_stack: opens Terraform in the drill's folder; called when it is needed.
        buckets: opens a bucket by its name.
        clock: the clock.
        age: the program that encrypts.
        who: who asks, as others are told it.
        locked: returns the lock of the drill's state; None if there is none.
    """

    plan: EnvironmentPlan
    drill: RestoreDrillPlan
    forks: Forks
    open_stack: Callable[[], Terraform]
    buckets: Callable[[str], Bucket]
    clock: Clock = SYSTEM_CLOCK
    age: str = "age"
    who: str = "somebody"
    locked: Callable[[], StateLock | None] = lambda: None

    @classmethod
    def of(
        cls, plan: EnvironmentPlan, environ: Mapping[str, str], open_stack: Callable[[str], Terraform]
    ) -> Self:
        """Return an environment's.

        Raises:
            UsageError: its file asks for no drill, or there is no key.
            OperationError: the address of the API is none.
        """
        drill = plan.drill
        if drill is None:
            raise UsageError([f"{plan.name}: environment.yaml has no `backups.drill:` (docs/drill.md)"])
        return cls(
            plan=plan,
            drill=drill,
            forks=Forks.of(drill, environ),
            open_stack=lambda: open_stack(drill.name),
            buckets=lambda name: Bucket.of(environ, plan.network.region, name),
            who=me(environ),
            locked=lambda: state_lock.of(OUTDIR / "stacks" / drill.name, environ),
        )

    def bucket(self, kind: Kind) -> Bucket:
        """Open one of the environment's."""
        return self.buckets(Names(self.plan.name).bucket(kind))

    def asking(self, name: str, check: Callable[[], None] = lambda: None) -> Asking:
        """Return how a run is asked for and followed; ``check`` raises where it is to end."""
        return Asking(name, self.config, self.status, self.age, self.clock, check)

    def holding(self, name: str) -> Holding:
        """Return a run's hold on the fork."""
        return Holding(self.config, name, self.who, self.clock)

    @property
    def config(self) -> Bucket:
        """The control group's configuration bucket, which only operators write."""
        return self.buckets(self._group.config.bucket)

    @property
    def status(self) -> Bucket:
        """The control group's status bucket, which its droplets write."""
        return self.buckets(self._group.config.status_bucket)

    @property
    def _group(self) -> DropletGroupPlan:
        (group,) = (one for one in self.plan.groups if one.group == self.drill.group)
        return group

    def reports(self) -> list[str]:
        """Return the keys of the reports, the newest last."""
        return [key for key in self.bucket(Kind.BACKUPS).keys(f"{REPORTS}/") if is_report(key)]

    def newest(self) -> DrillReport | None:
        """Return the newest report; None if there is none."""
        keys = self.reports()
        content = self.bucket(Kind.BACKUPS).read(keys[-1]) if keys else None
        try:
            return parse_report(content) if content else None
        except ContractError as error:
            raise OperationError(f"{keys[-1]}: {error}") from None
