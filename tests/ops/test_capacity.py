"""The table of `make capacity`."""

import re
from pathlib import Path

import pytest

from model.loader import load_environments
from ops.capacity import main, table
from tests.model.workspace import STAGING, Workspace
from tests.support import ENVIRONMENTS


@pytest.fixture
def copied(tmp_path: Path) -> Workspace:
    return Workspace.copy(tmp_path, "staging")


def lines(name: str) -> list[str]:
    (environment,) = [one for one in load_environments(ENVIRONMENTS) if one.file.environment == name]
    return list(table(environment))


def test_it_says_used_limit_and_room() -> None:
    found = lines("staging")
    assert found[0].split() == ["staging", "used", "limit", "room", "for", "tenants"]
    (connections,) = [line for line in found if line.startswith("connections of the cluster shared")]
    assert connections.split()[-5:] == ["25", "47", "53", "%", "4"]
    assert "room for 4 more tenants with the usual limits" in found[-3]


def test_it_forecasts_a_plan() -> None:
    assert re.search(r"a plan of all of it: 47 API requests, at least 1 min", lines("staging")[-2])


def test_columns_are_aligned() -> None:
    rows = [line for line in lines("production") if "%" in line]
    assert len({line.index("%") for line in rows}) == 1


def test_what_is_nearly_used_up_is_marked(copied: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    copied.replace(STAGING, "connections: 5\n", "connections: 9\n")
    assert main(["--environments", str(copied.root)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"connections of the cluster shared +41 +47 +87 % +0 !", printed)
    assert printed.endswith("! more than 80 percent is used\n")


def test_what_is_used_up_is_an_error(copied: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    copied.replace(STAGING, "connections: 5\n", "connections: 12\n")
    assert main(["--environments", str(copied.root)]) == 2
    assert "53 needed, 47 available" in capsys.readouterr().err
