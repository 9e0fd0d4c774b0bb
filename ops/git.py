"""Git's answers about the checkout that the operators' files are in."""

import subprocess
from pathlib import Path


class GitError(Exception):
    """Git is not there, the folder is no checkout, or the revision is unknown; the message is git's reason."""


def output(folder: Path, *arguments: str) -> str:
    """Return what a git command prints.

    Raises:
        GitError: it fails.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise GitError(said[-1] if said else f"exit {done.returncode}")
    return done.stdout
