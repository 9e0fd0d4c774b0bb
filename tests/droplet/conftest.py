"""A droplet before its first release, and one that runs it."""

from pathlib import Path

import pytest

from droplet.converge.paths import Paths
from tests.droplet.machine import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    paths = Paths(*(tmp_path / name for name in ("state", "run", "units", "defaults", "cloud/instance-id")))
    (tmp_path / "bootstrap").mkdir(parents=True)
    paths.releases.mkdir(parents=True)
    paths.current.symlink_to(tmp_path / "bootstrap")
    return Host(paths)


@pytest.fixture
def healthy(host: Host) -> Host:
    assert host.once() == 0
    return host
