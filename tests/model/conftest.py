"""Fixtures of the model's tests."""

from pathlib import Path

import pytest

from tests.model.workspace import Workspace


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Staging alone; the working directory is the one that holds `environments/`."""
    monkeypatch.chdir(tmp_path)
    return Workspace.copy(tmp_path, "staging")


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Staging and production."""
    monkeypatch.chdir(tmp_path)
    return Workspace.copy(tmp_path, "staging", "production")
