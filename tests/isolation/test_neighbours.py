"""One tenant tries to stop another's life, or its own suspension: by grants, objects, locks and sessions."""

import pytest

from droplet.names import ISOLATION_LOCK
from lab.managed_cluster import Cluster, Tenant
from tests.isolation.attempts import works
from tests.isolation.hostile import droppable, ended, eventually, hang_on, let_end, may_end, watched
from tests.support import ROOT


def test_what_a_tenant_hangs_on_others_roles_is_taken_back_and_named(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    hang_on(cluster, one, other)
    assert "cannot be dropped because some objects depend on it" in droppable(cluster, other.user())
    assert "cannot be dropped because some objects depend on it" in droppable(cluster, one.user())
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["success"]) == (0, 1), outcome.log
    assert outcome.metrics["cleared"] > 0
    for role in (other.user(), other.owner, f"{other.database}_access", one.user()):
        assert f"{one.owner} kept {role} from being dropped in {one.database}: taken back" in outcome.log
    assert (droppable(cluster, other.user()), droppable(cluster, one.user())) == ("", "")
    # What the tenant has for itself stays.
    with cluster.as_tenant(one) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)
        policies = "SELECT policyname, roles::text[] FROM pg_policies ORDER BY 1"
        assert connection.execute(policies).fetchall() == [("alone", [one.owner]), ("other", [one.owner])]
    assert cluster.job().metrics["cleared"] == 0


