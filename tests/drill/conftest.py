"""Churches with dumps from before and after a backup, and a droplet that tries forks of it."""

import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.local_postgres import Template
from lab.managed_cluster import Cluster
from lab.object_storage import Gateway
from tests.backups.conftest import fill, gateway, template
from tests.backups.site import Site
from tests.drill.site import Platform

__all__ = ["gateway", "template"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts servers, so that `make check` leaves it out."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "template" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.isolation)


def platform(template: Template, gateway: Gateway, churches: int, folder: Path, stack: ExitStack) -> Platform:
    """Make churches with content, and a droplet that dumps them."""
    server = stack.enter_context(template.server())
    droplet = server.folder.with_name(f"{server.folder.name}-droplet")
    droplet.mkdir()
    stack.callback(shutil.rmtree, droplet)
    cluster = Cluster(server, droplet, administers=True).create()
    site = Site(folder, {"shared": cluster}, gateway, bucket=f"drill-{time.time_ns()}")
    copies = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill-")))
    copies.chmod(0o755)
    made = cluster.tenants(range(1, churches + 1))
    assert cluster.job().code == 0
    site.write()
    for number, tenant in enumerate(made):
        if number < 1:
            # Each kind of thing that a database may hold.
            fill(cluster, tenant)
        with cluster.as_tenant(tenant) as connection:
            connection.execute(CONTENT)
    return Platform(site, template, copies)


CONTENT = b"""
CREATE TABLE clans (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE kin (
    id serial PRIMARY KEY, family bigint NOT NULL REFERENCES clans, name text NOT NULL, email text UNIQUE,
    CHECK (length(name) > 0));
CREATE INDEX kin_by_name ON kin (name);
INSERT INTO clans (name) SELECT 'family ' || n FROM generate_series(1, 200) AS n;
INSERT INTO kin (family, name, email)
    SELECT 1 + n % 200, 'member ' || n, n || '@example.org' FROM generate_series(1, 1000) AS n;
"""
