"""The observability droplet's files: checked before anything changes, each with its own reader, who is told."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from droplet.converge.errors import CommandError
from droplet.observability.configure import ConfigurationError, Configurer
from droplet.observability.files import CONFIGURATION, UNITS

TEXTS = {name: f"{name} 1" for name in CONFIGURATION}
SECRETS = {
    "observability_token": "reads-droplets",
    "alert_email_password": "of the relay",
    "valkey": {"address": "rediss://valkey:25061", "user": "default", "password": 'a"b$c\\d'},
    "backup": {"endpoint": "https://fra1", "bucket": "b", "access_key": "a", "secret_key": "s"},
}


class Machine:
    """Stands in for the droplet: remembers what was run, and refuses what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran, self.owners = folder, list[list[str]](), dict[str, str]()
        self.refuses = ""
        (folder / "given").mkdir()
        self.configurer = Configurer(self.run, folder / "state", folder / "given", own=self.own)

    def run(self, command: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        self.ran.append(list(command))
        if self.refuses and any(self.refuses in word for word in command):
            raise CommandError(f"{command[0]}: exit 1: line 3")
        return ""

    def own(self, path: Path, group: str) -> None:
        self.owners[path.name.strip(".").removesuffix(".draft")] = group

    def give(self, texts: Mapping[str, str], secrets: object = SECRETS) -> None:
        (self.folder / "given/observability.json").write_text(json.dumps({"files": texts}))
        (self.folder / "given/observability-secrets.json").write_text(json.dumps(secrets))

    def told(self) -> dict[str, str]:
        """By unit, what systemd was asked to do, since the last time that this was asked."""
        found = {command[3]: command[1] for command in self.ran if command[0] == "systemctl"}
        self.ran.clear()
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.give(TEXTS)
    machine.configurer.configure()
    return machine


def test_every_program_checks_its_own_files_before_it_gets_them(machine: Machine) -> None:
    checked = {Path(command[0]).name for command in machine.ran if command[0] != "systemctl"}
    assert checked == {"victoria-metrics", "vmalert", "amtool", "prometheus-blackbox-exporter"}
    for name, text in TEXTS.items():
        assert (machine.folder / "state" / name).read_text() == text
    assert not (machine.folder / "state/drafts").exists()


def test_a_secret_is_its_readers_and_roots(machine: Machine) -> None:
    folder = machine.folder / "state/secrets"
    assert (folder / "observability_token").read_text() == "reads-droplets"
    # As systemd reads it (systemd.exec(5), EnvironmentFile=).
    assert 'REDIS_PASSWORD="a\\"b\\$c\\\\d"\n' in (folder / "valkey.env").read_text()
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "observability_token": 0o640, "alert_email_password": 0o640, "valkey.env": 0o640, "backup.json": 0o640,
    }  # fmt: skip
    assert machine.owners == {
        "observability_token": "_victoria-metrics",
        "alert_email_password": "prometheus",
        "valkey.env": "root",
        "backup.json": "root",
    }


def test_nothing_new_starts_what_stopped_and_reloads_nothing(machine: Machine) -> None:
    machine.told()
    machine.configurer.configure()
    assert machine.told() == dict.fromkeys(UNITS, "start")


def test_a_change_reloads_its_reader_alone(machine: Machine) -> None:
    machine.told()
    machine.give({**TEXTS, "rules.yaml": "rules 2"})
    machine.configurer.configure()
    told = machine.told()
    assert told.pop("vmalert.service") == "reload-or-restart"
    assert set(told.values()) == {"start"}


def test_what_reads_its_secrets_once_is_started_again(machine: Machine) -> None:
    machine.told()
    valkey = {**SECRETS["valkey"], "password": "rotated"}  # type: ignore[dict-item]  # a mapping, as above
    machine.give(TEXTS, {**SECRETS, "valkey": valkey})
    machine.configurer.configure()
    assert machine.told()["prometheus-redis-exporter.service"] == "restart"


def test_a_secret_that_is_no_longer_given_goes(machine: Machine) -> None:
    machine.give(TEXTS, {key: value for key, value in SECRETS.items() if key != "alert_email_password"})
    machine.configurer.configure()
    assert not (machine.folder / "state/secrets/alert_email_password").exists()


def test_what_is_refused_leaves_everything_as_it_was(machine: Machine) -> None:
    machine.give({**TEXTS, "scrape.yaml": "scrape 2", "rules.yaml": "no rules"})
    machine.refuses = "rules.yaml"
    with pytest.raises(ConfigurationError, match=r"rules\.yaml is refused: .*line 3"):
        machine.configurer.configure()
    for name, text in TEXTS.items():
        assert (machine.folder / "state" / name).read_text() == text


@pytest.mark.parametrize(
    ("texts", "secrets", "words"),
    [
        ({}, SECRETS, "observability.json lacks alertmanager.yaml"),
        (TEXTS, {"observability_token": "x"}, "observability-secrets.json does not have the form"),
        (TEXTS, [], "observability-secrets.json is not a JSON object"),
    ],
)
def test_what_is_not_whole_is_refused(
    machine: Machine, texts: Mapping[str, str], secrets: object, words: str
) -> None:
    machine.give(texts, secrets)
    with pytest.raises(ConfigurationError, match=words):
        machine.configurer.configure()


def test_a_unit_that_does_not_start_keeps_no_other_from_it(machine: Machine) -> None:
    machine.told()
    machine.refuses = "victoria-metrics.service"
    with pytest.raises(ConfigurationError, match=r"victoria-metrics\.service"):
        machine.configurer.configure()
    assert "vmalert.service" in machine.told()
