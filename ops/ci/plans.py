"""Plans, and the record of the plans that were reviewed.

The record holds the hash of each plan. The hash of the record itself proves that what is applied is what was reviewed,
wherever the files were in between.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ops import waves
from ops.arguments import told
from ops.ci.errors import StepError
from ops.ci.guard import review
from ops.errors import OperationError
from ops.git import head
from ops.guard.empty_state import makes_everything
from ops.plan_json import Plan, parse_plan
from ops.preflight.finding import Checked, together
from ops.progress import working
from ops.terraform import Terraform

RECORD = "record.json"
PLAN = "plan.tfplan"

Open = Callable[[str], Terraform]
"""Returns a stack's Terraform, initialized."""

Check = Callable[[Plan], Checked]
"""Checks at DigitalOcean whether a plan can be applied."""


Exists = Callable[[Plan], Sequence[str] | None]
"""Says what exists at DigitalOcean under the names that a plan would make; None where that cannot be asked."""


def unchecked(_plan: Plan) -> Checked:
    """Check nothing."""
    return Checked()


def unasked(_plan: Plan) -> None:
    """Ask nobody what exists."""


@dataclass(frozen=True)
class PlannedStack:
    """A stack's plan.

    Attributes:
        name: the stack's.
        sha256: the plan file's hash.
        changes: whether it changes anything.
        groups: the groups whose droplets it replaces, in the order in which they are (ops/waves.py).
    """

    name: str
    sha256: str
    changes: bool
    groups: tuple[str, ...] = ()

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of a record."""
        return cls(entry["name"], entry["sha256"], entry["changes"], tuple(entry.get("groups", ())))


@dataclass(frozen=True)
class Record:
    """What was planned, in the order in which it is applied.

    Attributes:
        commit: the checkout that was planned; empty outside git.
        stacks: one entry a stack.
    """

    commit: str
    stacks: tuple[PlannedStack, ...]

    @property
    def changes(self) -> bool:
        """Whether there is anything to apply."""
        return any(stack.changes for stack in self.stacks)

    def text(self) -> str:
        """Return the record as it is stored: the same text for the same plans."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @property
    def digest(self) -> str:
        """The hash of the record, and through it of every plan."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @classmethod
    def read(cls, folder: Path, digest: str) -> Self:
        """Read a record; with an empty ``digest`` any record is accepted.

        Raises:
            StepError: there is none, or it is not the one that was reviewed.
        """
        try:
            found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StepError(_no_plan(folder)) from error
        except (ValueError, RecursionError) as error:
            raise StepError(f"{told(folder / RECORD)} is not JSON: plan again") from error
        try:
            record = cls(found["commit"], tuple(map(PlannedStack.read, found["stacks"])))
        except (KeyError, TypeError, AttributeError) as error:
            raise StepError(f"{told(folder / RECORD)} is not what a plan records: plan again") from error
        if digest and record.digest != digest:
            raise StepError(
                f"the plans in {told(folder)} are not those that were reviewed: their digest is {record.digest}, "
                f"and {told(digest)} was reviewed. Nothing was applied. Plan again, and review that plan."
            )
        return record


@dataclass(frozen=True)
class Outcome:
    """The result of planning.

    Attributes:
        record: the plans.
        text: what the guard says of them, in plain lines.
        markdown: the same for a page or a comment.
        problems: why they must not be applied; empty if they may be.
        notes: what could not be checked.
    """

    record: Record
    text: str
    markdown: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


def plan(
    stacks: Sequence[str],
    opened: Open,
    folder: Path,
    *,
    root: Path,
    lock: bool,
    base: str = "",
    check: Check = unchecked,
    exists: Exists = unasked,
) -> Outcome:
    """Plan stacks into a folder, which is emptied first. If one must not be applied, no plan is left there.

    Args:
        stacks: in the order in which they will be applied.
        opened: gives a stack's Terraform.
        folder: where the plans are written.
        root: the checkout.
        lock: whether the state is locked during the plan.
        base: the git revision of what is deployed; empty if it is not known.
        check: of each plan, whether DigitalOcean will take it.
        exists: of a plan that makes everything, what exists: then it is no first deploy.
    """
    shutil.rmtree(folder, ignore_errors=True)
    _refusal(folder).unlink(missing_ok=True)
    # A plan holds the state with every secret: no other user of this machine may read it.
    folder.mkdir(parents=True, mode=0o700)
    planned: list[PlannedStack] = []
    shown: list[Plan] = []
    problems: list[str] = []
    unplanned: list[str] = []
    notes: tuple[str, ...] = ()
    text, markdown = "", ""
    for stack in stacks:
        try:
            entry, read = _plan_one(stack, opened, folder / stack, lock=lock)
        except OperationError as error:
            problems.append(str(error))
            unplanned.append(stack)
            continue
        planned.append(entry)
        shown.append(read)
    if shown:
        text, markdown, refused = _judged(shown, base, unplanned, exists)
        problems += refused
        text += "".join(f"\n{line}" for plan in shown if (line := waves.told(plan.stack, waves.waves(plan))))
        checked = together(map(check, shown))
        problems += checked.problems
        notes = checked.notes
        markdown += "".join(f"\n**Cannot be applied:** {problem}\n" for problem in checked.problems)
    else:
        markdown = f"**{', '.join(unplanned)} could not be planned**; the log says why.\n"
    record = Record(head(root), tuple(planned))
    if problems:
        # A plan that must not be applied is not left on the disk; only why there is none.
        shutil.rmtree(folder)
        _refusal(folder).write_text("\n".join(problems) + "\n", encoding="utf-8")
    else:
        (folder / RECORD).write_text(record.text(), encoding="utf-8")
    return Outcome(record, text, markdown, tuple(problems), notes)


def _refusal(folder: Path) -> Path:
    """Return the file, beside the plans' folder, that says why the last plan was not kept."""
    return folder.with_name(f"{folder.name}.refused")


