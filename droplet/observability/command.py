"""The command line."""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from droplet.converge.paths import write
from droplet.converge.processes import run_program
from droplet.journal import ERROR, log
from droplet.observability import backup
from droplet.observability.configure import ConfigurationError, Configurer
from droplet.observability.dashboards import Dashboards, DashboardsError
from droplet.observability.files import FOLDER
from droplet.observability.receipt import AlertTest


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments name; 1 if it could not be done, which the unit shows as failed."""
    parser = argparse.ArgumentParser(
        prog="observability", description="What the observability droplet runs with."
    )
    parser.add_argument("what", choices=("configure", "backup", "restore", "test"))
    match parser.parse_args(arguments).what:
        case "configure":
            given = _folder("CREDENTIALS_DIRECTORY")
            return configure(
                Configurer(run_program, FOLDER, given),
                Dashboards(run_program, FOLDER / "grafana", given),
                _folder("RUNTIME_DIRECTORY"),
            )
        case "backup":
            return backup.backup(run_program, _folder("CREDENTIALS_DIRECTORY"), _folder("RUNTIME_DIRECTORY"))
        case "test":
            return AlertTest(run_program, FOLDER / "alertmanager.yaml", _folder("STATE_DIRECTORY")).look()
        case _:
            return backup.restore(run_program, FOLDER / "secrets")


def configure(configurer: Configurer, dashboards: Dashboards, scratch: Path) -> int:
    """Bring the programs to what the bucket says, and tell how it went. Alerts do not wait for dashboards."""
    problem = ""
    steps = [configurer.configure, *([dashboards.install] if dashboards.wanted else [])]
    for step in steps:
        try:
            step()
        except (ConfigurationError, DashboardsError, OSError) as error:
            problem = str(error)
            log(ERROR, problem)
    lines = [
        "# HELP presence360_observability_success Whether the newest configuration of the alerts is in force.",
        "# TYPE presence360_observability_success gauge",
        f"presence360_observability_success {int(not problem)}",
        f"presence360_observability_timestamp_seconds {time.time():.0f}",
    ]
    write(scratch / "observability.prom", ("\n".join(lines) + "\n").encode(), mode=0o644)
    return 1 if problem else 0


def _folder(variable: str) -> Path:
    return Path(os.environ.get(variable, "."))
