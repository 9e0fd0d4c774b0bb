"""Files that are no files (links, pipes, devices), and folders that cannot be environments."""

import os
from pathlib import Path

import pytest

from model.known_environments import ENVIRONMENTS_LOCK
from tests.model.workspace import STAGING, STAGING_TENANTS, Workspace


def test_a_file_is_not_read_through_a_link(staging: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.yaml").write_text(staging.text(STAGING))
    (staging.root / STAGING).unlink()
    (staging.root / STAGING).symlink_to(tmp_path / "elsewhere.yaml")
    assert staging.error() == (
        f"environments/{STAGING}: this is a symbolic link, to '{tmp_path}/elsewhere.yaml'\n"
        "    Put the file itself here: each environment has files of its own.\n\n"
        "1 problem in the environment files; nothing was written."
    )


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "nowhere.yaml"])
def test_a_link_to_a_device_or_to_nothing_is_not_followed(staging: Workspace, target: str) -> None:
    (staging.root / STAGING_TENANTS).unlink()
    (staging.root / STAGING_TENANTS).symlink_to(target)
    assert f"environments/{STAGING_TENANTS}: this is a symbolic link, to '{target}'\n" in staging.error()


def test_a_pipe_is_not_waited_for(staging: Workspace) -> None:
    (staging.root / STAGING).unlink()
    os.mkfifo(staging.root / STAGING)
    assert staging.error() == (
        f"environments/{STAGING}: this is no regular file\n    Remove it, and restore the file from git.\n\n"
        "1 problem in the environment files; nothing was written."
    )


@pytest.mark.parametrize("file", [STAGING, STAGING_TENANTS, "staging/tenants.lock", ENVIRONMENTS_LOCK])
def test_a_file_that_is_too_large_is_not_read(staging: Workspace, file: str) -> None:
    with (staging.root / file).open("wb") as out:
        out.truncate(2 * 1024**3)  # of holes: it takes no room
    assert (
        f"environments/{file}: the file has 2,147,483,648 bytes; at most 8,388,608 are read\n"
        in staging.error()
    )


def test_a_folder_that_is_a_link_is_no_environment(staging: Workspace) -> None:
    (staging.root / "preview").symlink_to("staging")
    assert staging.error() == (
        "environments/preview: this folder is a symbolic link, to 'staging'\n    Put the folder itself here, or "
        "remove the "
        "link: two names for one environment share everything.\n\n"
        "1 problem in the environment files; nothing was written."
    )


def test_a_folder_with_a_capital_is_told_the_folders_name(staging: Workspace) -> None:
    """Told to write `environment: Staging`, an operator would be refused that next."""
    (staging.root / "staging").rename(staging.root / "Staging")
    assert staging.error() == (
        "environments/Staging: 'Staging' cannot be the name of an environment\n    Rename the folder, and "
        "`environment` in "
        "its environment.yaml with it. Use 1 to 20 of a-z, 0-9 and hyphens, starting with a letter, ending without a "
        "hyphen.\n\n1 problem in the environment files; nothing was written."
    )
