"""Who is not served for a while: nginx looks for files, and services read /etc/presence360/maintenance.json.

No release and no turn is waited for. nginx is reloaded where somebody more is closed, because an open WebSocket asks no
file: a reload ends them after two minutes (nginx.conf.j2, worker_shutdown_timeout).
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from droplet import journal
from droplet.converge.manifest import agrees, sha256
from droplet.converge.paths import Paths, read_json, write

KEY = "maintenance.json"
ENVIRONMENT = "environment"
"""Stands for the whole environment, in the folder and in what is said."""

_SLUG = re.compile(r"[a-z0-9-]{1,63}")


@dataclass(frozen=True)
class Maintenance:
    """Who is not served.

    Attributes:
        digest: of the object, as a manifest would name it; None on a droplet that never had one.
        environment: whether the whole environment is closed.
        slugs: of the churches that are closed.
    """

    digest: str | None
    environment: bool
    slugs: frozenset[str]

    @property
    def closed(self) -> frozenset[str]:
        """Everything that is closed, by a name for each."""
        return self.slugs | ({f"{ENVIRONMENT}/"} if self.environment else set())

    def __str__(self) -> str:
        if self.environment:
            return ENVIRONMENT
        return ", ".join(sorted(self.slugs))


def mark_maintenance(paths: Paths, reload: Callable[[], None]) -> None:
    """Bring files to the fetched object; what is wrong with the object leaves them as they are.

    Args:
        paths: where they are.
        reload: lets nginx begin with new workers, so that open connections of those that were closed end.
    """
    if not agrees(paths, KEY, "environment"):
        return
    content = (paths.incoming / KEY).read_bytes()
    found = _read(content)
    if found is None:
        journal.log(journal.ERROR, f"{KEY} does not say who is in maintenance")
        return
    seen = paths.shared / KEY
    if not seen.exists() or seen.read_bytes() != content:
        paths.shared.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Containers' user is not root.
        write(seen, content, mode=0o644)
        journal.log(journal.INFO, f"in maintenance: {found if found.closed else 'nobody'}")
    _mark(paths.maintenance, found)
    known = read_json(paths.maintenance_closed).get("closed")
    before = frozenset(known) if isinstance(known, list) else frozenset()
    if found.closed != before:
        if found.closed - before:
            reload()
        write(paths.maintenance_closed, json.dumps({"closed": sorted(found.closed)}).encode(), mode=0o644)


def maintenance(paths: Paths) -> Maintenance:
    """Return who is not served, as nginx and services have been told."""
    try:
        content = (paths.shared / KEY).read_bytes()
    except OSError:
        return Maintenance(None, environment=False, slugs=frozenset())
    return _read(content) or Maintenance(None, environment=False, slugs=frozenset())


def _read(content: bytes) -> Maintenance | None:
    try:
        value = json.loads(content)
        slugs = frozenset(one["slug"] for one in value["tenants"] if _SLUG.fullmatch(one["slug"]))
        return Maintenance(sha256(content)[:16], environment=value["environment"] is True, slugs=slugs)
    except (ValueError, KeyError, TypeError):
        return None


def _mark(folder: Path, found: Maintenance) -> None:
    tenants = folder / "tenants"
    if not tenants.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        tenants.mkdir(mode=0o755, parents=True)
    if found.environment:
        (folder / ENVIRONMENT).touch(mode=0o644)
    else:
        (folder / ENVIRONMENT).unlink(missing_ok=True)
    before = {path.name for path in tenants.iterdir()}
    for slug in found.slugs - before:
        (tenants / slug).touch(mode=0o644)
    for name in before - found.slugs:
        (tenants / name).unlink()
