"""Git, as far as programs here ask it."""

import subprocess
from pathlib import Path

from ops.arguments import told
from ops.errors import OperationError

END = "--end-of-options"
"""Ends the options of a git command (gitcli(7)); what follows is a revision, whatever it begins with."""


def git(root: Path, *arguments: str) -> str:
    """Return what a git command prints. A revision stands behind `--end-of-options`: one may begin with a hyphen.

    Raises:
        OperationError: it fails.
    """
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        command = " ".join(map(told, arguments))
        # Git repeats what it was given: none of it may stand at the beginning of a line.
        said = " | ".join(map(told, done.stderr.strip().splitlines()))
        raise OperationError(f"git {command}: {said}")
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
    found = git(root, "ls-tree", "-r", "--name-only", END, revision, "--", folder).splitlines()
    return {
        file: git(root, "show", END, f"{revision}:{file}")
        for file in sorted(found)
        if Path(file).name == name
    }
