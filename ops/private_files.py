"""Files with secrets in the checkout, which nobody but their owner may read."""

import stat
from collections.abc import Iterator
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO
SECRET = (".env", "terraform.*.tfstate", "terraform.*.tfstate.backup")
"""Credentials, and states that are kept in a file: bootstrap's holds the keys of every other state."""


def close(root: Path) -> Iterator[str]:
    """Take such files away from everybody but their owner; yield a line for each that others could read."""
    for file in sorted(file for pattern in SECRET for file in root.glob(pattern) if not file.is_symlink()):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & OTHERS:
            file.chmod(mode & ~OTHERS)
            yield f"{file.name} could be read by other users of this machine: now only by its owner"
