"""The folders of the isolation job, and the files that outlive a run."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from droplet.configuration import Configuration, ConfigurationError, read_configuration
from droplet.postgres import write_private

PREFIX = "isolation_"
"""Of the configurations' files: systemd joins folder and name with `_` (systemd.exec(5), LoadCredential=)."""

BUSY_SECONDS = 180.0
"""For how long other runs may be in progress before that is a failure: longer than a first run takes, and than the
server takes to give up a session whose droplet is gone (droplet/postgres.py)."""

FULL_SECONDS = 24 * 3600
"""How often every database is visited, whatever the shared catalogs say."""


@dataclass(frozen=True)
class Folders:
    """Where the job's files are; on a droplet systemd says it (presence360-isolation.service).

    Attributes:
        configurations: with isolation_environment.json and those of the cells.
        scratch: of this run alone, for passwords, certificate authorities and metrics.
        state: for what outlives a run: when each cluster's databases were last visited, and the last results.
    """

    configurations: Path
    scratch: Path
    state: Path

    @property
    def metrics(self) -> Path:
        """In Prometheus's text format."""
        return self.scratch / "isolation.prom"

    @property
    def samples(self) -> Path:
        """The results of each cluster's last run, for runs that do nothing because another one is in progress."""
        return self.state / "samples.json"

    def read_configurations(self) -> tuple[list[Configuration], dict[str, str]]:
        """Return the configurations that can be used, and by name what is wrong with the others."""
        found, broken = [], {}
        taken: dict[str, str] = {}
        for path in sorted(self.configurations.glob(f"{PREFIX}*.json")):
            name = path.name.removeprefix(PREFIX).removesuffix(".json")
            try:
                configuration = read_configuration(path, name)
            except ConfigurationError as error:
                broken[name] = str(error)
                continue
            # Stamps and metrics go by the cluster's name.
            for cluster in configuration.clusters:
                if other := taken.get(cluster.name):
                    broken[name] = f"names a cluster {cluster.name}, as {other} does"
            if name not in broken:
                taken |= {cluster.name: name for cluster in configuration.clusters}
                found.append(configuration)
        return found, broken

    def full_visit_is_due(self, cluster: str, now: float) -> bool:
        """Tell whether all databases of a cluster are to be visited."""
        stamp = self._stamp(cluster)
        return not stamp.exists() or now - stamp.stat().st_mtime >= FULL_SECONDS

    def full_visit_is_done(self, cluster: str) -> None:
        """Note that all databases of a cluster were visited just now."""
        self._stamp(cluster).touch()

    def busy_for(self, cluster: str, now: float, *, busy: bool) -> float:
        """Note whether another run was in progress in a cluster, and return for how many seconds that has been so."""
        stamp = self.state / f"busy-{cluster}"
        if not busy:
            stamp.unlink(missing_ok=True)
            return 0.0
        if not stamp.exists():
            stamp.write_text(str(now), encoding="utf-8")
        return now - float(stamp.read_text(encoding="utf-8") or now)

    def forget_stamps(self, known: Set[str]) -> None:
        """Remove the stamps of clusters that no configuration names any more."""
        for stamp in (*self.state.glob("visited-*"), *self.state.glob("busy-*")):
            if stamp.name.partition("-")[2] not in known:
                stamp.unlink()

    def read_samples(self, metrics: Set[str]) -> dict[str, dict[str, float]]:
        """Return the last results by cluster and metric; nothing that another version of this program wrote."""
        try:
            found = json.loads(self.samples.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: samples for name, samples in found.items() if set(samples) == metrics}

    def write_samples(self, samples: Mapping[str, Mapping[str, float]]) -> None:
        """Keep the last results."""
        write_private(self.samples, json.dumps(samples))

    def _stamp(self, cluster: str) -> Path:
        return self.state / f"visited-{cluster}"
