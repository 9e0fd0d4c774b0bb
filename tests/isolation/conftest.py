"""Servers for the tests of isolation: each major version that the machine has, and both kinds of administrator."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.local_postgres import Template, installations

psycopg = pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster  # noqa: E402  (needs psycopg)

INSTALLED = installations()

# Each version once, so that `make test` stays short; with PRESENCE360_ALL_POSTGRES=1 each with both administrators.
# 15 has no such difference: a role with CREATEROLE may alter every role that is no superuser.
BOTH = bool(os.environ.get("PRESENCE360_ALL_POSTGRES"))
ADMINISTERS = {15: (False,), 16: (False, True) if BOTH else (False,), 17: (False, True) if BOTH else (True,)}

KINDS = [
    pytest.param((major, administers), id=f"{major}-{'admin' if administers else 'no-admin'}")
    for major in INSTALLED
    for administers in ADMINISTERS.get(major, (False, True))
]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="no Postgres server from 15 on is installed"))]

Make = Callable[..., Cluster]


@dataclass
class Templates:
    """Initialized data folders by major version, made when first needed."""

    folder: Path
    made: dict[int, Template] = field(default_factory=dict)

    def __getitem__(self, major: int) -> Template:
        if major not in self.made:
            home = self.folder / str(major)
            home.mkdir()
            self.made[major] = Template(INSTALLED[major], home)
        return self.made[major]


@pytest.fixture(scope="session")
def templates() -> Iterator[Templates]:
    # Not below pytest's own folder, which is for its owner alone: the server runs as another user.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)
        yield Templates(Path(folder))


@pytest.fixture(params=KINDS or NONE)
def kind(request: pytest.FixtureRequest) -> tuple[int, bool]:
    """A major version, and whether doadmin administers the roles that the API makes."""
    found: tuple[int, bool] = request.param
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, so that `make check` leaves out what starts servers."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.isolation)


@pytest.fixture
def make(
    kind: tuple[int, bool],
    templates: Templates,
    tmp_path: Path,
) -> Iterator[Make]:
    """Return what makes a new cluster, for tests that need several."""
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed (Debian: postgresql-client)")
    major, administers = kind
    with ExitStack() as stack:

        def cluster(*, control_plane: bool = True, **settings: object) -> Cluster:
            server = stack.enter_context(templates[major].server(**settings))
            droplet = tmp_path / server.folder.name
            droplet.mkdir()
            return Cluster(server, droplet, administers).create(control_plane=control_plane)

        yield cluster


@pytest.fixture
def cluster(make: Make) -> Cluster:
    """A new cluster without tenants."""
    return make()
