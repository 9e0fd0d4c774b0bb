"""Grafana's files on a droplet: whole or not at all, and who is started again for which."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from cloud_init.grafana import render_grafana
from droplet.converge.errors import CommandError
from droplet.observability.command import configure
from droplet.observability.configure import Configurer
from droplet.observability.dashboards import UNITS, Dashboards, DashboardsError
from lab.dashboards.__main__ import production

READER, GRAFANA = UNITS


@cache
def rendered() -> dict[str, str]:
    """Production's."""
    plan = production().observability
    assert plan
    assert plan.grafana
    files: dict[str, str] = json.loads(render_grafana(plan.grafana))["files"]
    return files


class Machine:
    """Stands in for systemd: remembers what it was asked, and refuses what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.given = folder / "grafana", folder / "given"
        self.asked = dict[str, str]()
        self.refuses = ""
        self.given.mkdir()
        self.dashboards = Dashboards(self.run, self.folder, self.given)
        self.files = rendered()

    def run(self, command: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        if self.refuses and self.refuses in command:
            raise CommandError("no")
        self.asked[command[3]] = command[1]
        return ""

    def give(self, files: object) -> None:
        (self.given / "dashboards.json").write_text(json.dumps({"files": files}))

    def installed(self) -> dict[str, str]:
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): path.read_text() for path in paths}

    def told(self) -> dict[str, str]:
        asked, self.asked = self.asked, {}
        return asked


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.give(machine.files)
    machine.dashboards.install()
    machine.told()
    return machine


def test_all_of_it_is_there_and_its_container_can_read_it(machine: Machine) -> None:
    assert machine.installed() == machine.files
    assert {path.stat().st_mode & 0o777 for path in machine.folder.rglob("*")} == {0o644, 0o755}


def test_a_dashboard_restarts_nothing(machine: Machine) -> None:
    changed = {**machine.files, "dashboards/overview.json": '{"title": "new"}'}
    machine.give(changed)
    machine.dashboards.install()
    assert machine.installed() == changed
    assert machine.told() == {READER: "start", GRAFANA: "start"}


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        ("grafana.ini", GRAFANA),
        ("firewall.nft", GRAFANA),
        ("provisioning/datasources/metrics.yaml", GRAFANA),
        ("reader.yaml", READER),
    ],
)
def test_what_is_read_once_is_started_again(machine: Machine, file: str, unit: str) -> None:
    machine.give({**machine.files, file: "changed"})
    machine.dashboards.install()
    told = machine.told()
    assert told.pop(unit) == "restart"
    assert set(told.values()) == {"start"}


def test_a_dashboard_that_goes_is_removed(machine: Machine) -> None:
    fewer = {name: text for name, text in machine.files.items() if name != "dashboards/church.json"}
    machine.give(fewer)
    machine.dashboards.install()
    assert machine.installed() == fewer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"../../etc/passwd": ""}, "has a file that cannot be: '../../etc/passwd'"),
        ({"dashboards/a/b/c.json": "{}"}, "has a file that cannot be"),
        ({"dashboards/church.json": "{"}, "dashboards/church.json is not JSON"),
    ],
)
def test_what_is_wrong_leaves_everything_as_it_was(
    machine: Machine, change: Mapping[str, str], words: str
) -> None:
    machine.give({**machine.files, **change})
    with pytest.raises(DashboardsError, match=words):
        machine.dashboards.install()
    assert machine.installed() == machine.files
    assert machine.told() == {}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "dashboards.json does not have the form"),
        ({"grafana.ini": ""}, r"lacks provisioning/, firewall.nft, reader.yaml"),
    ],
)
def test_what_is_not_whole_is_refused(machine: Machine, files: object, words: str) -> None:
    machine.give(files)
    with pytest.raises(DashboardsError, match=words):
        machine.dashboards.install()


def test_a_grafana_that_does_not_start_is_told_and_alerts_do_not_wait_for_it(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.refuses = GRAFANA
    done = []

    class Alerts(Configurer):
        def configure(self) -> None:
            done.append("alerts")

    alerts = Alerts(machine.run, machine.folder, machine.given)
    assert configure(alerts, machine.dashboards, machine.given) == 1
    assert done == ["alerts"]
    assert "presence360_observability_success 0" in (machine.given / "observability.prom").read_text()
    assert f"{GRAFANA}: no" in capsys.readouterr().out


def test_without_an_object_nothing_is_done(tmp_path: Path) -> None:
    assert not Dashboards(lambda *_: "", tmp_path / "grafana", tmp_path).wanted
