"""A control group's droplet before a real Postgres and the software of Spaces, with churches that have content."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import backup_programs, object_storage
from lab.debian import MissingError
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import Template, installations
from lab.postgres_clients import clients

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster, Tenant
from tests.backups.operators import COPIER, DROPLET
from tests.backups.site import Site
from tests.isolation.conftest import CONTENT

MAJOR = 17

Clusters = Callable[..., Cluster]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts servers, so that `make check` leaves it out."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "clusters" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.isolation)


@pytest.fixture(scope="session")
def template() -> Iterator[Template]:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed (Debian: postgresql-client)")
    installed = installations()
    if MAJOR not in installed:
        pytest.skip(f"no Postgres {MAJOR} server is installed")
    # Not below pytest's own folder, which is for its owner alone: the server runs as another user.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)
        # The restore drill damages pages, which a server sees by its checksums alone.
        yield Template(installed[MAJOR], Path(folder), checksums=True)


@pytest.fixture(scope="session")
def gateway() -> Iterator[object_storage.Gateway]:
    try:
        clients()
        backup_programs.programs()
        with (
            tempfile.TemporaryDirectory(prefix="gateway-") as folder,
            object_storage.gateway(Path(folder), Authority({}), users=(DROPLET, COPIER)) as started,
        ):
            yield started
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def clusters(template: Template) -> Iterator[Clusters]:
    """Return what makes a cluster."""
    with ExitStack() as stack:

        def make(*, control_plane: bool = True) -> Cluster:
            server = stack.enter_context(template.server())
            droplet = server.folder.with_name(f"{server.folder.name}-droplet")
            droplet.mkdir()
            stack.callback(shutil.rmtree, droplet)
            return Cluster(server, droplet, administers=True).create(control_plane=control_plane)

        yield make


def make_site(clusters: Clusters, gateway: object_storage.Gateway, folder: Path) -> Site:
    """Make a droplet and one cluster, with `control_plane` and two churches."""
    cluster = clusters()
    key = gateway.as_user(DROPLET)
    made = Site(folder, {"shared": cluster}, key, bucket=f"backups-{time.time_ns()}")
    cluster.tenants([1, 2])
    assert cluster.job().code == 0
    made.write()
    return made


@pytest.fixture(scope="module")
def full(
    clusters: Clusters, gateway: object_storage.Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Site:
    """A site whose first church has each kind of thing that a database may hold."""
    made = make_site(clusters, gateway, tmp_path_factory.mktemp("droplet"))
    fill(made.clusters["shared"], Tenant.number(1))
    return made


def fill(cluster: Cluster, tenant: Tenant) -> None:
    """Give a church each kind of thing that a database may hold."""
    cluster.superuser(f'CREATE SCHEMA reports AUTHORIZATION "{tenant.owner}"', database=tenant.database)
    with cluster.as_tenant(tenant) as connection:
        connection.execute(CONTENT.encode())
        connection.execute(
            b"SELECT lo_from_bytea(4711, 'a photo'), lo_from_bytea(0, repeat('x', 100000)::bytea)"
        )
