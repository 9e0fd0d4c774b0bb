"""Fixtures of the model's tests, and one hypothesis profile, so that a run means the same everywhere."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.model.workspace import Workspace

settings.register_profile("stable", derandomize=True, deadline=None, database=None)
settings.load_profile("stable")


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
