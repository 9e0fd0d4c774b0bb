"""Where files are on a droplet, and how they are written."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Where files are on a droplet; tests have their own."""

    state: Path = Path("/var/lib/presence360")
    run: Path = Path("/run/presence360")
    units: Path = Path("/etc/systemd/system")
    defaults: Path = Path("/etc/default")

    @property
    def incoming(self) -> Path:
        """The bucket, as last fetched."""
        return self.state / "incoming"

    @property
    def isolation(self) -> Path:
        """The configurations of the isolation job, on the group that runs it."""
        return self.incoming / "isolation"

    @property
    def isolation_changed(self) -> Path:
        """Written when those change; systemd then starts the job (presence360-isolation.path)."""
        return self.state / "isolation.changed"

    @property
    def programs(self) -> Path:
        """A link to the version of the programs that runs; the fetcher sets it."""
        return self.state / "programs/current"

    @property
    def installed(self) -> Path:
        """Which units and defaults earlier runs installed."""
        return self.state / "installed.json"

    @property
    def releases(self) -> Path:
        """One folder for each release, named after its digest."""
        return self.state / "releases"

    @property
    def current(self) -> Path:
        """A link to the release that runs."""
        return self.state / "current"

    @property
    def shared(self) -> Path:
        """What containers see as /etc/presence360; one for all releases, because another path restarts them."""
        return self.state / "shared"

    @property
    def failed(self) -> Path:
        """The release that failed last, and why."""
        return self.state / "failed.json"

    @property
    def draining(self) -> Path:
        """While this file exists, the health daemon answers 503 to the load balancer."""
        return self.run / "draining"

    @property
    def leaving(self) -> Path:
        """As `draining`, for a droplet that shuts down: no run removes it."""
        return self.run / "leaving"

    @property
    def metrics(self) -> Path:
        """In Prometheus's text format; the health daemon serves it."""
        return self.run / "converge.prom"


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file in one step, so that no reader sees half of it; it never has looser rights than ``mode``."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        # The unit's umask would take rights of the group and of others away.
        os.fchmod(file.fileno(), mode)
    draft.replace(path)
