"""What a church does with the logins that read its database: it keeps them, writes by them, holds up the watch."""

import time

import pytest

from droplet.isolation import late
from lab.managed_cluster import Cluster, Tenant
from tests.isolation.attempts import works
from tests.isolation.hostile import droppable, ended, eventually, let_end, watched
from tests.isolation.test_readers import opened, roles, tenants, wanted

__all__ = ["tenants"]

HELD = """
SELECT string_agg(DISTINCT kind || ' ' || privilege_type || ' ' || is_grantable, ', ')
FROM (
    SELECT relkind::text, relacl FROM pg_class UNION ALL SELECT 'column', attacl FROM pg_attribute
    UNION ALL SELECT 'function', proacl FROM pg_proc UNION ALL SELECT 'schema', nspacl FROM pg_namespace
) AS o(kind, acl), aclexplode(acl) WHERE grantee = '"READER"'::regrole
"""


def end(cluster: Cluster, role: str) -> None:
    cluster.superuser(f"ALTER ROLE \"{role}\" VALID UNTIL '-infinity'")


def run_as(cluster: Cluster, church: Tenant, role: str, statements: str) -> None:
    """Have a church's code run as a reader, which reads a view of its."""
    with cluster.as_tenant(church) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
            "IF current_setting('transaction_read_only') = 'on' THEN "
            "PERFORM set_config('default_transaction_read_only', 'off', false); RETURN 1; END IF; "
            f"{statements} RETURN 2; END $$".encode()
        )
        connection.execute("CREATE OR REPLACE VIEW families AS SELECT evil() AS n")
        connection.execute("GRANT SELECT ON families TO PUBLIC")
    with cluster.connect(role, church.database) as connection:
        for number in (1, 2):
            assert connection.execute("SELECT n FROM families").fetchone() == (number,)


def test_a_church_cannot_keep_a_reader(cluster: Cluster, tenants: list[Tenant]) -> None:
    one, other = tenants
    reader, second = (opened(cluster, wanted(one, number)).role for number in (1, 2))
    access = f"{one.database}_access"
    # By the right to grant on: of a whole table, for it and for one of its columns; from one reader to the next.
    with cluster.as_tenant(one) as connection:
        for statement in (
            f'GRANT USAGE ON SCHEMA reports TO "{access}"',
            f'GRANT SELECT ON reports.kept TO "{access}" WITH GRANT OPTION',
            f'GRANT UPDATE ON people TO "{second}" WITH GRANT OPTION',
            f'GRANT CREATE ON SCHEMA reports TO "{reader}"',
            "CREATE FUNCTION reports.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            f'GRANT EXECUTE ON FUNCTION reports.own TO "{access}" WITH GRANT OPTION',
            "SELECT lo_create(4713)",
            f'GRANT SELECT ON LARGE OBJECT 4713 TO "{access}" WITH GRANT OPTION',
            "CREATE TYPE reports.mood AS ENUM ('sad')",
            f'GRANT USAGE ON TYPE reports.mood TO "{access}" WITH GRANT OPTION',
        ):
            connection.execute(statement.encode())
    with cluster.connect(one.user(), one.database, options="-c role=none") as connection:
        for statement in (
            f'GRANT SELECT ON reports.kept TO "{reader}"',
            f'GRANT SELECT (name) ON reports.kept TO "{reader}", "{other.user()}"',
            f'GRANT EXECUTE ON FUNCTION reports.own TO "{reader}"',
            f'GRANT SELECT ON LARGE OBJECT 4713 TO "{reader}"',
            f'GRANT USAGE ON TYPE reports.mood TO "{reader}"',
        ):
            connection.execute(statement.encode())
    run_as(cluster, one, second, f'GRANT UPDATE (name) ON public.people TO "{reader}";')
    # By what its code makes as the reader, on which something of the church's depends.
    run_as(
        cluster,
        one,
        reader,
        "CREATE TABLE reports.t (n int); GRANT ALL ON reports.t TO PUBLIC; PERFORM lo_from_bytea(4712, 'spam');",
    )
    with cluster.as_tenant(one) as connection:
        connection.execute("CREATE VIEW keeps AS SELECT * FROM reports.t")
    end(cluster, reader)
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["readers"]) == (0, 1), outcome.log
    assert roles(cluster) == [second]
    # A neighbour's login was granted the same way, and can be dropped.
    assert droppable(cluster, other.user()) == ""
    owners = "SELECT DISTINCT lomowner::regrole::text FROM pg_largeobject_metadata"
    assert cluster.superuser(owners, database=one.database) == [(f'"{one.owner}"',)]
    with cluster.as_tenant(one) as connection:
        assert connection.execute("SELECT n FROM keeps").fetchall() == []
    end(cluster, second)
    assert cluster.job().code == 0
    assert roles(cluster) == []


