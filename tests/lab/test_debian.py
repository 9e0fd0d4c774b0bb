"""What is made for tests is made once, and whole or not at all."""

from pathlib import Path

import pytest

from lab import debian


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_it_is_made_once() -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "program").touch()

    assert debian.made_once("thing", make) == debian.made_once("thing", make)
    assert len(made) == 1
    assert (debian.cache() / "thing/program").exists()


def test_what_was_not_finished_is_made_again() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise debian.MissingError("no network")

    with pytest.raises(debian.MissingError, match="no network"):
        debian.made_once("thing", fail)
    folder = debian.made_once("thing", lambda folder: (folder / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_a_machine_without_mmdebstrap_says_what_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(debian.MissingError, match="no mmdebstrap to get Debian 13's valkey-server with"):
        debian.unpacked("valkey-server", {"valkey-server": "usr/bin/valkey-server"})
