"""Every command line in a help text, in the documentation and in what the command itself advises can be run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ops.command.app import app
from tests.support import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = typer.main.get_command(app)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by its words."""
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


LEAVES = dict(commands(COMMAND))


def examples() -> Iterator[tuple[str, str]]:
    """Each example with where it stands."""
    for path, command in LEAVES.items():
        for line in (command.epilog or "").splitlines():
            if line.startswith("  presence360 "):
                yield " ".join(path), line.strip()
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("    presence360 "):
                yield page.name, line.strip().partition("    #")[0].partition(" #")[0]
            yield from ((page.name, found) for found in re.findall(r"`(presence360 [a-z][^`]*)`", line))


def parsed(line: str) -> None:
    """Parse a command line as the command does, without running it."""
    words = shlex.split(line)[1:]
    if words[0].startswith("-"):
        # The command's own: --help, --install-completion.
        assert words[0] in {"--help", *(name for option in COMMAND.params for name in option.opts)}
        return
    path = next((path for path in (tuple(words[:2]), tuple(words[:1])) if path in LEAVES), None)
    assert path, f"{line}: there is no such command"
    LEAVES[path].make_context(path[-1], words[len(path) :])


@pytest.mark.parametrize(("where", "line"), sorted(set(examples())))
def test_an_example_can_be_run(
    where: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An example's file is anybody's own.
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519.pub").touch()
    line = line.replace("~", str(tmp_path))
    if tuple(line.split()[1:]) in LEAVES and where.endswith(".md"):
        # A command's name in a sentence.
        return
    parsed(line)


def test_every_command_has_an_example_and_a_sentence() -> None:
    for path, command in LEAVES.items():
        assert "presence360" in (command.epilog or ""), path
        assert command.help.partition("\n")[0].endswith("."), path
        for parameter in command.params:
            assert parameter.name == "help" or parameter.help, (path, parameter.name)
