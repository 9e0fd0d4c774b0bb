"""Which files are stacks, and what is in them."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from policies.hcl import to_json
from policies.plan import is_plan, read_plan
from policies.stack import Shape, Stack, make_stack

JSON_SYNTAX, HCL = ".tf.json", ".tf"
SKIPPED_FOLDERS = {".terraform", ".git", "node_modules"}
ParseHcl = Callable[[str], dict[str, Any]]


class UnreadableError(Exception):
    """A file whose name says that it is a stack, and whose content is not."""


def shape_of(file: Path) -> Shape | None:
    """Return the shape of a file by its name, and of other JSON by what is in it; None if it is no stack."""
    if file.name.endswith(JSON_SYNTAX):
        return Shape.JSON
    if file.suffix == HCL:
        return Shape.HCL
    if file.suffix == ".json":
        # A plan can have many megabytes, and other JSON too: what tells them apart is at the beginning.
        with file.open(encoding="utf-8", errors="replace") as opened:
            beginning = opened.read(500)
        return Shape.PLAN if '"format_version"' in beginning and '"terraform_version"' in beginning else None
    return None


def find(folder: Path) -> list[Path]:
    """Return the files of stacks below a folder, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not SKIPPED_FOLDERS & set(path.relative_to(folder).parts) and shape_of(path)
    )


def read(files: Iterable[Path], root: Path, parse_hcl: ParseHcl | None = None) -> list[Stack]:
    """Read the stacks that files are: each plan and each Terraform JSON is one, and each folder of HCL.

    Raises:
        UnreadableError: a file cannot be parsed.
    """
    stacks, folders = [], defaultdict(list)
    for file in files:
        shape = shape_of(file)
        if shape is Shape.HCL:
            folders[file.parent].append(file)
        elif shape:
            stacks.append(_read_json(file, root, shape))
    return stacks + [_read_hcl(folder, found, root, parse_hcl) for folder, found in folders.items()]


def _group(file: Path) -> str:
    """Return what is deployed together: the stacks of one folder."""
    return str(file.parent.parent)


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name


def _read_json(file: Path, root: Path, shape: Shape) -> Stack:
    try:
        content = json.loads(file.read_text("utf-8"))
        if shape is Shape.PLAN and is_plan(content):
            return read_plan(content, _shown(file, root), _group(file))
        return make_stack(content, _shown(file, root), shape, _group(file))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"{file}: cannot be read as {shape}: {error!r}") from error


def _read_hcl(folder: Path, files: list[Path], root: Path, parse_hcl: ParseHcl | None) -> Stack:
    if parse_hcl is None:
        raise UnreadableError(f"{folder}: HCL is read by checkov's parser: run `python -m policies`")
    content: dict[str, list[Any]] = defaultdict(list)
    for file in sorted(files):
        try:
            parsed = to_json(parse_hcl(file.read_text("utf-8")), file.name)
        except Exception as error:
            raise UnreadableError(f"{file}: cannot be read as HCL: {error!r}") from error
        for kind, found in parsed.items():
            content[kind] += found
    return make_stack(dict(content), _shown(sorted(files)[0], root), Shape.HCL, _group(files[0]))
