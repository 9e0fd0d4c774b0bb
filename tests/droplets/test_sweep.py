"""A run that was killed leaves no droplet: the next one ends what lives on in its control groups."""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.droplets.laboratory import control_group_roots, sweep


@pytest.fixture
def group() -> Iterator[Path]:
    """A droplet's control group, of a process that has ended."""
    if os.geteuid() != 0 or not control_group_roots():
        pytest.skip("control groups take root, and a mounted file system")
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = control_group_roots()[0] / f"p360-{ended.pid}-{secrets.token_hex(2)}-staging-app-1"
    folder.mkdir()
    yield folder
    if folder.exists():
        folder.rmdir()


def test_what_lives_on_in_its_control_group_is_ended(group: Path) -> None:
    init, other = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    try:
        (group / "cgroup.procs").write_text(str(init.pid))
        sweep()
        assert init.wait(10) == -9
        assert other.poll() is None
        end = time.monotonic() + 5
        while group.exists() and time.monotonic() < end:
            time.sleep(0.1)
            sweep()
        assert not group.exists()
    finally:
        for process in (init, other):
            process.kill()
            process.wait()
