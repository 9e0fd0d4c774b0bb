"""The plan guard, as a step runs it: a process of its own, which a CI without Python's imports runs the same way."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.ci.errors import StepError

ROOT = Path(__file__).resolve().parent.parent.parent
_REFUSED = 1


@dataclass(frozen=True)
class Review:
    """What the guard says of a plan, without any secret; ``refused``: the plan must not be applied."""

    markdown: str
    refused: bool


def review(plan: Path) -> Review:
    """Have a plan (`terraform show -json`) judged.

    Raises:
        StepError: the guard could not judge it, which is no yes.
    """
    command = [sys.executable, "-m", "tools.plan_guard", str(plan.resolve()), "--markdown"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in {0, _REFUSED} or not done.stdout.strip():
        raise StepError(f"the plan guard could not judge {plan}:\n{done.stderr.strip()}")
    return Review(done.stdout, refused=done.returncode == _REFUSED)
