"""Checks for output that cdktf 0.21 corrupts without an error (docs/decisions/0001-cdktf.md)."""

import json
import re
from pathlib import Path
from typing import cast

from cdktf import TerraformStack
from constructs import Construct

# cdktf 0.21, lib/private/unique.ts: what is left of an id in an address, and the id that is left out of it.
_SURVIVES = re.compile(r"[A-Za-z0-9_-]+")
_LEFT_OUT = "Default"

# cdktf 0.21, lib/tokens/private/encoding.ts: a number token is a double of about -8.1e289. In a string it is
# resolved as long as it is written with all its digits; int() makes 290 digits of it, which nothing resolves. A
# string or list token that was cut keeps its marker.
_LEAKED_TOKEN = re.compile(r"\d{200,}|TfToken\[")


class CorruptOutputError(Exception):
    """The output would be valid Terraform that says something else than the program."""


def check_addresses(stack: TerraformStack) -> None:
    """Check the ids directly on a stack; to be called when the stack is complete.

    A resource there is addressed by its id without the characters that Terraform does not know, so that `a.b` and
    `ab` become one address and the second replaces the first without an error. Further down an address ends in a
    hash of the whole path. An id that keeps to what survives collides with none: siblings differ.

    Raises:
        CorruptOutputError: naming all such constructs by their paths.
    """
    # Each construct's path as one question to the framework; its node and then its id would be two.
    paths = [cast("Construct", child).to_string() for child in stack.node.children]
    ids = {path: path.partition("/")[2] for path in paths}
    lost = [path for path, id_ in ids.items() if not _SURVIVES.fullmatch(id_) or id_ == _LEFT_OUT]
    if lost:
        raise CorruptOutputError(
            "these construct ids lose characters in their Terraform address, so that two of them may become one; "
            f"use letters, digits, - and _ only, and not {_LEFT_OUT}: {', '.join(lost)}"
        )


def check_output(file: Path) -> None:
    """Check a synthesized stack for tokens that leaked as garbage, and for moves that lead nowhere.

    A resource that is moved to an address which the stack does not have is planned for destruction.

    Raises:
        CorruptOutputError: with the text around the first leak, or with the addresses that are not there.
    """
    text = file.read_text(encoding="utf-8")
    if leak := _LEAKED_TOKEN.search(text):
        around = text[max(0, leak.start() - 60) : leak.end() + 20]
        raise CorruptOutputError(
            f"{file.parent.name} holds a token that was formatted or cut before it was resolved; "
            f"use Token.as_string, near: {around}"
        )
    stack = json.loads(text)
    targets = {move["to"].partition("[")[0] for move in stack.get("moved", [])}
    blocks = {f"{kind}.{name}" for kind, named in stack.get("resource", {}).items() for name in named}
    if lost := sorted(targets - blocks):
        raise CorruptOutputError(
            f"{file.parent.name} moves resources to addresses that it does not have: {', '.join(lost)}; "
            "model/addresses.py and the constructs' ids disagree"
        )
