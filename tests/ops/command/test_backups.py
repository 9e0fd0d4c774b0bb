"""`presence360 backups`: what is wrong with a call is told before anything is read, all at once."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.command.app import app


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
