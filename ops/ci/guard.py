"""The plan guard, as the steps call it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.known_tenants import LOCK_FILE
from ops.ci.comment import MAX_SECTION
from ops.ci.errors import StepError
from ops.git import files_called
from ops.guard.accepted import committed
from ops.guard.formats import as_text
from ops.guard.known import Exists, LockFile
from ops.guard.markdown import render
from ops.guard.report import judge
from ops.paths import ENVIRONMENTS, ROOT
from ops.plan_json import Plan

HEADING = 1_000
"""Characters of a comment's section that are kept for what stands around the guard's summary."""


@dataclass(frozen=True)
class Review:
    """What the guard says of plans, without any secret.

    Attributes:
        text: plain lines for a log.
        markdown: the same for a page or a comment.
        refused: whether the plans must not be applied.
    """

    text: str
    markdown: str
    refused: bool


def review(
    plans: Sequence[Plan],
    *,
    base: str = "",
    problems: Iterable[str] = (),
    unplanned: Sequence[str] = (),
    exists: Exists | None = None,
) -> Review:
    """Have plans judged together.

    Args:
        plans: one of each stack.
        base: the git revision of what is deployed, whose tenants.lock files the guard compares with; empty: unknown.
        problems: why other plans could not be read.
        unplanned: the stacks that could not be planned; the caller says why.
        exists: of stacks whose plan makes everything, what DigitalOcean has under those names.

    Raises:
        StepError: the guard could not judge them, so they must not be applied.
        OperationError: git does not know the base.
    """
    found = locks(base) if base else ()
    try:
        report = judge(
            plans,
            environments=ENVIRONMENTS,
            locks=found,
            exists=exists,
            accepted=committed(ENVIRONMENTS),
            problems=problems,
            unplanned=unplanned,
        )
        # The guard itself leaves out what matters least; a text that is cut elsewhere may end inside a table.
        said = Review(as_text(report), render(report, MAX_SECTION - HEADING), bool(report.refused))
    except Exception as error:  # an error of the guard's own must not let a plan through
        raise StepError(f"the plan guard failed, so the plan is not applied: {error!r}") from error
    if report.problems:
        raise StepError(f"the plan guard cannot judge this, so it is not applied:\n{said.text}")
    return said


def locks(base: str) -> list[LockFile]:
    """Return the tenants.lock files of a revision; the folder of each says whose tenants it lists."""
    found = files_called(LOCK_FILE, ROOT, base, ENVIRONMENTS.name)
    return [LockFile(Path(name).parent.name, text, f"{base}:{name}") for name, text in found.items()]
