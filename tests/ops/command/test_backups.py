"""`presence360 backups`: what is wrong with a call is told before anything is read, all at once."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops import dump_choice
from ops.ci import settings
from ops.command.app import app
from tests.ops.command.conftest import Command


def test_all_that_opens_a_dump_is_looked_for_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder, key = tmp_path / "nothere", tmp_path / "no.key"
    result = CliRunner().invoke(app, ["backups", "open", str(folder), "--identity", str(key)])
    assert result.exit_code == 2, result.output
    for words in (
        f"{folder}: there is no such folder, so no index.json, dump.age, contents.age. Name a folder",
        f"--identity {key}: No such file or directory",
        "age is not installed",
    ):
        assert words in result.stderr
    folder.mkdir()
    (folder / "dump.age").write_bytes(b"x")
    result = CliRunner().invoke(app, ["backups", "open", str(folder), "--identity", str(key)])
    assert f"{folder}: it has no index.json, contents.age." in result.stderr


def test_a_church_without_dumps_is_told_where_was_looked(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        settings, "load", lambda _: {"SPACES_ACCESS_KEY_ID": "x", "SPACES_SECRET_ACCESS_KEY": "x"}
    )
    monkeypatch.setattr(dump_choice, "dumps_of", lambda *_, **__: [])
    found = command("backups", "list", "production", "control_plane").out
    assert found == (
        "control_plane: there is no dump in the copy; `--first` looks into the bucket that is copied. "
        "`presence360 backups show production` says why\n"
    )
    assert "in the first bucket." in command("backups", "list", "production", "control_plane", "--first").out
    assert command("backups", "list", "production", "control_plane", "--json").out == "[]\n"
