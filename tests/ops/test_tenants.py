"""`make tenants` and `make tenants-check`, in a repository of their own."""

import subprocess
from pathlib import Path

import pytest

from ops.tenants import main
from tests.model.workspace import STAGING_TENANTS, Workspace
from tests.support import ENVIRONMENTS

HOPE = "  - id: 7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002\n    slug: hope\n    name: Hope Assembly\n"
LOCK = "staging/tenants.lock"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Both environments, with their locks, committed."""
    monkeypatch.chdir(tmp_path)
    workspace = Workspace.copy(tmp_path, "staging", "production")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    assert run(workspace) == 0
    commit(tmp_path)
    return workspace


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(
        folder,
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.org",
        "commit",
        "--quiet",
        "--message",
        "x",
    )


def run(workspace: Workspace, *arguments: str) -> int:
    return main(["--environments", str(workspace.root), *arguments])


def test_it_writes_a_lock_for_each_environment(repository: Workspace) -> None:
    assert len(repository.text(LOCK).splitlines()) == 1 + 3
    assert len(repository.text("production/tenants.lock").splitlines()) == 1 + 4


def test_the_committed_locks_are_right() -> None:
    assert main(["--check", "--environments", str(ENVIRONMENTS)]) == 0


def test_an_edit_that_would_lose_data_is_refused_and_the_lock_stays(
    repository: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = repository.text(LOCK)
    repository.replace(STAGING_TENANTS, HOPE, "")
    assert run(repository) == 2
    assert "it was not retired" in capsys.readouterr().err
    assert repository.text(LOCK) == before


def test_check_tells_a_lock_that_is_out_of_date_and_writes_nothing(
    repository: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.replace(STAGING_TENANTS, HOPE, f"{HOPE}    status: suspended\n")
    before = repository.text(LOCK)
    assert run(repository, "--check") == 2
    assert (
        f"environments/{LOCK}: this does not match tenants.yaml\n    Run `make tenants`"
        in capsys.readouterr().err
    )
    assert repository.text(LOCK) == before
    assert run(repository) == 0
    assert run(repository, "--check") == 0


def test_whoever_removes_the_line_of_the_lock_as_well_is_caught_by_the_base(
    repository: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.replace(STAGING_TENANTS, HOPE, "")
    lines = repository.text(LOCK).splitlines(keepends=True)
    repository.write(LOCK, "".join(line for line in lines if "7d1c2b9a" not in line))
    assert run(repository, "--check") == 0
    assert run(repository, "--check", "--base", "main") == 2
    assert f"main:environments/{LOCK}:3: 7d1c2b9a" in capsys.readouterr().err


def test_an_environment_that_is_gone_loses_its_tenants(
    repository: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    git(repository.root.parent, "rm", "-r", "--quiet", "environments/staging")
    # Its zone is not delegated to it any more, either; that is another edit.
    assert run(repository, "--check", "--base", "main") == 2
    assert capsys.readouterr().err.count("main:environments/staging/tenants.lock") == 3


def test_a_base_without_locks_compares_nothing(repository: Workspace) -> None:
    git(repository.root.parent, "rm", "--cached", "-r", "--quiet", "environments/staging/tenants.lock")
    git(repository.root.parent, "rm", "--cached", "-r", "--quiet", "environments/production/tenants.lock")
    commit_staged = [
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.org",
        "commit",
        "--quiet",
        "-m",
        "y",
    ]
    git(repository.root.parent, *commit_staged)
    assert run(repository, "--check", "--base", "HEAD") == 0


def test_a_base_that_is_not_there_is_said(repository: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(repository, "--check", "--base", "origin/main") == 2
    told = capsys.readouterr().err
    assert "the base's locks cannot be read" in told
    assert "Traceback" not in told
