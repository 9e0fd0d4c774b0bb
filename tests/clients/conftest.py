"""Real servers, the addresses that services get for them as Terraform computes them, and the services' clients."""

import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import clients, object_storage, valkey
from lab.debian import MissingError
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import PORT, Template, installations, tls_settings
from lab.pgbouncer import poolers
from model.naming import CONTROL_PLANE_USER
from model.pool import SOCKETS
from tests.clients.pages import CA_FILE, snippets
from tests.support import Stack

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import CONNECTIONS, Cluster, Tenant

MAJOR = 17
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, so that `make check` leaves out what starts servers."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.isolation)


def loopback() -> str:
    """Return an address of loopback of its own, without the last number."""
    return f"127.{os.getpid() % 250 + 1}.{secrets.randbelow(250) + 1}"


@dataclass
class Servers:
    """What all tests here share.

    Attributes:
        address: where Valkey and Postgres listen, and what their certificates are for.
        other: where they listen as well.
        authority: the file of who signed them, as services have it.
        stranger: the file of somebody else.
        valkey: Valkey, without the commands that DigitalOcean refuses.
        cluster: Postgres, isolated as a droplet does it.
        tenant: a church in it.
        credentials: what services read about the church, with the pool's sockets where this test has them.
    """

    address: str
    other: str
    authority: Path
    stranger: Path
    valkey: valkey.Server
    cluster: Cluster
    tenant: Tenant
    credentials: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Start them."""
    if MAJOR not in (installed := installations()):
        pytest.skip(f"no Postgres {MAJOR}")
    folder = Path(tempfile.mkdtemp(prefix="clients-"))
    folder.chmod(0o755)
    try:
        with ExitStack() as running:
            yield _start(running, folder, Template(installed[MAJOR], _made(folder / "template")))
    except MissingError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _start(running: ExitStack, folder: Path, template: Template) -> Servers:
    (pooler,) = running.enter_context(poolers(1))
    authority, stranger, net = Authority({}), Authority({}), loopback()
    address, other = f"{net}.1", f"{net}.2"
    files = {"ca.pem": authority, "stranger.pem": stranger}
    for name, one in files.items():
        (folder / name).write_text(one.certificate, encoding="utf-8")
    settings = {
        "listen_addresses": f"{address},{other}",
        **tls_settings(authority, address, _made(folder / "tls")),
    }
    server = running.enter_context(template.server(**settings))
    cluster = Cluster(server, _made(folder / "droplet")).create()
    (tenant,) = cluster.tenants([1])
    outcome = cluster.job()
    assert outcome.code == 0, outcome.log
    credentials = {**cluster.credentials(tenant), "host": address, "ca": authority.certificate}
    pooler.publish({tenant.id: credentials})
    assert pooler.configure(droplets=CONNECTIONS).returncode == 0
    pooler.start()
    assert credentials["pool"]["host"] == SOCKETS
    credentials["pool"] |= {"host": str(pooler.sockets)}
    # What an address has to escape.
    password = f"{secrets.token_hex(8)}/:@?#&%+"
    started = valkey.start(
        _made(folder / "valkey"), authority, address, password, also=other,
        refuse=valkey.REFUSED,
    )  # fmt: skip
    running.callback(started.stop)
    return Servers(
        address, other, folder / "ca.pem", folder / "stranger.pem", started, cluster, tenant, credentials
    )


@pytest.fixture(scope="session")
def variables(
    servers: Servers, staging: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """The addresses as `control-plane-api` of staging gets them, with these servers' names and passwords."""
    given = {
        r"digitalocean_database_user\.[\w-]+\.name": CONTROL_PLANE_USER,
        r"digitalocean_database_user\.[\w-]+\.password": servers.cluster.passwords[CONTROL_PLANE_USER],
        r"digitalocean_database_db\.[\w-]+\.name": "control_plane",
        r"digitalocean_database_cluster\.[\w-]+\.private_host": servers.address,
        r"digitalocean_database_cluster\.data_postgres[\w-]+\.port": str(PORT),
        r"digitalocean_database_cluster\.data_valkey[\w-]+\.port": str(valkey.PORT),
        r"digitalocean_database_cluster\.data_valkey[\w-]+\.user": valkey.USER,
        r"digitalocean_database_cluster\.data_valkey[\w-]+\.password": servers.valkey.password,
    }
    (text,) = (value for name, value in staging.json["locals"].items() if "control-plane-api-env" in name)
    for pattern, value in given.items():
        # A backslash in a value stands for itself.
        text = re.sub(pattern, json.dumps(value).replace("\\", r"\\"), text)
    folder = tmp_path_factory.mktemp("addresses")
    lines = [
        line for line in text.splitlines() if line.startswith(("CONTROL_PLANE_DATABASE_URL", "VALKEY_URL"))
    ]
    output = {"lines": {"value": "\n".join(lines)}}
    (folder / "main.tf.json").write_text(json.dumps({"output": output}), encoding="utf-8")
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on the PATH")
    for command in (["apply", "-auto-approve", "-input=false"], ["output", "-raw", "lines"]):
        done = subprocess.run(
            ["terraform", *command],
            cwd=folder,
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return {name: value.strip('"') for name, value in found.items()}


@pytest.fixture(scope="session")
def python() -> Path:
    """A Python with the clients."""
    try:
        return clients.python()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder with the clients for Node."""
    try:
        return clients.node(snippets()["schema.prisma"].code)
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def gateway() -> Iterator[object_storage.Gateway]:
    """Stands in for Spaces; it has no buckets yet."""
    try:
        with tempfile.TemporaryDirectory(prefix="gateway-") as folder, _gateway(folder) as one:
            yield one
    except MissingError as error:
        pytest.skip(str(error))


def _gateway(folder: str) -> AbstractContextManager[object_storage.Gateway]:
    return object_storage.gateway(Path(folder), Authority({}))


@dataclass(frozen=True)
class Run:
    """A snippet of the page in one situation.

    Attributes:
        name: of the run.
        snippet: its name on the page.
        probe: what follows it, and leaves an answer.
        variables: the service's environment.
    """

    name: str
    snippet: str
    probe: str
    variables: Mapping[str, str]


def run_all(runs: Sequence[Run], authority: Path, command: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run snippets in one process; return what each left or raised, by the run's name."""
    blocks = snippets()
    given = [
        {
            "name": run.name,
            "code": f"{blocks[run.snippet].code}\n{run.probe}".replace(CA_FILE, str(authority)),
            "variables": {
                name: value.replace(CA_FILE, str(authority)) for name, value in run.variables.items()
            },
        }
        for run in runs
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PYTHON"))}
    done = subprocess.run(
        command,
        input=json.dumps(given),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [one["name"] for one in said] == [run.name for run in runs], done.stdout + done.stderr
    return {one.pop("name"): one for one in said}


def python_command(python: Path) -> list[str]:
    """Return what runs Python's snippets."""
    return [str(python), str(HERE / "run_snippets.py")]


def node_command(node: Path, scratch: Path) -> list[str]:
    """Return what runs Node's snippets, from a folder where they find the clients."""
    for name in ("node_modules", "generated"):
        if not (scratch / name).exists():
            (scratch / name).symlink_to(node / name)
    return [str(clients.NODE), str(HERE / "run_snippets.mjs"), str(scratch)]
