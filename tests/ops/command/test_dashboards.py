"""`presence360 dashboards`: the files, and where they cannot be written."""

import json

from cloud_init.dashboards import render_dashboards
from model.dashboards import DASHBOARDS, plan_dashboards
from model.loader import load_environments
from tests.ops.command.conftest import Command


def test_it_writes_what_grafana_shows(command: Command) -> None:
    folder = command.files.root.parent / "new/dashboards"
    said = command("dashboards", "production", "--into", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{one.name}.json" for one in DASHBOARDS)
    assert said.out.split() == [str(folder / f"{one.name}.json") for one in DASHBOARDS]
    environments = {one.file.environment: one for one in load_environments(command.files.root)}
    environment = environments["production"]
    drawn = render_dashboards(plan_dashboards(environment.file, environment.tenants))
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == drawn
    churches = json.loads(drawn["church.json"])["templating"]["list"][0]["query"]
    assert "grace : 0c5d9e7f-1a2b-4c3d-8e4f-5a6b7c8d9004" in churches.split(",")


def test_where_it_cannot_write(command: Command) -> None:
    file = command.files.root.parent / "file"
    file.touch()
    assert f"{file}: this is no folder" in command.refused("dashboards", "staging", "--into", str(file))
    assert "there is no environment 'nowhere'" in command.refused(
        "dashboards", "nowhere", "--into", str(file)
    )
