"""Every service, every program of droplet/ and every kind of resource has an alert, or a reason why not."""

import pytest

from model.alerts import ALERTS
from model.alerts.data import MIGRATIONS
from model.services import CATALOGUE
from ops.guard.kinds import DATA, REBUILT
from tests.support import ROOT

WATCHED = frozenset[str]().union(*(alert.watches for alert in ALERTS.values()))

NOT_PROGRAMS = {
    "__init__", "__main__", "configuration", "database_lock", "integers", "journal", "names", "postgres", "record",
    "session", "work_login", "by_hand", "outcome", "feeding", "begun", "killed",
}  # fmt: skip
"""Modules that programs share."""

REASONS = {
    "restore": "a person runs it, and reads what it says",
    "move_tenant": "a person runs it, and reads what it says",
    "compare": "a person runs it, and reads what it says",
    "export": "a person runs it, and reads what it says",
    "sql": "a person asks for it, and reads what it says; what it makes, the isolation job ends and counts",
    "digitalocean_database_firewall": "it lets in by tag: where it is wrong, PoolDown and IsolationFails come",
    "digitalocean_database_logsink_rsyslog": "the server that gets the logs tells when none come",
    "digitalocean_database_postgresql_config": "settings of a cluster, which has alerts of its own",
    "digitalocean_database_valkey_config": "settings of a cluster, which has alerts of its own",
    "digitalocean_firewall": "where it is wrong, DropletSilent, ServiceDown or NameDown come",
    "digitalocean_monitor_alert": "it is an alert",
    "digitalocean_project": "it orders the control panel, and nothing runs in it",
    "digitalocean_project_resources": "it orders the control panel, and nothing runs in it",
    "digitalocean_spaces_bucket_cors_configuration": "where it is wrong, a browser says so at once",
    "digitalocean_ssh_key": "read once, when a droplet is made",
    "digitalocean_uptime_alert": "it is an alert",
    "digitalocean_uptime_check": "it is half of an alert",
    "digitalocean_volume_attachment": "without it victoria-metrics does not start, and the watchdog tells",
    "digitalocean_vpc": "where it fails, every droplet is silent",
    "terraform_data": "it is done when the apply is",
}
"""What has no alert, and why."""


def programs() -> set[str]:
    found = {path.stem for path in (ROOT / "droplet").iterdir() if path.suffix == ".py"}
    found |= {path.name for path in (ROOT / "droplet").iterdir() if (path / "__init__.py").exists()}
    return found - NOT_PROGRAMS


def services() -> set[str]:
    return {"service:port" if service.port else f"service:{service.name}" for service in CATALOGUE.values()}


def test_everything_is_watched_or_has_a_reason() -> None:
    everything = programs() | services() | DATA.keys() | REBUILT
    assert everything - WATCHED - REASONS.keys() == set()


def test_a_reason_stands_for_what_has_no_alert() -> None:
    assert REASONS.keys() & WATCHED == set()
    assert REASONS.keys() <= programs() | services() | DATA.keys() | REBUILT


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("MigrationsFail", "| `failing{database}` | there is a series for 10 minutes: the alert ["),
        ("MigrationsDue", "| `success` | 0 for 30 minutes: the alert ["),
        (
            "MigrationsNotRun",
            "| `timestamp_seconds` | older than 30 minutes on all droplets of the group: the alert [",
        ),
    ],
)
def test_the_page_of_migrations_says_what_the_alerts_do(name: str, row: str) -> None:
    (alert,) = (one for one in MIGRATIONS if one.name == name)
    minutes = {"MigrationsFail": "10m", "MigrationsDue": "30m", "MigrationsNotRun": "0m"}
    assert alert.hold == minutes[name]
    assert ("1800" in alert.expression) == (name == "MigrationsNotRun")
    page = (ROOT / "docs" / "migrations.md").read_text(encoding="utf-8")
    assert page.count(f"{row}{name}](runbooks/alerts.md#{name.lower()})") == 1
