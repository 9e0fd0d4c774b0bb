"""Programs of Debian 13 on this machine that need no library but the C library, such as those in Go.

Those that need more come from `lab.debian.unpacked`.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab.debian import SUITE, MissingError, extract, made_once

__all__ = ["MissingError", "unpacked"]


def unpacked(*packages: str, programs: Sequence[str], files: Sequence[str] = ()) -> Path:
    """Return a folder with programs of these packages; made in half a minute where it is not there yet.

    Args:
        packages: their names.
        programs: the names of files in /usr/bin.
        files: paths of others, without the first slash; they have the same below the folder.

    Raises:
        MissingError: this machine cannot have them.
    """
    content = "\n".join([SUITE, *sorted(packages), *sorted(programs), *sorted(files)])

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "debian"
            extract(root, *packages)
            for program in programs:
                shutil.copy(root / "usr/bin" / program, folder)
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, folder / name)

    return made_once(f"programs-{hashlib.sha256(content.encode()).hexdigest()[:12]}", make)
