"""Install what Grafana runs with, from an object of the group's bucket, where the droplet has a Grafana.

Dashboards are files that Grafana looks for by itself: a change of them restarts nothing. What is refused leaves
everything as it was.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.converge.processes import Run
from droplet.journal import INFO, log

OBJECT = "dashboards.json"
SECONDS = 60

# By what begins a file's path, who reads it and has to be started again; Grafana reads dashboards again by itself.
READERS: Mapping[str, str] = {
    "grafana.ini": "presence360-grafana.service",
    "provisioning/": "presence360-grafana.service",
    "firewall.nft": "presence360-grafana.service",
    "reader.yaml": "presence360-metrics-reader.service",
}
UNITS = ("presence360-metrics-reader.service", "presence360-grafana.service")

_PATH = re.compile(r"([a-z0-9-]+/){0,2}[a-z0-9-]+\.(ini|json|nft|yaml)")


class DashboardsError(Exception):
    """What the bucket says is not in force; what was before is."""


@dataclass(frozen=True)
class Dashboards:
    """Brings Grafana's files to what the bucket says.

    Attributes:
        run: runs a program.
        folder: where the files are; nothing else is there.
        given: with the object.
    """

    run: Run
    folder: Path
    given: Path

    @property
    def wanted(self) -> bool:
        """Whether the droplet has a Grafana."""
        return (self.given / OBJECT).exists()

    def install(self) -> None:
        """Do it once.

        Raises:
            DashboardsError: some of it cannot be used, or a unit does not start.
        """
        files = self._read()
        restart = set()
        for name, text in sorted(files.items()):
            path = self.folder / name
            if _content(path) != text:
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                write(path, text.encode(), mode=0o644)
                log(INFO, f"{name} of Grafana is new")
                restart.add(next((unit for start, unit in READERS.items() if name.startswith(start)), None))
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in files:
                path.unlink()
        self._tell(restart)

    def _read(self) -> dict[str, str]:
        try:
            files = json.loads((self.given / OBJECT).read_text(encoding="utf-8"))["files"]
            known = {str(name): str(text) for name, text in files.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DashboardsError(f"{OBJECT} does not have the form that Terraform writes") from None
        if wrong := sorted(name for name in known if not _PATH.fullmatch(name)):
            raise DashboardsError(f"{OBJECT} has a file that cannot be: {wrong[0]!r}")
        if missing := [start for start in READERS if not any(name.startswith(start) for name in known)]:
            raise DashboardsError(f"{OBJECT} lacks {', '.join(missing)}")
        for name, text in known.items():
            if name.startswith("dashboards/"):
                try:
                    json.loads(text)
                except ValueError:
                    raise DashboardsError(f"{name} is not JSON") from None
        return known

    def _tell(self, restart: set[str | None]) -> None:
        problems = []
        for unit in UNITS:
            try:
                self.run(
                    ["systemctl", "restart" if unit in restart else "start", "--no-block", unit], {}, SECONDS
                )
            except CommandError as error:
                problems.append(f"{unit}: {error}")
        if problems:
            raise DashboardsError("; ".join(problems))


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
