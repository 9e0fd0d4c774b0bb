"""The providers' hashes, committed once for all stacks.

Terraform reads a lock file beside a stack's own files, which lie in an output folder that git ignores. So one file is
committed beside cdktf.json, and every synth puts it beside each stack.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from model.state import PROVIDER_LOCK_FILE


def place_provider_lock(source: Path, outdir: Path, stacks: Iterable[str]) -> None:
    """Put a committed lock file beside each stack; where none is committed, Terraform trusts its first download."""
    if source.exists():
        for stack in stacks:
            shutil.copyfile(source, outdir / "stacks" / stack / PROVIDER_LOCK_FILE)
