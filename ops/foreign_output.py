"""What a container printed, passed on: text that neither GitHub, a terminal nor an encoding stumbles over."""

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ops.ci.workflow import on_github


@contextmanager
def no_commands(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Have GitHub take nothing that is printed meanwhile for a command of its own, such as `::add-mask::`.

    GitHub's documentation, "Workflow commands", "Stopping and starting workflow commands": until a line with the token
    comes, which nobody can guess. It stops the older `##[...]` as well (actions/runner, ActionCommandManager.cs).
    """
    if not on_github(environ):
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        # On a line of its own, whatever was printed last.
        print(f"\n::{token}::", flush=True)


def write(text: str) -> None:
    """Write a command's output; a terminal shows what would move its cursor, and does not obey it."""
    if sys.stdout.isatty():
        text = "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
    # JSON may hold half of a character, and a terminal may have few.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
    sys.stdout.flush()
