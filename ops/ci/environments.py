"""Which environments exist and in which order they are deployed: `make environments`, for the workflows' matrices.

An environment is a folder in environments/. Those called production, or production-something, are deployed after all
others: a change reaches the churches only after it has worked elsewhere. docs/ci.md, "Order", gives the reason.

Standard library only, so that the first job of a workflow installs nothing.
"""

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ops.ci import workflow
from ops.paths import ENVIRONMENTS

EXIT_USAGE = 2

NAME_PATTERN = r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$"
"""Of model/schema.py, which would have to be installed first; a test compares the two."""

_LAST = re.compile(r"production(-.+)?")


@dataclass(frozen=True)
class Order:
    """The environments, by the step of the deploy that they belong to; each list is sorted."""

    first: tuple[str, ...]
    last: tuple[str, ...]

    @property
    def every(self) -> tuple[str, ...]:
        """All of them, in the order of the deploy."""
        return (*self.first, *self.last)


def found(root: Path) -> list[str]:
    """Return the names of the environments' folders, by the same rule as the program that synthesizes them."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def order(names: Iterable[str]) -> Order:
    """Sort environments into those that are deployed first and those that follow.

    Raises:
        ValueError: a name is no environment's. The names become jobs that hold secrets, so nothing else may pass.
    """
    names = sorted(names)
    if wrong := [name for name in names if not re.fullmatch(NAME_PATTERN, name)]:
        allowed = (
            "an environment's name is 1 to 20 lower-case letters, digits and hyphens and begins with a letter"
        )
        raise ValueError(f"environments/{wrong[0]}: {allowed}. Rename the folder or move it elsewhere.")
    last = tuple(name for name in names if _LAST.fullmatch(name))
    return Order(first=tuple(name for name in names if name not in last), last=last)


def main(root: Path = ENVIRONMENTS) -> int:
    """Print three JSON lists, ``environments``, ``first`` and ``last``; on GitHub they are outputs of the step."""
    try:
        deployed = order(found(root))
    except ValueError as error:
        print(f"environments: {error}", file=sys.stderr)
        return EXIT_USAGE
    workflow.output("environments", json.dumps(deployed.every))
    workflow.output("first", json.dumps(deployed.first))
    workflow.output("last", json.dumps(deployed.last))
    return 0


if __name__ == "__main__":
    sys.exit(main())
