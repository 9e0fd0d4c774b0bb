"""The files that the observability droplet's programs read: who may read each, who checks it, who is told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path("/var/lib/presence360-observability")
"""As the units have it (cloud_init/observability.py)."""

STORE_USER, MESSAGES_USER = "_victoria-metrics", "prometheus"
"""Debian's."""


@dataclass(frozen=True)
class File:
    """A file of one program.

    Attributes:
        unit: what reads it.
        group: of the users that may read it beside root; None: everybody.
        check: the program that checks it, with its arguments; ``{}`` stands for the file. Empty: none can.
        restart: whether the unit is started again, because it reads the file only once.
    """

    unit: str
    group: str | None = None
    check: tuple[str, ...] = ()
    restart: bool = False


CONFIGURATION: Mapping[str, File] = {
    "scrape.yaml": File(
        "victoria-metrics.service",
        check=("/usr/bin/victoria-metrics", "-promscrape.config.dryRun", "-promscrape.config={}"),
    ),
    "relabel.yaml": File(
        "victoria-metrics.service", check=("/usr/bin/victoria-metrics", "-dryRun", "-relabelConfig={}")
    ),
    "rules.yaml": File("vmalert.service", check=("/usr/bin/vmalert", "-dryRun", "-rule={}")),
    "alertmanager.yaml": File(
        "prometheus-alertmanager.service", check=("/usr/bin/amtool", "check-config", "{}")
    ),
    "blackbox.yaml": File(
        "prometheus-blackbox-exporter.service",
        check=("/usr/bin/prometheus-blackbox-exporter", "--config.check", "--config.file={}"),
    ),
}

SECRETS: Mapping[str, File] = {
    # Each is read again when it is used.
    "observability_token": File("victoria-metrics.service", STORE_USER),
    "alert_email_password": File("prometheus-alertmanager.service", MESSAGES_USER),
    "alert_slack_url": File("prometheus-alertmanager.service", MESSAGES_USER),
    "alert_webhook_url": File("prometheus-alertmanager.service", MESSAGES_USER),
    "valkey.env": File("prometheus-redis-exporter.service", "root", restart=True),
    "backup.json": File("presence360-metrics-backup.timer", "root"),
}

UNITS = tuple(dict.fromkeys(file.unit for file in (*CONFIGURATION.values(), *SECRETS.values())))


def secret_files(known: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of the files with secrets.

    Args:
        known: observability-secrets.json (constructs_lib/metrics_store.py).
    """
    valkey = known["valkey"]
    texts = {name: str(known[name]) for name in SECRETS if name in known}
    texts["valkey.env"] = "".join(
        f'REDIS_{name}="{_escaped(str(valkey[key]))}"\n'
        for name, key in (("ADDR", "address"), ("USER", "user"), ("PASSWORD", "password"))
    )
    texts["backup.json"] = json.dumps(known["backup"])
    return texts


def _escaped(value: str) -> str:
    """Quote a value as systemd reads it (systemd.exec(5), EnvironmentFile=)."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
