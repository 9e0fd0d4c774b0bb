"""The stacks of an environment, in the order in which they are deployed."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from model.errors import did_you_mean, shown
from ops.cdktf_cli import UsageError


def synthesized(outdir: Path) -> list[str]:
    """Return the names of the stacks of an output folder."""
    manifest = json.loads((outdir / "manifest.json").read_text(encoding="utf-8"))
    return sorted(manifest["stacks"])


def of_environment(environment: str, stacks: Iterable[str]) -> list[str]:
    """Return an environment's own stack, then its cells by number: a cell looks up what the environment's stack made.

    Raises:
        UsageError: there is no such environment.
    """
    names = list(stacks)
    if environment not in names:
        raise UsageError(
            [f"there is no environment {shown(environment)}. {did_you_mean(environment, names)}".rstrip()]
        )
    cell = re.compile(rf"{re.escape(environment)}-cell-(\d+)")
    cells = sorted((int(match[1]), name) for name in names if (match := cell.fullmatch(name)))
    return [environment, *(name for _, name in cells)]


def one(stack: str, stacks: Iterable[str]) -> list[str]:
    """Return a stack, checked to exist.

    Raises:
        UsageError: there is no such stack.
    """
    names = list(stacks)
    if stack not in names:
        raise UsageError([f"there is no stack {shown(stack)}. {did_you_mean(stack, names)}".rstrip()])
    return [stack]
