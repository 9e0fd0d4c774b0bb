"""The programs of droplet/, laid out as on a droplet: `__main__.py` in a folder, and the package below it."""

import shutil
import sys
from pathlib import Path

from ops.paths import ROOT


def lay_out(folder: Path) -> Path:
    """Copy the programs into a new folder, and return it: Python runs it."""
    shutil.copytree(ROOT / "droplet", folder / "droplet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "droplet" / "__main__.py", folder)
    return folder


def command(folder: Path, program: str, *arguments: str) -> list[str]:
    """Return the command line of a program, as the units have it."""
    return [sys.executable, "-I", "-B", str(folder), program, *arguments]
