"""Output of a step for its CI: GitHub's workflow commands and files, and elsewhere plain lines.

The commands and their escaping: GitHub's documentation, "Workflow commands for GitHub Actions".
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def on_github(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a step of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def annotate(level: str, message: str, *, file: str | None = None) -> None:
    """Print a ``notice``, ``warning`` or ``error``; GitHub shows it beside the file."""
    if on_github():
        where = f" file={_escaped(file, in_property=True)}" if file else ""
        print(f"::{level}{where}::{_escaped(message)}", flush=True)
    else:
        print(f"{level}: {f'{file}: ' if file else ''}{message}", file=sys.stderr, flush=True)


def mask(secret: str) -> None:
    """Have GitHub mask a value in its logs. Elsewhere nothing is printed."""
    if not on_github():
        return
    for line in filter(None, secret.splitlines()):
        print(f"::add-mask::{_escaped(line)}", flush=True)


def output(name: str, value: str) -> None:
    """Set an output of the step, one line without secrets; elsewhere print it."""
    if "\n" in value:
        raise ValueError(f"output {name} has more than one line")
    if not _append("GITHUB_OUTPUT", f"{name}={value}\n"):
        print(f"{name}={value}")


def show(markdown: str) -> None:
    """Show Markdown on the page of the run; elsewhere nothing."""
    _append("GITHUB_STEP_SUMMARY", f"{markdown.rstrip()}\n\n")


def summarize(markdown: str, text: str = "") -> None:
    """Show Markdown on the page of the run, and in the log the plain text, or else the Markdown."""
    show(markdown)
    print((text or markdown).rstrip(), flush=True)


def write(file: Path | None, markdown: str) -> None:
    """Write Markdown to a file for a later step; None writes nothing."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(markdown, encoding="utf-8")


def _append(variable: str, text: str) -> bool:
    path = os.environ.get(variable)
    if not path:
        return False
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)
    return True


def _escaped(text: str, *, in_property: bool = False) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if in_property else escaped
