"""Waves: a plan that replaces the droplets of several groups is applied one group after another.

A replaced droplet stands beside its predecessor until it serves. Terraform makes all successors of a plan at once, so
one apply
of the whole plan needs twice the droplets, and changes every group at the same moment. `depends_on` between groups does
not help: with create_before_destroy the old droplets go last, in reverse order. So every group but the last is applied
by a targeted plan of its own, and the last one with everything else. Terraform takes no saved plan of a state that
another plan has changed, so these plans are made during the apply, with the variables of the reviewed plan. Each is
applied only if all that it does is in the reviewed plan.
"""

import json
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model import addresses
from model.addresses import DROPLET
from ops.change import Change, marks_any
from ops.errors import OperationError
from ops.plan_json import Plan, parse_plan

_NOTHING = frozenset({("no-op",), ("read",)})


@dataclass(frozen=True)
class Wave:
    """One group whose droplets are replaced.

    Attributes:
        group: its name.
        droplets: how many are replaced: so many more exist while they are.
        targets: what its plan is limited to. Terraform adds what these depend on.
    """

    group: str
    droplets: int
    targets: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        """The options of its `terraform plan`."""
        return [f"-target={target}" for target in self.targets]


def waves(plan: Plan) -> tuple[Wave, ...]:
    """Return the groups whose droplets a plan replaces, in the order in which they are: by name."""
    replaced: defaultdict[str, list[int]] = defaultdict(list)
    for change in plan.changes:
        place = addresses.droplet_of(change.block) if change.kind == DROPLET else None
        if place and change.creates and change.deletes and not change.deposed:
            replaced[place[0]].append(place[1])
    # Terraform refuses a targeted plan that leaves a pending move out ("Moved resource instances excluded by
    # targeting"), so the first plan takes all of them along.
    moved = tuple(change.address for change in plan.changes if change.previous_address)
    found: list[Wave] = []
    for group, numbers in sorted(replaced.items()):
        targets = [
            str(address(group, number))
            for number in sorted(numbers)
            for address in (addresses.droplet, addresses.serving)
        ]
        found.append(Wave(group, len(numbers), (*targets, *(moved if not found else ()))))
    return tuple(found)


def told(stack: str, found: Sequence[Wave]) -> str:
    """Say which groups are replaced, and in which order; empty where none is."""
    if not found:
        return ""
    groups = ", ".join(f"{wave.group} ({wave.droplets})" for wave in found)
    most = max(wave.droplets for wave in found)
    more = f"{most} droplet{'s' * (most > 1)} more than now at a time"
    if len(found) == 1:
        return f"{stack}: the droplets of group {groups} are replaced, with {more}"
    return (
        f"{stack}: the droplets of {len(found)} groups are replaced, one group after another, with at most {more}: "
        f"{groups}"
    )


def variables(shown: str) -> str:
    """Return the variables of a plan, as a text for `-var-file`; it holds the services' secrets."""
    given: Mapping[str, Mapping[str, Any]] = json.loads(shown).get("variables", {})
    return json.dumps({name: one["value"] for name, one in given.items() if "value" in one})


def unreviewed(reviewed: Plan, now: Plan) -> Iterator[str]:
    """Yield what a later plan does that the reviewed one does not: one line each, without values."""
    known = {(change.address, change.deposed): change for change in reviewed.changes}
    for change in now.changes:
        if change.actions in _NOTHING and not change.previous_address:
            continue
        before = known.get((change.address, change.deposed))
        if before is None or before.actions != change.actions:
            was = "/".join(before.actions) if before else "nothing"
            yield f"{change.address}: {'/'.join(change.actions)}, and {was} was reviewed"
        elif different := _different(before, change):
            yield f"{change.address}: {', '.join(different)} would become something else than was reviewed"


def _different(reviewed: Change, now: Change) -> list[str]:
    """Return the attributes that get another value; what only the apply could know was not reviewed."""
    names = {*reviewed.after, *now.after}
    return sorted(
        name
        for name in names
        if not marks_any(reviewed.unknown.get(name, False))
        and not marks_any(now.unknown.get(name, False))
        and (reviewed.after.get(name) or None) != (now.after.get(name) or None)
    )


class Runs(Protocol):
    """Terraform in one stack's folder, as the waves use it."""

    def plan(self, file: Path, *options: str) -> object:
        """Write a plan file."""

    def show(self, file: Path) -> str:
        """Return a plan file as JSON."""

    def apply(self, file: Path) -> None:
        """Apply a plan file."""

    def state(self) -> str:
        """Return the state as JSON; empty where there is none."""


def apply(terraform: Runs, stack: str, file: Path, say: Callable[[str], None]) -> None:
    """Apply a reviewed plan, one group after another.

    Args:
        terraform: of the stack.
        stack: its name.
        file: the reviewed plan. Plans of the waves are written beside it, and removed.
        say: prints a line.

    Raises:
        StaleError: the state has changed since the plan was made, and nothing was applied.
        UnreviewedError: what is left to do is not what was reviewed any more.
        OperationError: Terraform failed. Groups after that one were not touched.
    """
    if _identity(_state_of(file)) != _identity(terraform.state()):
        raise StaleError(
            f"{stack}: the plan is stale: the state has changed since it was made. Nothing was applied. Plan again, "
            "and review that plan."
        )
    shown = terraform.show(file)
    reviewed = parse_plan(shown, stack)
    found = waves(reviewed)
    given, planned = file.with_name("wave.tfvars.json"), file.with_name("wave.tfplan")
    try:
        given.touch(mode=0o600)
        given.write_text(variables(shown), encoding="utf-8")
        for number, wave in enumerate(found, start=1):
            last = number == len(found)
            say(
                f"{stack}: group {wave.group}, {number} of {len(found)}"
                + (", and all the rest" if last else "")
            )
            terraform.plan(planned, f"-var-file={given}", *([] if last else wave.options))
            rest = parse_plan(terraform.show(planned), stack, partial=not last)
            if lines := list(unreviewed(reviewed, rest)):
                raise UnreviewedError(stack, wave.group, [one.group for one in found[: number - 1]], lines)
            terraform.apply(planned)
    finally:
        given.unlink(missing_ok=True)
        planned.unlink(missing_ok=True)


class StaleError(OperationError):
    """The state is not the one that the plan was made from. Nothing was applied."""


class UnreviewedError(OperationError):
    """What is left to do differs from what was reviewed."""

    def __init__(self, stack: str, group: str, done: Sequence[str], lines: Sequence[str]) -> None:
        before = f"Replaced until now: {', '.join(done)}. " if done else "Nothing was applied. "
        super().__init__(
            f"{stack}: stopped before group {group}: what is left to do is not what was reviewed any more:\n"
            + "".join(f"    {line}\n" for line in lines)
            + f"{before}Plan again, and review that plan."
        )


def _state_of(file: Path) -> str:
    """Return the state that a plan was made from, out of the plan file.

    It is a zip archive, and Terraform compares the same entry when it applies a saved plan (Terraform 1.11,
    internal/plans/planfile, `tfstateFilename`); OpenTofu 1.10 names it alike.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.read("tfstate").decode()
    except (zipfile.BadZipFile, KeyError) as error:
        raise StaleError(
            f"{file} does not say which state it was made from ({error}), so it cannot be applied one group after "
            "another. Plan again with the Terraform that applies."
        ) from error


def _identity(state: str) -> tuple[str, int]:
    """Return lineage and serial, by which Terraform knows one version of a state."""
    found = json.loads(state) if state.strip() else {}
    return str(found.get("lineage", "")), int(found.get("serial", 0))
