"""A copy of the operators' files, and the command over it."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.command.app import app
from tests.model.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """What the command printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """The command over a copy of the files."""

    files: Workspace

    def __call__(self, *arguments: str, code: int = 0) -> Answer:
        """Run it; it has to end with this exit code."""
        result = CliRunner().invoke(
            app, [*arguments, "--environments", str(self.files.root)], prog_name="presence360"
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return Answer(result.exit_code, result.stdout, result.stderr)

    def ended(self, *arguments: str) -> str:
        """Run what does not work, with an exit code of the command's own; all that it says."""
        result = CliRunner().invoke(app, [*arguments], prog_name="presence360")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code in {1, 2}, result.output
        return result.output

    def refused(self, *arguments: str) -> str:
        """Run what has to be refused, with nothing written; what it says."""
        before = self.snapshot()
        answer = self(*arguments, code=2)
        assert self.snapshot() == before
        assert answer.out == ""
        return answer.err

    def snapshot(self) -> dict[Path, bytes]:
        """Every file with its content."""
        return {file: file.read_bytes() for file in sorted(self.files.root.rglob("*")) if file.is_file()}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The command over both environments with their locks, in a folder that no git knows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    made = Command(Workspace.copy(tmp_path, "staging", "production"))
    made("tenant", "lock")
    yield made
    leftovers = [
        file
        for file in made.snapshot()
        if file.name not in {"environment.yaml", "tenants.yaml", "tenants.lock", "environments.lock"}
    ]
    assert leftovers == []


def git(folder: Path, *arguments: str, date: str = "2026-01-01T00:00:00Z") -> None:
    """Run git as a test's author, at a date."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    environ = {
        "GIT_COMMITTER_DATE": date,
        "GIT_AUTHOR_DATE": date,
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
    }
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, env=environ
    )


def commit(folder: Path, *, date: str = "2026-01-01T00:00:00Z") -> None:
    """Commit everything below a folder, which becomes a repository."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "x", date=date)
