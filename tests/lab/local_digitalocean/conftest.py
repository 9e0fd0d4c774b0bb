"""A stand-in of its own for every test."""

import pytest

from tests.lab.local_digitalocean.client import Api


@pytest.fixture
def api() -> Api:
    return Api()
