"""The stacks of an environment, in the order in which they are deployed."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from model.errors import Problem, did_you_mean, relative_name, shown
from model.loader import load_environments
from ops.cdktf_stacks import stack_names
from ops.edits import by_name, environment_named
from ops.errors import UsageError
from ops.refused import RefusedError


def check_names(root: Path, *, environment: str = "", stack: str = "") -> None:
    """Check the name of an environment or of a stack against the operators' files.

    Raises:
        InvalidInputError: the files are not valid.
        RefusedError: there is no such environment or stack; with the closest name and all others.
    """
    if environment:
        environment_named(by_name(load_environments(root)), environment, root)
    if stack and stack not in (names := stack_names(root)):
        remedy = f"{did_you_mean(stack, names)}Name one of: {', '.join(sorted(names))}."
        raise RefusedError(Problem(relative_name(root), 0, "", f"there is no stack {shown(stack)}", remedy))


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
