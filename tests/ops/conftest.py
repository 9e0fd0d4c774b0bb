"""A clock and a local DigitalOcean in this process."""

from collections.abc import Iterator

import pytest

from tests.ops.cloud import Cloud, Time


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cloud(time: Time, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    cloud = Cloud(time, monkeypatch)
    yield cloud
    cloud.server.stop()