def test_what_a_church_grants_a_reader_is_taken_back_while_it_is_open(
    cluster: Cluster, tenants: list[Tenant]
) -> None:
    one, _ = tenants
    reader = opened(cluster, wanted(one)).role
    before = cluster.job()
    assert "held more than it may" not in before.log
    acl = HELD.replace("READER", reader)
    held = cluster.superuser(acl, database=one.database)
    with cluster.as_tenant(one) as connection:
        for statement in (
            f'GRANT ALL ON people TO "{reader}" WITH GRANT OPTION',
            f'GRANT UPDATE (name) ON names TO "{reader}"',
            f'GRANT ALL ON numbers TO "{reader}"',
            f'GRANT CREATE ON SCHEMA reports TO "{reader}"',
            "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            f'GRANT EXECUTE ON FUNCTION own TO "{reader}"',
        ):
            connection.execute(statement.encode())
    assert cluster.superuser(acl, database=one.database) != held
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["readers"]) == (0, 1), outcome.log
    assert f"{reader} held more than it may in {one.database}: taken back" in outcome.log
    assert cluster.superuser(acl, database=one.database) == held
    with cluster.connect(reader, one.database) as connection:
        assert connection.execute("SELECT name FROM people").fetchone() == ("Ama",)


def test_a_reader_whose_settings_a_church_changed_is_removed(cluster: Cluster, tenants: list[Tenant]) -> None:
    one, _ = tenants
    changed, left = (opened(cluster, wanted(one, number)).role for number in (1, 2))
    run_as(cluster, one, changed, "EXECUTE format('ALTER ROLE %I SET search_path TO evil', current_user);")
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["readers"]) == (0, 1), outcome.log
    assert (
        f"its church's code changed the settings of this reader, which is removed: {changed}" in outcome.log
    )
    assert roles(cluster) == [left]


# Half a minute of locks and waiting.
@pytest.mark.nightly("isolation")
def test_a_church_that_holds_locks_does_not_hold_up_the_watch(
    cluster: Cluster, tenants: list[Tenant]
) -> None:
    one, _ = tenants
    let_end(cluster)
    reader = opened(cluster, wanted(one)).role
    new = Tenant.number(9).database
    closed = f"SELECT datacl IS NOT NULL FROM pg_database WHERE datname = '{new}'"  # noqa: S608
    with watched(cluster), cluster.as_tenant(one) as connection:
        connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE people ADD COLUMN more int")
        end(cluster, reader)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE usename ~ '_work_' AND wait_event_type = 'Lock'"
        )
        eventually("the taking back waits for the church", lambda: cluster.superuser(waiting) != [(0,)])
        cluster.api_database(new)
        # Without the bounds and the thread of its own: 85 seconds.
        eventually("a new database is closed", lambda: cluster.superuser(closed) == [(True,)], 20)
        begin = time.monotonic()
        outcome = cluster.job()
        assert time.monotonic() - begin < late.TIMEOUT_SECONDS
        assert f"{reader} is past its time, and could not be removed" in outcome.log
        connection.execute("ROLLBACK")
        eventually("the reader is gone", lambda: roles(cluster) == [])
    works(cluster, one.user(), one.database)


@pytest.mark.nightly("isolation")
def test_a_church_that_holds_a_readers_role_loses_its_session(
    cluster: Cluster, tenants: list[Tenant]
) -> None:
    one, _ = tenants
    let_end(cluster)
    reader = opened(cluster, wanted(one)).role
    connection = cluster.as_tenant(one)
    with watched(cluster):
        connection.execute("CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        connection.execute("BEGIN")
        # What hangs on a role for the first time takes a lock on the role.
        connection.execute(f'GRANT EXECUTE ON FUNCTION own TO "{reader}"'.encode())
        end(cluster, reader)
        eventually("the reader is gone", lambda: roles(cluster) == [], 60)
    assert ended(connection)
