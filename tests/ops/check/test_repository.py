"""The scan of a checkout: nothing in ours, and what it is for in another."""

from pathlib import Path

import pytest

from ops.check.repository import Scan, scan
from ops.errors import OperationError
from tests.ops.command.conftest import commit
from tests.support import ROOT


@pytest.mark.live
def test_ours_holds_no_secret() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    assert scan(ROOT) == Scan((), ())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"token: dop_v1_{64 * 'a'}", "DigitalOcean"),
        (f"key: DO00{8 * 'A7'}", "DigitalOcean"),
        (f"-----BEGIN {'RSA'} PRIVATE KEY-----\nMIIEpAIBAAKCAQEA", "Private Key"),
        (f"aws: AKIA{4 * 'Z7Q2'}", "AWS Access Key"),
        (f"hook: https://hooks.slack.com/services/T{8 * 'A'}/B{8 * 'B'}/{24 * 'c'}", "Slack Token"),
    ],
)
def test_a_secret_is_found_and_not_repeated(tmp_path: Path, text: str, kind: str) -> None:
    (tmp_path / "notes.txt").write_text(f"first line\n{text}\n", encoding="utf-8")
    commit(tmp_path)
    (found,) = scan(tmp_path).found
    assert (found.file, found.line, found.kind) == ("notes.txt", 2, kind)
    assert text not in str(found)


def test_what_git_ignores_is_not_read_and_what_is_new_is(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text(".env\n", encoding="utf-8")
    commit(tmp_path)
    for name in (".env", "new.txt"):
        (tmp_path / name).write_text(f"dop_v1_{64 * 'b'}\n", encoding="utf-8")
    assert [one.file for one in scan(tmp_path).found] == ["new.txt"]


def test_an_example_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"dop_v1_{64 * 'b'}  # pragma: allowlist secret\n", encoding="utf-8")
    commit(tmp_path)
    assert scan(tmp_path) == Scan((), ())


def test_a_folder_without_git_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(OperationError, match="git ls-files"):
        scan(tmp_path)
