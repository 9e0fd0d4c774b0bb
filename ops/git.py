"""Git, as far as programs here ask it."""

import subprocess
from pathlib import Path

from ops.errors import OperationError


def git(root: Path, *arguments: str) -> str:
    """Return what a git command prints.

    Raises:
        OperationError: it fails.
    """
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OperationError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def head(root: Path) -> str:
    """Return the commit that is checked out; empty outside git."""
    try:
        return git(root, "rev-parse", "HEAD").strip()
    except OperationError:
        return ""


def files_called(name: str, root: Path, revision: str, folder: str) -> dict[str, str]:
    """Return the text of each file of a name below a folder in a revision, by its path.

    Raises:
        OperationError: git does not know the revision.
    """
    found = git(root, "ls-tree", "-r", "--name-only", revision, "--", folder).splitlines()
    return {
        file: git(root, "show", f"{revision}:{file}") for file in sorted(found) if Path(file).name == name
    }
