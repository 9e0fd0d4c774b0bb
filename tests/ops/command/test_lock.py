"""`presence360 tenant lock`, in a repository of its own."""

from pathlib import Path

import pytest

from ops.tenants_lock import check
from tests.model.workspace import STAGING_TENANTS, Workspace
from tests.ops.command.conftest import Command, commit, git
from tests.support import ENVIRONMENTS

HOPE = "  - id: 7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002\n    slug: hope\n    name: Hope Assembly\n"
LOCK = "staging/tenants.lock"


@pytest.fixture
def repository(command: Command, tmp_path: Path) -> Workspace:
    """Both environments, with their locks, committed."""
    commit(tmp_path)
    return command.files


def test_it_writes_a_lock_for_each_environment(command: Command, repository: Workspace) -> None:
    assert command("tenant", "lock").out.splitlines() == [
        "environments/production/tenants.lock: 4 tenants",
        "environments/staging/tenants.lock: 3 tenants",
        "environments/environments.lock: 2 environments",
    ]
    assert len(repository.text(LOCK).splitlines()) == 1 + 3
    assert len(repository.text("production/tenants.lock").splitlines()) == 1 + 4


def test_the_committed_locks_are_right() -> None:
    assert len(list(check(ENVIRONMENTS))) == 2


def test_an_edit_that_would_lose_data_is_refused_and_the_lock_stays(
    command: Command, repository: Workspace
) -> None:
    repository.replace(STAGING_TENANTS, HOPE, "")
    assert "it was not retired" in command.refused("tenant", "lock")


def test_check_tells_a_lock_that_is_out_of_date_and_writes_nothing(
    command: Command, repository: Workspace
) -> None:
    repository.replace(STAGING_TENANTS, HOPE, f"{HOPE}    status: suspended\n")
    assert f"environments/{LOCK}: this does not match tenants.yaml" in command.refused(
        "tenant", "lock", "--check"
    )
    command("tenant", "lock")
    command("tenant", "lock", "--check")


def test_an_environment_without_tenants_needs_no_lock(command: Command, repository: Workspace) -> None:
    command("env", "init", "preview")
    assert "preview/tenants.lock: 0 tenants" in command("tenant", "lock", "--check").out
    assert not (repository.root / "preview/tenants.lock").exists()
    repository.write("preview/tenants.yaml", f"tenants:\n{HOPE}")
    assert "environments/preview/tenants.lock: there is no lock" in command.refused(
        "tenant", "lock", "--check"
    )


def test_an_edit_that_removes_the_line_of_the_lock_as_well_is_caught_by_the_base(
    command: Command, repository: Workspace
) -> None:
    repository.replace(STAGING_TENANTS, HOPE, "")
    lines = repository.text(LOCK).splitlines(keepends=True)
    repository.write(LOCK, "".join(line for line in lines if "7d1c2b9a" not in line))
    command("tenant", "lock", "--check")
    said = command.refused("tenant", "lock", "--check", "--base", "main")
    assert f"main:environments/{LOCK}:3: 7d1c2b9a" in said


def test_an_environment_that_is_gone_loses_its_tenants(command: Command, repository: Workspace) -> None:
    git(repository.root.parent, "rm", "-r", "--quiet", "environments/staging")
    repository.replace("production/environment.yaml", "delegations: [staging]", "delegations: []")
    assert "staging: this environment's folder was removed, but it was not retired" in command.refused(
        "tenant", "lock"
    )
    # The one who removes the folder can remove its lines as well; the base still has them.
    lock = repository.text("environments.lock").splitlines(keepends=True)
    repository.write("environments.lock", "".join(line for line in lock if not line.startswith("staging ")))
    said = command.refused("tenant", "lock", "--check", "--base", "main")
    assert said.count("main:environments/staging/tenants.lock") == 3
    assert "main:environments/environments.lock:" in said


def test_a_lock_of_environments_that_is_gone_is_not_written_anew(
    command: Command, repository: Workspace
) -> None:
    """Not even where no lock of tenants is left to tell that there was one."""
    for lock in ("environments.lock", LOCK, "production/tenants.lock"):
        (repository.root / lock).unlink()
        assert "environments/environments.lock: the lock is missing" in command.refused("tenant", "lock")
    said = command.refused("tenant", "lock", "--check", "--base", "main")
    assert "environments/environments.lock: the lock is missing" in said


def test_a_base_without_locks_compares_nothing(command: Command, repository: Workspace) -> None:
    for name in ("staging", "production"):
        git(repository.root.parent, "rm", "--cached", "--quiet", f"environments/{name}/tenants.lock")
    git(repository.root.parent, "commit", "--quiet", "--message", "y")
    repository.replace(STAGING_TENANTS, HOPE, f"{HOPE}    status: retired\n")
    command("tenant", "lock")
    command("tenant", "lock", "--check", "--base", "HEAD")


@pytest.mark.usefixtures("repository")
def test_a_base_that_is_not_there_is_said(command: Command) -> None:
    said = command.refused("tenant", "lock", "--check", "--base", "origin/main")
    assert "the locks of origin/main cannot be read" in said
    assert "in CI, fetch it first" in said


def test_a_base_needs_a_check(command: Command) -> None:
    assert "--base belongs to --check" in command("tenant", "lock", "--base", "main", code=2).err
