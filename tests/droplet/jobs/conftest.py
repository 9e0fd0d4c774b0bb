"""A group of two droplets."""

from pathlib import Path

import pytest

from tests.droplet.jobs.site import Buckets, Machine, machine


@pytest.fixture
def group(tmp_path: Path) -> tuple[Machine, Machine]:
    buckets = Buckets()
    return machine(tmp_path, buckets, 1), machine(tmp_path, buckets, 2)


@pytest.fixture
def first(group: tuple[Machine, Machine]) -> Machine:
    return group[0]


@pytest.fixture
def second(group: tuple[Machine, Machine]) -> Machine:
    return group[1]
