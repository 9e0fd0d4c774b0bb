"""Files with secrets in the checkout."""

import stat
from pathlib import Path

from ops import private_files


def test_what_others_could_read_is_closed_and_told(tmp_path: Path) -> None:
    modes = {
        ".env": 0o644,
        "terraform.bootstrap.tfstate": 0o666,
        "terraform.staging.tfstate": 0o600,
        "README.md": 0o644,
    }
    for name, mode in modes.items():
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    assert list(private_files.close(tmp_path)) == [
        f"{name} could be read by other users of this machine: now only by its owner"
        for name in (".env", "terraform.bootstrap.tfstate")
    ]
    after = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in modes}
    assert after == {**dict.fromkeys(modes, 0o600), "README.md": 0o644}
    assert list(private_files.close(tmp_path)) == []


def test_a_link_is_left_alone(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.touch()
    secret.chmod(0o644)
    (tmp_path / ".env").symlink_to(secret)
    assert list(private_files.close(tmp_path)) == []
