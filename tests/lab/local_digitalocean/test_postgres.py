"""Clusters with a real Postgres behind them: what the API makes is there, as DigitalOcean makes it."""

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lab.local_digitalocean.postgres import PostgresServers
from lab.local_postgres import installations
from tests.lab.local_digitalocean.client import Api

INSTALLED = installations()
pytestmark = [
    pytest.mark.isolation,
    pytest.mark.skipif(not INSTALLED, reason="no Postgres server from 15 on is installed"),
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not below pytest's own folder, which is for its owner alone: the servers run as another user.
    with tempfile.TemporaryDirectory(prefix="clusters-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[PostgresServers]:
    servers = PostgresServers(folder)
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def api(servers: PostgresServers) -> Api:
    return Api(servers=servers)


@pytest.fixture(scope="module")
def cluster(api: Api) -> dict[str, Any]:
    made = api.cluster(version=str(max(INSTALLED)))
    api.wait()
    found: dict[str, Any] = api.do("GET", f"/v2/databases/{made['id']}")["database"]
    return found


def connect(
    api: Api, cluster: dict[str, Any], user: str, database: str
) -> "psycopg.Connection[tuple[Any, ...]]":
    """Connect as a client does: by the address that the API says, and with its authority."""
    path = f"/v2/databases/{cluster['id']}"
    password = api.do("GET", f"{path}/users/{user}")["user"]["password"]
    where = api.do("GET", path)["database"]["private_connection"]
    with tempfile.NamedTemporaryFile(suffix=".pem") as authority:
        authority.write(base64.b64decode(api.do("GET", f"{path}/ca")["ca"]["certificate"]))
        authority.flush()
        return psycopg.connect(
            host=where["host"], port=where["port"], user=user, password=password, dbname=database,
            sslmode="verify-full", sslrootcert=authority.name, autocommit=True,
        )  # fmt: skip


def test_what_the_api_makes_is_real(api: Api, cluster: dict[str, Any]) -> None:
    path = f"/v2/databases/{cluster['id']}"
    api.do("POST", f"{path}/dbs", {"name": "tenant_a"})
    api.do("POST", f"{path}/users", {"name": "tenant_a_g1"})
    with connect(api, cluster, "tenant_a_g1", "tenant_a") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("tenant_a_g1",)
        # As DigitalOcean leaves it: connected, and without the right to make a table.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE people (name text)")
    api.do("POST", f"{path}/users/tenant_a_g1/reset_auth", {})
    connect(api, cluster, "tenant_a_g1", "tenant_a").close()
    api.do("DELETE", f"{path}/users/tenant_a_g1")
    api.do("DELETE", f"{path}/dbs/tenant_a")
    with connect(api, cluster, "doadmin", "defaultdb") as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_roles, pg_database WHERE rolname ~ 'tenant' OR datname ~ 'tenant'"
        )
        assert left.fetchone() == (0,)


def test_the_administrator_is_no_superuser_and_has_the_sizes_connections(
    api: Api, cluster: dict[str, Any]
) -> None:
    with connect(api, cluster, "doadmin", "defaultdb") as connection:
        found = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'doadmin'"
        )
        assert found.fetchone() == (False, True, True)
        assert connection.execute("SHOW max_connections").fetchone() == ("50",)


def test_nobody_connects_without_tls(api: Api, cluster: dict[str, Any]) -> None:
    where = api.do("GET", f"/v2/databases/{cluster['id']}")["database"]["private_connection"]
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(host=where["host"], port=where["port"], user="doadmin", password=where["password"],
                        dbname="defaultdb", sslmode="disable")  # fmt: skip


def test_a_user_who_owns_something_is_not_dropped(api: Api, cluster: dict[str, Any]) -> None:
    path = f"/v2/databases/{cluster['id']}"
    api.do("POST", f"{path}/users", {"name": "owner"})
    with connect(api, cluster, "doadmin", "defaultdb") as connection:
        connection.execute("CREATE SCHEMA theirs")
        connection.execute("GRANT CREATE ON SCHEMA theirs TO owner")
    assert "some objects depend on it" in api.refused(422, "DELETE", f"{path}/users/owner")


def test_a_restore_has_what_was_there_when_the_backup_was_made(api: Api, cluster: dict[str, Any]) -> None:
    with connect(api, cluster, "doadmin", "defaultdb") as connection:
        connection.execute("CREATE TABLE events (what text)")
        connection.execute("INSERT INTO events VALUES ('before')")
        api.wait(60)
        made = api.ask("POST", "/_local/backups/main-db").answer
        connection.execute("INSERT INTO events VALUES ('after')")
    restore = {"database_name": "main-db", "backup_created_at": made["created_at"]}
    restored = api.cluster(name="restored", version=cluster["version"], backup_restore=restore)
    api.wait()
    with connect(api, restored, "doadmin", "defaultdb") as connection:
        assert connection.execute("SELECT what FROM events").fetchall() == [("before",)]
    api.do("DELETE", f"/v2/databases/{restored['id']}")


def test_a_version_that_is_not_installed_is_refused(api: Api) -> None:
    wanted = {
        "name": "older",
        "engine": "pg",
        "version": "13",
        "size": "db-s-1vcpu-2gb",
        "region": "fra1",
        "num_nodes": 1,
    }
    assert "no Postgres 13 is installed here" in api.refused(422, "POST", "/v2/databases", wanted)
    assert api.account.named("clusters", "older") is None
