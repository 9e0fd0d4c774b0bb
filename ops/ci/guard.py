"""The plan guard, as a step runs it: a process of its own, as any CI can run it."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ops.ci.comment import MAX_SECTION
from ops.ci.errors import StepError

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = "tenants.lock"

_SAFE, _REFUSED = 0, 1

HEADING = 1_000
"""Characters of a comment's section that are kept for what stands around the guard's summary."""


@dataclass(frozen=True)
class Review:
    """What the guard says of plans, without any secret: for a log, and for a page.

    Attributes:
        text: plain lines.
        markdown: the same for a page or a comment.
        refused: the plans must not be applied.
    """

    text: str
    markdown: str
    refused: bool


def review(plans: Sequence[Path], *, base: str = "") -> Review:
    """Have plans (`terraform show -json`, named after their stacks) judged together.

    Args:
        plans: the files.
        base: the git revision of what is deployed, whose tenants.lock files the guard compares with; empty: unknown.

    Raises:
        StepError: the guard could not judge them, which is no yes; or git does not know the base.
    """
    with TemporaryDirectory() as scratch:
        markdown = Path(scratch) / "summary.md"
        command = [sys.executable, "-m", "ops.guard", *(str(plan.resolve()) for plan in plans)]
        command += ["--environments", "environments", "--markdown", str(markdown)]
        # The guard leaves out what is least; a section that is cut elsewhere may end in the middle of a table.
        command += ["--most-characters", str(MAX_SECTION - HEADING)]
        if found := locks(base, Path(scratch)) if base else []:
            command += ["--lock", *map(str, found)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode not in {_SAFE, _REFUSED} or not markdown.exists():
            said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
            raise StepError(f"the plan guard cannot judge this, so it is not applied:\n{said}")
        return Review(done.stdout, markdown.read_text(encoding="utf-8"), done.returncode == _REFUSED)


def locks(base: str, scratch: Path) -> list[Path]:
    """Write the tenants.lock files of a revision to a folder, each below its environment's name."""
    names = git(ROOT, "ls-tree", "-r", "--name-only", base, "--", "environments").splitlines()
    found = []
    for name in sorted(name for name in names if Path(name).name == LOCK):
        file = scratch / Path(name).parent.name / LOCK
        file.parent.mkdir()
        file.write_text(git(ROOT, "show", f"{base}:{name}"), encoding="utf-8")
        found.append(file)
    return found


def git(root: Path, *arguments: str) -> str:
    """Return what a git command says.

    Raises:
        StepError: it fails.
    """
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
