"""Where files are on a droplet, and how they are written."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Paths:
    """Where files are on a droplet; tests have their own."""

    state: Path = Path("/var/lib/presence360")
    run: Path = Path("/run/presence360")
    units: Path = Path("/etc/systemd/system")
    defaults: Path = Path("/etc/default")
    instance: Path = Path("/var/lib/cloud/data/instance-id")
    """The droplet's id, as cloud-init read it from DigitalOcean (cloudinit/sources/DataSourceDigitalOcean.py)."""

    @property
    def incoming(self) -> Path:
        """The bucket, as last fetched."""
        return self.state / "incoming"

    @property
    def manifests(self) -> Path:
        """What each Terraform stack says it wrote there."""
        return self.incoming / "manifests"

    @property
    def isolation(self) -> Path:
        """The configurations of the isolation job, on the group that runs it."""
        return self.incoming / "isolation"

    @property
    def isolation_changed(self) -> Path:
        """Written when those change; systemd then starts the job (presence360-isolation.path)."""
        return self.state / "isolation.changed"

    @property
    def tenants(self) -> Path:
        """A file for each tenant, named after its slug; nginx looks there for each request (nginx.conf.j2)."""
        return self.state / "tenants"

    @property
    def maintenance(self) -> Path:
        """A file for whom nginx answers 503 (nginx.conf.j2)."""
        return self.state / "maintenance"

    @property
    def maintenance_closed(self) -> Path:
        """Who was closed when nginx was last reloaded for it."""
        return self.state / "maintenance.closed"

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
        """The release that failed last, and why; written before it is tried, so that a full disk hides no failure."""
        return self.state / "failed.json"

    @property
    def migrated(self) -> Path:
        """The images whose migrations this droplet has waited for."""
        return self.state / "migrated.json"

    @property
    def lock(self) -> Path:
        """Held by a run. Root's alone: a lock on a file that others can read is a lock that others can hold."""
        return self.run / "converge.lock"

    @property
    def status(self) -> Path:
        """What this droplet said last; in memory, so that a full disk does not silence it."""
        return self.run / "status.json"

    @property
    def receiver(self) -> Path:
        """How this droplet receives telemetry (droplet/telemetry); only where it does."""
        return self.run / "receiver.json"

    @property
    def isolated(self) -> Path:
        """The metrics of the isolation job; only where it runs."""
        return self.run / "isolation.prom"

    @property
    def peers(self) -> Path:
        """What every droplet of the group said last, a copy of the status bucket."""
        return self.run / "peers"

    @property
    def waiting(self) -> Path:
        """What this droplet waits for, and since when."""
        return self.run / "waiting.json"

    @property
    def restarts(self) -> Path:
        """How often services were restarted because they were unhealthy, and when last."""
        return self.run / "restarts.json"

    @property
    def draining(self) -> Path:
        """While this file exists, the health daemon answers 503 to the load balancer."""
        return self.run / "draining"

    @property
    def leaving(self) -> Path:
        """As `draining`, for a droplet that shuts down: no run removes it."""
        return self.run / "leaving"

    @property
    def restarting(self) -> Path:
        """As `draining`, while nginx restarts: its unit removes it (nginx.service.d/presence360.conf)."""
        return self.run / "restarting"

    @property
    def metrics(self) -> Path:
        """In Prometheus's text format; the health daemon serves it."""
        return self.run / "converge.prom"


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file in one step, so that neither a reader nor a power failure leaves half of it.

    The file never has looser rights than ``mode``.
    """
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        # The unit's umask would take rights of the group and of others away.
        os.fchmod(file.fileno(), mode)
        file.flush()
        # Without it the new name may reach the disk before the content does (fsync(2)).
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def link(path: Path, target: Path) -> None:
    """Make a symbolic link, or move it, in one step."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of files to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


LARGEST_RECORD = 4 * 1024 * 1024
"""Bytes of a record. That of migrations has a line for each database; all others are far smaller."""


def read_json(path: Path, largest: int = LARGEST_RECORD) -> dict[str, Any]:
    """Read a record of an earlier run, or an object.

    Empty where it is not there, not readable, or larger than so many bytes: the run makes it again.
    """
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
        if len(content) > largest:
            return {}
        value = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
