"""What suspending a tenant means in Postgres: its users are dropped, its database and its two other roles stay."""

import json

import psycopg
import pytest

from lab.managed_cluster import ADMINISTRATOR, Cluster
from tests.isolation.attempts import reached, works
from tests.isolation.conftest import Make


def test_a_suspended_tenant_is_no_finding_and_returns_to_its_tables(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    works(cluster, one.user(), one.database)
    cluster.api_drop_user(one.user())
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["findings"], outcome.metrics["visited"]) == (0, 0, 0), outcome.log
    # control_plane and two tenants; the users of two.
    assert (outcome.metrics["databases"], outcome.metrics["login_roles"]) == (3, 2)
    assert reached(cluster, [(other.user(), other.database)], [one.database]) == ([], 1)

    # Back: the same name, another password.
    cluster.api_user(one.user())
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        cluster.as_tenant(one)
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["visited"]) == (0, 0), outcome.log
    works(cluster, one.user(), one.database)
    with cluster.as_tenant(one) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (2,)
        connection.execute("ALTER TABLE people ADD COLUMN joined date")  # as their owner
    assert reached(cluster, [(one.user(), one.database)], [other.database]) == ([], 1)


def test_a_tenants_own_cluster_has_no_control_plane(make: Make) -> None:
    cluster = make(control_plane=False)
    # Before anything is in it, as between two deploys.
    assert cluster.job().code == 0
    (tenant,) = cluster.tenants([1])
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["databases"], outcome.metrics["login_roles"]) == (0, 1, 1), (
        outcome.log
    )
    works(cluster, tenant.user(), tenant.database)
    cluster.api_drop_user(tenant.user())
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["databases"], outcome.metrics["login_roles"]) == (0, 1, 0), (
        outcome.log
    )


def test_one_run_keeps_the_clusters_of_every_stack(make: Make) -> None:
    """The shared cluster and a tenant's own, one of them away, as one droplet's job sees them."""
    shared, own = make(), make(control_plane=False)
    tenants, (moved,) = shared.tenants(range(2)), own.tenants([7])
    configuration = own.configuration({})
    configuration["clusters"][0]["name"] = moved.id
    away = {**configuration["clusters"][0], "name": "away", "host": str(own.droplet)}
    configuration["clusters"].append(away)
    (shared.droplet / "isolation_cell-2.json").write_text(json.dumps(configuration), encoding="utf-8")
    outcome = shared.job()
    metrics = (shared.droplet / "scratch/isolation.prom").read_text()
    assert outcome.code == 1
    for cluster, success in (("shared", 1), (moved.id, 1), ("away", 0)):
        assert f'presence360_isolation_success{{cluster="{cluster}"}} {success}\n' in metrics
    assert "away: psql: error: connection to server on socket" in outcome.log
    works(own, moved.user(), moved.database)
    works(shared, tenants[0].user(), tenants[0].database)
    assert reached(shared, [(tenants[0].user(), tenants[0].database)], [tenants[1].database]) == ([], 1)


@pytest.mark.parametrize("signals", [False, True], ids=["may-not-signal", "may-signal"])
def test_a_session_whose_role_is_dropped_is_ended_where_that_is_allowed(
    cluster: Cluster, signals: bool
) -> None:
    one, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    works(cluster, one.user(), one.database)
    with cluster.as_tenant(one) as orphan, cluster.as_tenant(other) as bystander:
        cluster.api_drop_user(one.user())
        # Why it matters: as the owner role it works on.
        assert orphan.execute("SELECT count(*) FROM people").fetchone() == (1,)
        if signals:
            cluster.superuser(f"GRANT pg_signal_backend TO {ADMINISTRATOR}")
        outcome = cluster.job()
        assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
        if signals or cluster.server.major == 15:
            assert f"session ended: a dropped role, {one.database}: of a dropped role" in outcome.log
            assert outcome.metrics["sessions_of_dropped_roles"] == 0
            with pytest.raises(psycopg.OperationalError, match="terminating connection"):
                orphan.execute("SELECT 1")
        else:
            assert "session ended" not in outcome.log
            assert outcome.metrics["sessions_of_dropped_roles"] == 1
            assert orphan.execute("SELECT count(*) FROM people").fetchone() == (1,)
            orphan.close()
            assert cluster.job().metrics["sessions_of_dropped_roles"] == 0
        # No other session is ended, and not the job's own.
        assert bystander.execute("SELECT 1").fetchone() == (1,)
    assert "session ended" not in cluster.job().log
