"""A real Postgres and the software of Spaces, for logins that read one database for a while."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster
from lab.object_storage import Gateway
from tests.backups.conftest import Clusters, clusters, gateway, template
from tests.isolation.attempts import works
from tests.sql_access.site import Site

__all__ = ["clusters", "gateway", "template"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts servers, so that `make check` leaves it out."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "site" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.isolation)


@pytest.fixture(scope="module")
def church(clusters: Clusters) -> Cluster:
    """A cluster with two churches that have a table each."""
    cluster = clusters()
    tenants = cluster.tenants([1, 2])
    assert cluster.job().code == 0
    for tenant in tenants:
        works(cluster, tenant.user(), tenant.database)
    return cluster


@pytest.fixture
def site(church: Cluster, gateway: Gateway, tmp_path: Path) -> Iterator[Site]:
    """A droplet of the control group, its buckets, and an operator's machine."""
    made = Site(church, gateway, tmp_path)
    yield made
    made.stop()
