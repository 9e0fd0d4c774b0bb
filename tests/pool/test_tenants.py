"""One tenant in the pool cannot reach another, take its place, or see the admin console."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from droplet.pool.files import CLIENTS_OF_A_TENANT, PORT
from lab.local_postgres import unprivileged
from lab.managed_cluster import Tenant
from tests.pool.conftest import SIZE, Scene


def test_a_tenants_user_is_refused_at_anothers_database_before_postgres_is_asked(scene: Scene) -> None:
    one, other = scene.tenants[:2]
    before = scene.cluster.server.log.count(f"user={other.user()} database={one.database}")
    with pytest.raises(psycopg.OperationalError, match="no authentication method is found"):
        scene.connect(one, user=other.user())
    assert scene.cluster.server.log.count(f"user={other.user()} database={one.database}") == before == 0


def test_a_wrong_password_and_an_unknown_database_are_refused(scene: Scene) -> None:
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(
            host=str(scene.pooler.sockets),
            port=PORT,
            user=scene.tenants[0].user(),
            password="wrong",
            dbname=scene.tenants[0].database,
        )
    with pytest.raises(psycopg.OperationalError):
        scene.connect(scene.tenants[0], database="control_plane")


def test_a_server_is_reached_over_tls_and_has_to_be_the_one_that_its_certificate_names(scene: Scene) -> None:
    tenant = scene.tenants[1]
    with scene.connect(tenant) as connection:
        # Asked by the superuser: a session that acts as another role does not see its own.
        asked = "SELECT version FROM pg_stat_ssl WHERE pid = %s"
        with connection.transaction():
            pid = scene.ask(connection, "SELECT pg_backend_pid()")
            assert scene.cluster.superuser(asked % pid) == [("TLSv1.3",)]
    right = scene.objects[tenant.id]
    scene.objects[tenant.id] = {**right, "host": scene.other}
    scene.publish()
    # A server that is not the right one is like one that does not answer: clients wait.
    with pytest.raises(psycopg.OperationalError):
        scene.connect(tenant, connect_timeout=2)
    assert f"{scene.other}' not present in server certificate" in scene.pooler.log
    scene.objects[tenant.id] = right
    scene.publish()
    scene.connect(tenant).close()


@pytest.mark.parametrize("user", ["pgbouncer", "postgres", "doadmin", None])
def test_the_admin_console_is_closed_to_everybody_but_pgbouncers_own_user(
    scene: Scene, user: str | None
) -> None:
    if not unprivileged():
        pytest.skip("PgBouncer runs as the user of this test, whom it lets in")
    with pytest.raises(psycopg.OperationalError):
        scene.connect(scene.tenants[0], user=user or scene.tenants[0].user(), database="pgbouncer")


def test_a_tenant_that_takes_all_it_can_leaves_the_others_their_share(scene: Scene) -> None:
    greedy, other = scene.tenants[2], scene.tenants[0]

    def waiting() -> float:
        scene.publish()
        return scene.pooler.metrics["waiting_clients"]

    with contextlib.ExitStack() as stack:
        # All clients that it may have, and every one of them wants a connection for as long as this test likes.
        clients = [stack.enter_context(scene.connect(greedy)) for _ in range(CLIENTS_OF_A_TENANT)]
        with pytest.raises(psycopg.OperationalError, match="max_db_client_connections"):
            scene.connect(greedy)
        clients[0].execute("CREATE TABLE held (number int)")
        pool = stack.enter_context(ThreadPoolExecutor(len(clients)))
        # Past the pool, as a migration does.
        direct = stack.enter_context(scene.cluster.as_tenant(greedy))
        stack.enter_context(direct.transaction())
        direct.execute("LOCK TABLE held")
        work = [pool.submit(_read, client) for client in clients]
        _until(lambda: waiting() == CLIENTS_OF_A_TENANT - SIZE)
        # PgBouncer would let it wait for query_wait_timeout, and refuse it then.
        with scene.connect(other) as connection:
            assert scene.ask(connection, "SELECT 1") == 1
        assert _sessions(scene, greedy) == SIZE + 1
        metrics = scene.pooler.metrics
        assert metrics[f'tenant_waiting_seconds{{tenant="{greedy.id}"}}'] > 0
        assert not any(other.id in name for name in metrics)
    assert [task.result() for task in work] == [0] * len(work), "all of them were answered in the end"


def _read(client: "psycopg.Connection[tuple[Any, ...]]") -> Any:
    row = client.execute("SELECT count(*) FROM held").fetchone()
    return row[0] if row else None


def _sessions(scene: Scene, tenant: Tenant) -> int:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = '%s'"
    return int(scene.cluster.superuser(asked % tenant.database)[0][0])


def _until(ask: object, seconds: float = 120) -> None:
    assert callable(ask)
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end
        time.sleep(0.1)
