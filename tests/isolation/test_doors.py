"""No door is open in between, and limits hold: sessions, connections and locks, with the watch and without it."""

import os
import signal
import time

import psycopg
import pytest

from droplet.names import ISOLATION_LOCK
from lab.managed_cluster import CONNECTIONS, Cluster, Tenant
from tests.isolation.attempts import works
from tests.isolation.conftest import Make
from tests.isolation.hostile import ended, eventually, let_end, may_end, watched

WINDOW_SECONDS = 2 + 28
"""For how long a new database is open: the interval of the watch, and a round of it on a busy machine."""

SMALLEST = {"max_connections": 25, "max_locks_per_transaction": 64}
"""As DigitalOcean's smallest cluster: a full lock table takes little."""


def refused(cluster: Cluster, user: str, database: str) -> bool:
    try:
        cluster.connect(user, database).close()
    except psycopg.OperationalError as error:
        assert "permission denied" in str(error), error
        return True
    return False


def test_a_new_database_is_closed_within_seconds_and_who_came_in_meanwhile_is_out(cluster: Cluster) -> None:
    (one,) = cluster.tenants([0])
    let_end(cluster)
    assert cluster.job().code == 0
    other = Tenant.number(1)
    with watched(cluster):
        cluster.api_database(other.database)
        with cluster.connect(one.user(), other.database) as inside:
            inside.execute("SELECT pg_advisory_lock(%s)", [ISOLATION_LOCK])
            seconds = eventually(
                "the database is closed", lambda: refused(cluster, one.user(), other.database)
            )
            assert seconds < WINDOW_SECONDS
            eventually("the session is ended", lambda: ended(inside), 5)
        # DROP DATABASE, as Terraform does to a database that it made in vain.
        cluster.superuser(f'DROP DATABASE "{other.database}"')
        assert cluster.job().metrics["watched"] == 1
    assert cluster.job().metrics["watched"] == 0


def test_a_session_from_before_the_job_delays_nobody_and_is_ended_or_counted(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    with cluster.connect(one.user(), other.database) as inside:
        inside.execute("SELECT pg_advisory_lock(%s)", [ISOLATION_LOCK])
        outcome = cluster.job()
        assert outcome.code == 0, outcome.log
        works(cluster, other.user(), other.database)
        assert ended(inside) == may_end(cluster)
        assert outcome.metrics["sessions_ended"] == int(may_end(cluster))
        assert outcome.metrics["sessions_not_ended"] == int(not may_end(cluster))
        assert f"{one.user()}, {other.database}: " in outcome.log


def test_without_the_sweep_it_stays(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    let_end(cluster)
    with cluster.connect(one.user(), other.database) as inside:
        script = cluster.script("sweep.sql")
        assert "pg_terminate_backend(pid)" in script
        assert (
            cluster.job(scripts={"sweep.sql": script.replace("pg_terminate_backend(pid)", "true")}).code == 0
        )
        assert not ended(inside)
        with pytest.raises(psycopg.errors.ObjectInUse):
            cluster.superuser(f'DROP DATABASE "{other.database}"')


def test_connections_through_the_providers_databases_are_ended(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    let_end(cluster)
    assert cluster.job().code == 0
    held = [cluster.connect(one.user(), name) for name in ("template1", "postgres") for _ in range(2)]
    with pytest.raises(psycopg.errors.ObjectInUse):
        cluster.superuser("CREATE DATABASE more")
    with watched(cluster):
        eventually("all of them are out", lambda: all(ended(connection) for connection in held))
        cluster.superuser("CREATE DATABASE more")
        works(cluster, other.user(), other.database)
    for connection in held:
        connection.close()


def test_what_a_tenant_takes_beyond_its_limit_is_ended_where_the_role_has_none(cluster: Cluster) -> None:
    (one,) = cluster.tenants([0])
    let_end(cluster)
    assert cluster.job().code == 0
    if (
        may_end(cluster)
        and cluster.server.major > 14
        and cluster.job().metrics["roles_without_own_limit"] == 0
    ):
        held = [cluster.as_tenant(one) for _ in range(CONNECTIONS)]
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            cluster.as_tenant(one)
        for connection in held:
            connection.close()
        return
    held = [cluster.as_tenant(one) for _ in range(CONNECTIONS + 2)]
    outcome = cluster.job()
    assert outcome.metrics["sessions_ended"] == 2
    assert [ended(connection) for connection in held] == [False] * CONNECTIONS + [True] * 2
    for connection in held:
        connection.close()


def test_a_session_that_fills_the_lock_table_is_ended(make: Make) -> None:
    cluster = make(**SMALLEST)
    one, other = cluster.tenants(range(2))
    let_end(cluster)
    assert cluster.job().code == 0
    works(cluster, one.user(), one.database)
    works(cluster, other.user(), other.database)
    with watched(cluster), cluster.as_tenant(one) as connection:
        time.sleep(2.5)
        with pytest.raises(psycopg.errors.OutOfMemory):
            connection.execute("SELECT pg_advisory_lock(n) FROM generate_series(1, 1000000) AS n")
        eventually("the session is ended", lambda: ended(connection))
        works(cluster, other.user(), other.database)


def test_without_the_watch_a_full_lock_table_stops_everybody(make: Make) -> None:
    small = make(**SMALLEST)
    one, other = small.tenants(range(2))
    assert small.job().code == 0
    with small.as_tenant(one) as connection:
        with pytest.raises(psycopg.errors.OutOfMemory):
            connection.execute("SELECT pg_advisory_lock(n) FROM generate_series(1, 1000000) AS n")
        with pytest.raises(psycopg.OperationalError, match="out of shared memory"):
            works(small, other.user(), other.database)


def test_a_run_whose_droplet_is_gone_holds_the_lock_for_a_minute_at_most(cluster: Cluster) -> None:
    """The server ends a session that says nothing; here after two seconds, so that nobody waits for a minute."""
    cluster.tenants([0])
    script = cluster.script("cluster.sql")
    stopped = script.replace(
        "\\ir views.sql", "SET idle_session_timeout = '2s';\n\\! kill -STOP $PPID\n\\ir views.sql"
    )
    run = cluster.start_job(scripts={"cluster.sql": stopped})
    question = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {ISOLATION_LOCK}"  # noqa: S608
    eventually("it has the lock", lambda: cluster.superuser(question) == [(1,)])
    busy = cluster.job(scripts={"cluster.sql": script})
    assert "another run is in progress" in busy.log
    eventually("the server has noticed", lambda: cluster.superuser(question) == [(0,)])
    assert cluster.job().code == 0
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def test_every_session_of_the_job_is_one_that_the_server_gives_up(cluster: Cluster) -> None:
    script = cluster.script("cluster.sql")
    shown = "\\echo 'note|places|7'\nSELECT format('finding||%s|%s', name, setting) FROM pg_settings WHERE name IN (\n"
    shown += "'idle_session_timeout', 'client_connection_check_interval') ORDER BY 1;\n\\ir views.sql"
    outcome = cluster.job(scripts={"cluster.sql": script.replace("\\ir views.sql", shown)})
    assert "60000 (idle_session_timeout)" in outcome.log
    assert "10000 (client_connection_check_interval)" in outcome.log
