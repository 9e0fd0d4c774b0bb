"""Environments are found, and production comes last."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model.schema import LABEL_PATTERN
from ops.ci.environments import NAME_PATTERN, Order, found, main, order
from ops.paths import ROOT


def test_production_is_deployed_after_everything_else() -> None:
    names = ["production", "staging", "preview", "production-eu", "preproduction"]
    assert order(names) == Order(
        first=("preproduction", "preview", "staging"), last=("production", "production-eu")
    )


def test_an_environment_alone_is_deployed() -> None:
    assert order(["production"]) == Order(first=(), last=("production",))
    assert order(["staging"]) == Order(first=("staging",), last=())


@pytest.mark.parametrize("name", ["Staging", "-x", "x" * 21, "a b", 'a"]', "staging\n"])
def test_what_cannot_be_an_environment_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        order(["staging", name])


def test_names_are_those_that_the_model_allows() -> None:
    assert NAME_PATTERN == LABEL_PATTERN


def test_files_and_hidden_folders_are_no_environments(tmp_path: Path) -> None:
    for folder in ("staging", ".idea"):
        (tmp_path / folder).mkdir()
    (tmp_path / "README.md").touch()
    assert found(tmp_path) == ["staging"]


def test_outputs_are_json_of_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("staging", "preview", "production"):
        (tmp_path / folder).mkdir()
    assert main(tmp_path) == 0
    lines = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
    assert {name: json.loads(value) for name, value in lines.items()} == {
        "environments": ["preview", "staging", "production"],
        "first": ["preview", "staging"],
        "last": ["production"],
    }


def test_a_name_that_is_none_is_an_error_with_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Old Staging").mkdir()
    assert main(tmp_path) == 2
    said = capsys.readouterr()
    assert "environments/Old Staging" in said.err
    assert not said.out


def test_nothing_needs_to_be_installed() -> None:
    """A workflow's first job calls it with the runner's own Python."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "ops.ci.environments"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("environments=[")
