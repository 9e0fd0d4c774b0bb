"""Servers for the tests of isolation: each major version that the machine has, and both kinds of administrator."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import programs
from lab.debian import MissingError
from lab.local_postgres import Template, installations
from lab.postgres_clients import clients

psycopg = pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster, Tenant  # noqa: E402  (needs psycopg)

INSTALLED = installations()

# `make test` stays short: the newest version alone. PRESENCE360_ALL_POSTGRES=1, as `make prove-isolation` has it: every
# version, each with both administrators.
# 15 has no such difference: a role with CREATEROLE may alter every role that is no superuser.
BOTH = bool(os.environ.get("PRESENCE360_ALL_POSTGRES"))
ADMINISTERS = {15: (False,)}

KINDS = [
    pytest.param((major, administers), id=f"{major}-{'admin' if administers else 'no-admin'}")
    for major in INSTALLED
    if BOTH or major == max(INSTALLED)
    for administers in ADMINISTERS.get(major, (False, True) if BOTH else (True,))
]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="no Postgres server from 15 on is installed"))]

TENANT = Tenant.number(1)
"""The one that moves."""

CONTENT = (Path(__file__).parent / "content.sql").read_text(encoding="utf-8")

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


@dataclass
class Pair:
    """Two clusters, and the configurations that a droplet has of them.

    Attributes:
        source: the shared one, with a tenant that has content.
        target: the tenant's own, with an empty database.
        configurations: the folder that the program reads.
    """

    source: Cluster
    target: Cluster
    configurations: Path

    def command(self, *more: str, tenant: str = TENANT.id) -> list[str]:
        """Return the command line, as the runbook has it."""
        arguments = [tenant, "--configurations", str(self.configurations), "--programs", str(clients())]
        if "--from" not in more:
            arguments += ["--from", "shared", "--to", TENANT.id]
        return programs.command(self.source.droplet / "programs", "move_tenant", *arguments, *more)

    def move(self, *more: str, tenant: str = TENANT.id) -> "subprocess.CompletedProcess[str]":
        """Run the program to its end."""
        return subprocess.run(
            self.command(*more, tenant=tenant), capture_output=True, text=True, check=False, timeout=120
        )

    def suspend(self) -> None:
        """Do what Terraform does for `status: suspended`."""
        self.source.api_drop_user(TENANT.user())

    def entries(self) -> None:
        """Write the configurations, as two stacks of Terraform do."""
        self.configurations.mkdir(exist_ok=True)
        for name, file, cluster in (
            ("shared", "environment", self.source),
            (TENANT.id, "cell-2", self.target),
        ):
            configuration = cluster.configuration({})
            configuration["clusters"][0]["name"] = name
            (self.configurations / f"{file}.json").write_text(json.dumps(configuration), encoding="utf-8")


Pairs = Callable[[int, int, bool], Pair]


@pytest.fixture
def pairs(templates: Templates, tmp_path: Path) -> Iterator[Pairs]:
    """Return what makes a pair: the tenant is there, with content, and at the target an empty database."""
    try:
        clients()
    except MissingError as error:
        pytest.skip(str(error))
    with ExitStack() as stack:

        def make(major: int, to: int, administers: bool) -> Pair:
            if not {major, to} <= set(INSTALLED):
                pytest.skip(f"no Postgres {major} and {to}")
            made = []
            for version in (major, to):
                server = stack.enter_context(templates[version].server(max_prepared_transactions=2))
                droplet = tmp_path / server.folder.name
                droplet.mkdir()
                made.append(Cluster(server, droplet, administers).create(control_plane=version == major))
            source, target = made
            source.tenants([1, 2])
            target.api_database(TENANT.database)
            for cluster in made:
                assert cluster.job().code == 0
            owner = f'"{TENANT.owner}"'
            source.superuser(
                f"CREATE SCHEMA reports AUTHORIZATION {owner}",
                database=TENANT.database,
            )
            with source.as_tenant(TENANT) as connection:
                connection.execute(CONTENT.encode())
                connection.execute(
                    b"SELECT lo_from_bytea(4711, 'a photo'), lo_from_bytea(0, repeat('x', 100000)::bytea)"
                )
            pair = Pair(source, target, tmp_path / "isolation")
            pair.entries()
            return pair

        yield make