def test_without_the_clearing_roles_cannot_be_dropped_and_the_job_says_who_did_it(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    hang_on(cluster, one, other)
    outcome = cluster.job(scripts={"clear.sql": "\\echo done\n"})
    assert (outcome.code, outcome.metrics["success"]) == (1, 0)
    assert f"{other.user()} holds a privilege itself ({one.database})" in outcome.log
    assert "cannot be dropped because some objects depend on it" in droppable(cluster, other.user())


def test_a_tenant_cannot_keep_itself_from_being_suspended(cluster: Cluster) -> None:
    one, _ = cluster.tenants(range(2))
    assert cluster.job().code == 0
    with cluster.as_tenant(one) as connection:
        connection.execute("SET ROLE NONE")
        connection.execute("SELECT lo_create(1)")
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    outcome = cluster.job()
    if may_end(cluster):
        assert outcome.code == 0, outcome.log
        assert droppable(cluster, one.user()) == ""
        with cluster.as_tenant(one) as connection:
            owner = "SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata"
            assert connection.execute(owner).fetchone() == (one.owner,)
    else:
        # Nobody but a superuser may act as the login role: it is found, and docs/isolation.md says what remains.
        assert outcome.code == 1
        assert f"{one.user()} owns something itself ({one.database})" in outcome.log


def test_what_a_tenant_leaves_in_others_databases_is_removed(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    # Before the job has closed anything.
    cluster.superuser(f'CREATE ROLE "{one.owner}"', f'GRANT "{one.owner}" TO "{one.user()}"')
    if cluster.server.major > 15:
        cluster.superuser(f'GRANT "{one.owner}" TO doadmin WITH ADMIN OPTION')
    for database in (other.database, "template1", "postgres"):
        with cluster.connect(one.user(), database) as connection:
            connection.execute(f'SET ROLE "{one.owner}"'.encode())
            connection.execute("SELECT lo_create(4712)")
    outcome = cluster.job()
    assert outcome.code == 0, outcome.log
    for database in (other.database, "template1", "postgres"):
        assert cluster.superuser("SELECT count(*) FROM pg_largeobject_metadata", database=database) == [(0,)]
    works(cluster, one.user(), one.database)
    works(cluster, other.user(), other.database)


def test_a_transaction_that_holds_a_role_is_ended_before_the_role_is_dropped(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    let_end(cluster)
    assert cluster.job().code == 0
    works(cluster, one.user(), one.database)
    with cluster.as_tenant(one) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute(f'BEGIN; GRANT SELECT ON people TO "{other.user()}"'.encode())
        assert "lock timeout" in droppable(cluster, other.user())
        with watched(cluster):
            eventually("the role can be dropped", lambda: droppable(cluster, other.user()) == "")
        assert ended(connection)


def test_an_advisory_lock_of_a_tenants_delays_nobody(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    with cluster.connect(one.user(), one.database) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [ISOLATION_LOCK])
        outcome = cluster.job()
        assert (outcome.code, outcome.metrics["success"]) == (0, 1), outcome.log
        assert outcome.metrics["duration_seconds"] < 25
    works(cluster, other.user(), other.database)


def test_in_a_loop_it_is_taken_back_each_time(cluster: Cluster) -> None:
    """The watch does it, within seconds: the job itself comes once a minute."""
    one, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    works(cluster, one.user(), one.database)
    with watched(cluster):
        for _ in range(2):
            with cluster.as_tenant(one) as connection:
                connection.execute(f'GRANT SELECT ON people TO "{other.user()}"'.encode())
            assert droppable(cluster, other.user())
            eventually("the role can be dropped", lambda: droppable(cluster, other.user()) == "")


@pytest.mark.parametrize("left", ["idle", "dependent"])
def test_a_work_login_whose_maker_was_killed_is_dropped(cluster: Cluster, left: str) -> None:
    one, _ = cluster.tenants(range(2))
    assert cluster.job().code == 0
    works(cluster, one.user(), one.database)
    name = f"{one.database}_work_0123abcd"
    cluster.passwords[name] = "w"
    with cluster.connect("doadmin", "defaultdb") as administrator:
        administrator.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'w'".encode())
        for role in (one.owner, f"{one.database}_access"):
            administrator.execute(f'GRANT "{role}" TO "{name}"'.encode())
    if left == "dependent":
        with cluster.as_tenant(one) as connection:
            connection.execute(f'GRANT SELECT ON people TO "{name}"'.encode())
    with cluster.connect(name, one.database) as connection:
        for _ in range(2):
            outcome = cluster.job()
        assert ended(connection), outcome.log
    assert outcome.code == 0, outcome.log
    assert cluster.superuser(f"SELECT FROM pg_roles WHERE rolname = '{name}'") == []


def test_a_work_login_that_is_needed_is_left_alone(cluster: Cluster) -> None:
    one = Tenant.number(0)
    cluster.tenants([0])
    assert cluster.job().code == 0
    name = f"{one.database}_work_0123abcd"
    with cluster.connect("doadmin", "defaultdb") as administrator:
        administrator.execute(f'CREATE ROLE "{name}"'.encode())
        administrator.execute(
            "SELECT pg_advisory_lock(7360362::bigint << 32 | oid::bigint) FROM pg_roles WHERE rolname = %s",
            [name],
        )
        assert cluster.job().code == 0
        assert cluster.superuser("SELECT rolname FROM pg_roles WHERE rolname ~ '_work_'") == [(name,)]


@pytest.mark.parametrize(
    "statement",
    ["'REASSIGN OWNED", "'DROP OWNED", "'REVOKE ALL", "'ALTER DEFAULT PRIVILEGES", "'ALTER POLICY"],
)
def test_no_statement_of_the_clearing_can_be_left_out(cluster: Cluster, statement: str) -> None:
    one, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    hang_on(cluster, one, other)
    with cluster.as_tenant(one) as connection:
        connection.execute("SET ROLE NONE")
        connection.execute("SELECT lo_create(1)")
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    script = (ROOT / "droplet/isolation/clear.sql").read_text(encoding="utf-8")
    assert statement in script
    outcome = cluster.job(scripts={"clear.sql": script.replace(statement, "'-- ")})
    if statement == "'REASSIGN OWNED":
        # What the tenant owns would be lost.
        left = cluster.superuser("SELECT oid::int FROM pg_largeobject_metadata", database=one.database)
        assert left == ([(4711,)] if may_end(cluster) else [(1,), (4711,)])
    elif may_end(cluster) or statement != "'DROP OWNED":
        assert outcome.code == 1
        assert " itself (" in outcome.log
