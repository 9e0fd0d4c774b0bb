"""The table of `presence360 capacity`."""

import json
import re
from pathlib import Path

import pytest

from model.loader import load_environments
from ops.capacity import as_json, table
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
    assert connections.split()[-5:] == ["20", "47", "42", "%", "13"]
    assert "room for 13 more tenants with the usual limits" in found[-3]


def test_it_forecasts_a_plan() -> None:
    assert re.search(r"a plan of all of it: 83 API requests, at least 1 min", lines("staging")[-2])


def test_columns_are_aligned() -> None:
    rows = [line for line in lines("production") if "%" in line]
    assert len({line.index("%") for line in rows}) == 1


def test_what_is_nearly_used_up_is_marked(copied: Workspace) -> None:
    copied.replace(STAGING, "connections: 5\n", "connections: 12\n")
    (environment,) = copied.load()
    printed = "\n".join(table(environment))
    assert re.search(r"connections of the cluster shared +45 +47 +95 % +0 !", printed)
    assert printed.endswith("! more than 80 percent is used")
    (nearly,) = [limit for limit in as_json(environment)["limits"] if limit["nearly_used_up"]]
    assert (nearly["used"], nearly["limit"], nearly["room_for_tenants"]) == (45, 47, 0)


def test_what_is_used_up_is_an_error(copied: Workspace) -> None:
    copied.replace(STAGING, "connections: 5\n", "connections: 15\n")
    assert "54 needed, 47 available" in copied.error()


def test_programs_read_the_same_numbers() -> None:
    (environment,) = [one for one in load_environments(ENVIRONMENTS) if one.file.environment == "staging"]
    found = as_json(environment)
    assert (found["room_for_tenants"], found["requests_of_a_plan"]) == (13, 83)
    assert json.loads(json.dumps(found)) == found
