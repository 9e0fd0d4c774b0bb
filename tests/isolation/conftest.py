"""Servers for the tests of isolation: each major version that the machine has, and both kinds of administrator."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.isolation.servers import Template, installations

psycopg = pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from tests.isolation.cluster import Cluster  # noqa: E402  (needs psycopg)

INSTALLED = installations()

KINDS = [
    pytest.param((major, administers), id=f"{major}-{'admin' if administers else 'no-admin'}")
    for major in INSTALLED
    # 15 knows no such difference: whoever may create roles may alter them.
    for administers in ((False,) if major == 15 else (False, True))
]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="no Postgres server from 15 on is installed"))]

Make = Callable[[], Cluster]


@pytest.fixture(scope="session")
def templates() -> dict[int, Template]:
    """By major version, made when first needed."""
    return {}


@pytest.fixture(params=KINDS or NONE)
def kind(request: pytest.FixtureRequest) -> tuple[int, bool]:
    """A major version, and whether doadmin administers the roles that the API makes."""
    found: tuple[int, bool] = request.param
    return found


@pytest.fixture
def make(
    kind: tuple[int, bool],
    templates: dict[int, Template],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Make]:
    """Return what makes a new cluster, for tests that need several."""
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed (Debian: postgresql-client)")
    major, administers = kind
    if major not in templates:
        folder = tmp_path_factory.mktemp(f"postgres-{major}")
        for parent in (folder, *folder.parents[:2]):
            # pytest's folders are for their owner alone, and the server runs as another user.
            parent.chmod(0o755)
        templates[major] = Template(INSTALLED[major], folder)
    with ExitStack() as stack:

        def cluster() -> Cluster:
            server = stack.enter_context(templates[major].server())
            droplet = tmp_path / server.folder.name
            droplet.mkdir()
            return Cluster(server, droplet, administers).born()

        yield cluster


@pytest.fixture
def cluster(make: Make) -> Cluster:
    """A new cluster without tenants."""
    return make()
