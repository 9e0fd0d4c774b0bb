"""The tenants that a pull request changes. One is easy to review and to revert; more are a warning, never a failure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from model.loader import TENANTS_FILE
from ops.git import END, files_called, git


def touched(root: Path, base: str) -> dict[str, set[str]]:
    """Return the ids of the tenants whose entries differ from those of a git revision, by file.

    Raises:
        OperationError: git does not know the revision.
    """
    merge_base = git(root, "merge-base", END, base, "HEAD").strip()
    before = files_called(TENANTS_FILE, root, merge_base, "environments")
    now = {
        file.relative_to(root).as_posix(): file.read_text(encoding="utf-8")
        for file in sorted(root.glob(f"environments/*/{TENANTS_FILE}"))
    }
    return {
        name: changed
        for name in sorted({*before, *now})
        if (changed := differing(before.get(name, ""), now.get(name, "")))
    }


def differing(before: str, after: str) -> set[str]:
    """Return the ids of the entries that differ between two texts of a tenants' file."""
    old, new = dict(_entries(before)), dict(_entries(after))
    return {identity for identity in {*old, *new} if old.get(identity) != new.get(identity)}


def _entries(text: str) -> Iterator[tuple[str, Any]]:
    """Yield entries by id. An invalid file has none here: `make synth` reports it."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    entries = content.get("tenants") if isinstance(content, dict) else None
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        yield (str(entry["id"]) if isinstance(entry, dict) and "id" in entry else f"entry {number}"), entry
