"""A cluster with four tenants, and a droplet's PgBouncer in front of it, for all tests here: one start of each."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.debian import MissingError
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import Template, installations, tls_settings

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

import psycopg

from lab.managed_cluster import CONNECTIONS, Cluster, Tenant
from lab.pgbouncer import Pooler, poolers
from model.pool import PORT

SIZE = 2
MAJORS = (15, 17) if os.environ.get("PRESENCE360_ALL_POSTGRES") else (17,)
"""The oldest and the newest: before 16 a login role begins as the owner role by itself (docs/isolation.md)."""
TENANTS = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, so that `make check` leaves out what starts servers."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.isolation)


@dataclass
class Scene:
    """What all tests here share.

    Attributes:
        cluster: a server with tenants, isolated.
        pooler: a droplet's PgBouncer.
        tenants: the tenants; a test that changes one takes one of its own.
        objects: what the credentials bucket holds, by tenant id.
        server: how the server is reached over TLS.
        other: another address of it, which its certificate is not for.
    """

    cluster: Cluster
    pooler: Pooler
    tenants: list[Tenant]
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    server: dict[str, str] = field(default_factory=dict)
    other: str = ""

    def credentials(self, tenant: Tenant, generation: int = 1, *keep: int) -> dict[str, Any]:
        """Return a tenant's credentials object."""
        return {**self.cluster.credentials(tenant, generation, *keep), **self.server}

    def publish(self) -> None:
        """Let the droplet's program run, and see that it succeeds."""
        self.pooler.publish(self.objects)
        done = self.pooler.configure(droplets=CONNECTIONS // SIZE)
        assert done.returncode == 0, done.stdout

    def connect(
        self, tenant: Tenant, *, user: str | None = None, database: str | None = None, **options: object
    ) -> "psycopg.Connection[tuple[Any, ...]]":
        """Log in to the pool, as a service does that read the tenant's credentials object."""
        user = user or tenant.user()
        return psycopg.connect(
            host=str(self.pooler.sockets),
            port=PORT,
            user=user,
            password=self.cluster.passwords.get(user, "unknown"),
            dbname=database or tenant.database,
            autocommit=True,
            **options,  # type: ignore[arg-type]
        )

    def ask(self, connection: "psycopg.Connection[tuple[Any, ...]]", query: str) -> Any:
        """Return the first value of a query's answer."""
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


@pytest.fixture(scope="session", params=MAJORS)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Start both."""
    major, installed = int(request.param), installations()
    if major not in installed:
        pytest.skip(f"no Postgres {major}")
    try:
        with tempfile.TemporaryDirectory(prefix="postgres-") as folder, poolers(1) as (pooler,):
            Path(folder).chmod(0o755)
            home, droplet, tls = (Path(folder) / name for name in ("template", "droplet", "tls"))
            for made in (home, droplet, tls):
                made.mkdir()
            template, authority = Template(installed[major], home), Authority({})
            # Of its own, since PORT is everybody's; and one that the certificate is not for.
            address, other = (
                f"127.{os.getpid() % 250 + 1}.{secrets.randbelow(250) + 1}.{last}" for last in (1, 2)
            )
            settings = {"listen_addresses": f"{address},{other}", **tls_settings(authority, address, tls)}
            with template.server(**settings) as server:
                cluster = Cluster(server, droplet).create(control_plane=False)
                scene = Scene(cluster, pooler, cluster.tenants(range(1, TENANTS + 1)))
                outcome = cluster.job()
                assert outcome.code == 0, outcome.log
                scene.server = {"host": address, "ca": authority.certificate}
                scene.other = other
                scene.objects = {tenant.id: scene.credentials(tenant) for tenant in scene.tenants}
                scene.publish()
                pooler.start()
                scene.publish()
                yield scene
    except MissingError as error:
        pytest.skip(str(error))