def _no_plan(folder: Path) -> str:
    try:
        why = _refusal(folder).read_text(encoding="utf-8").strip()
    except OSError:
        return f"there is no plan in {told(folder)}: run make plan, and review the plan"
    return (
        f"there is no plan in {told(folder)}: the last one was refused and not kept, and no option applies it "
        f"all the same. Correct what it said, and plan again. It said:\n{why}"
    )


def _plan_one(stack: str, opened: Open, folder: Path, *, lock: bool) -> tuple[PlannedStack, Plan]:
    folder.mkdir()
    file = (folder / PLAN).resolve()
    with working(f"{stack}: plan") as say:
        terraform = opened(stack)
        changes = terraform.plan(file, lock=lock, say=say)
        read = parse_plan(terraform.show(file), stack)
    groups = tuple(wave.group for wave in waves.waves(read))
    return PlannedStack(stack, _hash(file), changes, groups), read


def _judged(
    shown: Sequence[Plan], base: str, unplanned: Sequence[str], exists: Exists
) -> tuple[str, str, list[str]]:
    found = {
        plan.stack: seen for plan in shown if makes_everything(plan) and (seen := exists(plan)) is not None
    }
    try:
        verdict = review(shown, base=base, unplanned=unplanned, exists=found)
    except OperationError as error:
        return "", "**The plan guard cannot judge this**; the log says why.\n", [str(error)]
    return verdict.text, verdict.markdown, ["the plan guard refuses this"] if verdict.refused else []


def apply(record: Record, opened: Open, folder: Path, *, root: Path) -> Iterable[str]:
    """Apply exactly the recorded plans, one stack after the other; yield the name of each when it is done.

    Raises:
        StepError: a plan is not the one that was recorded, or was made from another commit.
        TerraformError: an apply failed; the stacks after that one were not touched.
    """
    here = head(root)
    if record.commit and here and record.commit != here:
        raise StepError(
            f"the plan was made from commit {record.commit}, and this checkout is {here}: check out that commit, or "
            "plan again"
        )
    for stack in record.stacks:
        if not stack.changes:
            continue
        file = folder / stack.name / PLAN
        if not file.exists():
            raise StepError(
                f"{stack.name}: {file} does not exist: it was applied, or never made. Plan again."
            )
        if _hash(file) != stack.sha256:
            raise StepError(
                f"{stack.name}: {file} is not the plan that was reviewed: plan again, and review that plan"
            )
    for stack in record.stacks:
        if stack.changes:
            file = (folder / stack.name / PLAN).resolve()
            terraform = opened(stack.name)
            if len(stack.groups) > 1:
                waves.apply(terraform, stack.name, file, _say)
            else:
                terraform.apply(file)
            # It is not needed any more, and holds secrets.
            file.unlink()
            yield stack.name


def _say(line: str) -> None:
    print(line, flush=True)


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
