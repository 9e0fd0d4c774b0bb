"""A control group's droplet before a real Postgres, with images of an application that has three migrations."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from droplet import database_lock
from droplet.migrate import work
from lab.local_postgres import Template, installations

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster
from lab.schema import environment_with_alembic
from tests.migrations.site import Processes, Site, Zygote

Clusters = Callable[..., Cluster]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts servers, so that `make check` leaves it out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.isolation)


@pytest.fixture(scope="session")
def alembic() -> Iterator[Zygote]:
    try:
        programs = environment_with_alembic()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"Alembic cannot be installed from PyPI: {error}")
    zygote = Zygote(programs)
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def template() -> Iterator[Template]:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed (Debian: postgresql-client)")
    installed = installations()
    if not installed:
        pytest.skip("no Postgres server from 15 on is installed")
    # Not below pytest's own folder, which is for its owner alone: the server runs as another user.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)
        yield Template(installed[max(installed)], Path(folder))


@pytest.fixture
def clusters(template: Template, tmp_path: Path) -> Iterator[Clusters]:
    """Return what makes a cluster."""
    with ExitStack() as stack:

        def make(*, control_plane: bool = True) -> Cluster:
            server = stack.enter_context(template.server())
            droplet = tmp_path / server.folder.name
            droplet.mkdir()
            return Cluster(server, droplet, administers=True).create(control_plane=control_plane)

        yield make


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that does not answer is tried again at once, and what is locked is waited for briefly."""
    monkeypatch.setattr(database_lock, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(work, "CONNECT_PAUSE_SECONDS", 0.05)


@pytest.fixture
def runner(alembic: Zygote, tmp_path: Path) -> Processes:
    """Images: 1 has the first migration, 2 and 3 one more each."""
    found = Processes(tmp_path / "images", alembic)
    found.add("1", "0001")
    found.add("2", "0001", "0002")
    found.add("3", "0001", "0002", "0003")
    return found


@pytest.fixture
def site(clusters: Clusters, runner: Processes, tmp_path: Path) -> Site:
    """A droplet and one cluster, with `control_plane` and no church."""
    made = Site(tmp_path / "droplet", {"shared": clusters()}, runner)
    made.write()
    return made
