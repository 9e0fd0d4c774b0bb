"""Logins that read one database for a while: what they read, what they cannot, and how they end."""

import time

import psycopg
import pytest

from droplet.configuration import Cluster as Configured
from droplet.names import MEMBERSHIP_VERSION, READ_CONNECTIONS
from droplet.postgres import Client
from droplet.sql import reader
from droplet.sql.reader import Reader, close_reader, open_reader
from droplet.sql.request import Request, SqlError
from lab.managed_cluster import ADMINISTRATOR, CONNECTIONS, Cluster, Tenant
from tests.isolation.attempts import works
from tests.isolation.hostile import droppable, ended, eventually, hang_on, let_end, watched

WRITES = (
    "INSERT INTO people VALUES ('Kofi')",
    "UPDATE people SET name = 'Kofi'",
    "DELETE FROM people",
    "TRUNCATE people",
    "DROP TABLE people",
    "ALTER TABLE people ADD COLUMN mine text",
    "CREATE TABLE mine (name text)",
    "CREATE TABLE public.mine (name text)",
    "CREATE TEMPORARY TABLE mine (name text)",
    "CREATE SCHEMA mine",
    "SELECT nextval('numbers')",
    "SELECT * FROM people FOR UPDATE",
    "DO $$ BEGIN LOCK TABLE people IN SHARE MODE; END $$",
)


def wanted(tenant: Tenant, number: int = 1, seconds: int = 3600) -> Request:
    return Request(
        id=f"20261127-031500-{number:08x}",
        cluster="shared",
        database=tenant.database,
        recipient=f"age1{'q' * 58}",
        by="ada@laptop",
        reason="a test",
        time=time.time(),
        seconds=seconds,
        closed=False,
    )


def administrator(cluster: Cluster) -> Client:
    (configured,) = cluster.configuration({})["clusters"]
    folder = cluster.droplet / "sql"
    return Client.prepare(Configured(**configured), folder, None, application="presence360-sql")


def opened(cluster: Cluster, request: Request) -> Reader:
    reader = open_reader(administrator(cluster), request, cluster.droplet / "sql")
    cluster.passwords[reader.role] = reader.password
    return reader


@pytest.fixture
def tenants(cluster: Cluster) -> list[Tenant]:
    """Two churches; the first has a table, a view, a schema of its own and rows that a policy hides."""
    made = cluster.tenants([1, 2])
    assert cluster.job().code == 0
    for tenant in made:
        works(cluster, tenant.user(), tenant.database)
    cluster.superuser(f'CREATE SCHEMA reports AUTHORIZATION "{made[0].owner}"', database=made[0].database)
    with cluster.as_tenant(made[0]) as connection:
        connection.execute("CREATE VIEW names AS SELECT name FROM people")
        connection.execute("CREATE SEQUENCE numbers")
        connection.execute("CREATE TABLE reports.kept (name citext)")
        connection.execute("INSERT INTO reports.kept VALUES ('Esi')")
        connection.execute("CREATE TABLE hidden (name text)")
        connection.execute("INSERT INTO hidden VALUES ('Yaw')")
        connection.execute("ALTER TABLE hidden ENABLE ROW LEVEL SECURITY")
        connection.execute("ALTER TABLE hidden FORCE ROW LEVEL SECURITY")
    return made


def test_it_reads_its_church_and_writes_nothing(cluster: Cluster, tenants: list[Tenant]) -> None:
    one, other = tenants
    reader = opened(cluster, wanted(one))
    assert (reader.role, reader.tables) == (f"{one.database}_read_00000001", 4)
    bypasses = cluster.server.major * 10_000 >= MEMBERSHIP_VERSION
    assert reader.all_rows is bypasses
    with cluster.connect(reader.role, one.database) as connection:
        for statement, rows in {
            "SELECT name FROM people": [("Ama",)],
            "SELECT name FROM names": [("Ama",)],
            # Of an extension's type, whose operators are in the schema of extensions.
            "SELECT name FROM reports.kept WHERE name = 'ESI'": [("Esi",)],
            "SELECT last_value FROM numbers": [(1,)],
            "SELECT name FROM hidden": [("Yaw",)] if bypasses else [],
        }.items():
            assert connection.execute(statement.encode()).fetchall() == rows, statement
        for name, value in {"default_transaction_read_only": "on", "statement_timeout": "1min"}.items():
            assert connection.execute(f"SHOW {name}".encode()).fetchone() == (value,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(WRITES[0].encode())
        # A session may switch that off. What it is let do does not come from it.
        connection.execute("SET default_transaction_read_only = off")
        for statement in WRITES:
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)):
                connection.execute(statement.encode())
        for role in (one.owner, one.user(), f"{one.database}_access", ADMINISTRATOR, other.owner):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f'SET ROLE "{role}"'.encode())
        connections = [cluster.connect(reader.role, one.database) for _ in range(READ_CONNECTIONS - 1)]
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            cluster.connect(reader.role, one.database)
        for more in connections:
            more.close()
    # The church is as it was, and the job finds nothing wrong.
    works(cluster, one.user(), one.database)
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["readers"]) == (0, 1), outcome.log


def test_it_reaches_no_other_database(cluster: Cluster, tenants: list[Tenant]) -> None:
    one, other = tenants
    reader = opened(cluster, wanted(one))
    for database in (other.database, "control_plane", "defaultdb"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            cluster.connect(reader.role, database)
    # A privilege that somebody grants it elsewhere is taken back, as for every role of ours.
    cluster.superuser(f'GRANT CONNECT ON DATABASE "{other.database}" TO "{reader.role}"')
    assert cluster.job().code == 0
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        cluster.connect(reader.role, other.database)
    # In a database that cannot be closed the watch ends its session.
    let_end(cluster)
    with watched(cluster), cluster.connect(reader.role, "postgres") as connection:
        eventually("its session there is ended", lambda: ended(connection))
    with cluster.connect(reader.role, one.database) as connection:
        assert connection.execute("SELECT name FROM people").fetchone() == ("Ama",)


def roles(cluster: Cluster) -> list[str]:
    return [
        name
        for (name,) in cluster.superuser("SELECT rolname FROM pg_roles WHERE rolname ~ 'tenant_.*_read_'")
    ]


def test_the_job_removes_it_when_its_time_is_over(cluster: Cluster, tenants: list[Tenant]) -> None:
    one, _ = tenants
    reader = opened(cluster, wanted(one))
    cluster.superuser(f"ALTER ROLE \"{reader.role}\" VALID UNTIL '2026-11-27 03:15 UTC'")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        cluster.connect(reader.role, one.database)
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["readers"]) == (0, 0), outcome.log
    assert f"the time of this reader is over: {reader.role}" in outcome.log
    assert roles(cluster) == []
    acls = "SELECT count(*) FROM pg_class WHERE relacl::text ~ 'tenant_.*_read_'"
    assert cluster.superuser(acls, database=one.database) == [(0,)]
    works(cluster, one.user(), one.database)


def test_the_watch_ends_its_session_and_removes_it_within_seconds(
    cluster: Cluster, tenants: list[Tenant]
) -> None:
    one, _ = tenants
    let_end(cluster)
    request = wanted(one)
    reader = opened(cluster, request)
    with cluster.connect(reader.role, one.database) as connection, watched(cluster):
        connection.execute("SET idle_session_timeout = 0")
        assert connection.execute("SELECT name FROM people").fetchone() == ("Ama",)
        assert close_reader(administrator(cluster), request, cluster.droplet / "sql")
        eventually("its session is ended", lambda: ended(connection))
        eventually("the role is gone", lambda: roles(cluster) == [])
    assert not close_reader(administrator(cluster), request, cluster.droplet / "sql")


@pytest.mark.parametrize("until", ["infinity", "9 hours"])
def test_one_that_would_not_end_is_removed_at_once(
    cluster: Cluster, tenants: list[Tenant], until: str
) -> None:
    one, _ = tenants
    reader = opened(cluster, wanted(one))
    when = until if until == "infinity" else cluster.superuser(f"SELECT (now() + '{until}')::text")[0][0]
    cluster.superuser(f"ALTER ROLE \"{reader.role}\" VALID UNTIL '{when}'")
    assert cluster.job().code == 0
    assert roles(cluster) == []


def test_without_the_taking_back_it_stays_and_the_job_says_so(
    cluster: Cluster, tenants: list[Tenant]
) -> None:
    reader = opened(cluster, wanted(tenants[0]))
    cluster.superuser(f"ALTER ROLE \"{reader.role}\" VALID UNTIL '-infinity'")
    late = cluster.droplet / "programs/droplet/isolation/reader.sql"
    text = late.read_text(encoding="utf-8")
    late.write_text(text.replace("DROP OWNED BY", "DROP OWNED BY nobody; --"), encoding="utf-8")
    outcome = cluster.job()
    assert outcome.code == 1
    assert f"{reader.role} is past its time, and could not be removed ({tenants[0].database})" in outcome.log
    late.write_text(text, encoding="utf-8")
    assert cluster.job().code == 0
    assert roles(cluster) == []


def test_a_neighbour_cannot_keep_it_from_being_removed(cluster: Cluster, tenants: list[Tenant]) -> None:
    one, other = tenants
    reader = opened(cluster, wanted(one))
    with cluster.as_tenant(other) as connection:
        connection.execute(f'GRANT SELECT ON people TO "{reader.role}"'.encode())
    # That is taken back at once, and what its own church's owner granted stays until its time is over: also where
    # something of a neighbour's has to be cleared in its own database.
    hang_on(cluster, one, other)
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["readers"]) == (0, 1), outcome.log
    with cluster.connect(reader.role, one.database) as connection:
        assert connection.execute("SELECT name FROM people").fetchone() == ("Ama",)
    cluster.superuser(f"ALTER ROLE \"{reader.role}\" VALID UNTIL '-infinity'")
    assert cluster.job().code == 0
    assert roles(cluster) == []
    assert droppable(cluster, other.user()) == ""


def test_asked_for_again_it_is_the_same_login_with_another_password(
    cluster: Cluster, tenants: list[Tenant]
) -> None:
    one, _ = tenants
    first = opened(cluster, wanted(one))
    second = opened(cluster, wanted(one))
    assert (first.role, roles(cluster)) == (second.role, [second.role])
    assert first.password != second.password
    cluster.connect(second.role, one.database).close()
    # No log has the password: Postgres got its verifier.
    assert second.password not in cluster.server.log


def test_the_database_lets_a_reader_in_beside_the_churchs_own(
    cluster: Cluster, tenants: list[Tenant]
) -> None:
    one, _ = tenants
    limit = f"SELECT datconnlimit FROM pg_database WHERE datname = '{one.database}'"  # noqa: S608
    assert cluster.superuser(limit) == [(2 * CONNECTIONS + 2,)]
    opened(cluster, wanted(one))
    assert cluster.job().code == 0
    assert cluster.superuser(limit) == [(2 * CONNECTIONS + 2 + READ_CONNECTIONS,)]


def test_what_cannot_be_read_is_refused_and_leaves_nothing(cluster: Cluster) -> None:
    (unvisited,) = cluster.tenants([3])
    for tenant, told in ((Tenant.number(9), "has no database"), (unvisited, "has not visited")):
        with pytest.raises(SqlError, match=told):
            opened(cluster, wanted(tenant))
    assert roles(cluster) == []


def test_until_all_of_it_is_made_a_login_ends_within_minutes(
    cluster: Cluster, tenants: list[Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = "SELECT rolvaliduntil - now() < interval '301 s' FROM pg_roles WHERE rolname ~ 'tenant_.*_read_'"
    seen: list[object] = []

    def killed(*_: object) -> int:
        seen.extend(cluster.superuser(ends))
        raise KeyboardInterrupt

    monkeypatch.setattr(reader, "_grant", killed)
    # As where the droplet is lost: nothing ends what was made.
    monkeypatch.setattr(reader, "_give_up", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        opened(cluster, wanted(tenants[0], seconds=8 * 3600))
    assert seen == cluster.superuser(ends) == [(True,)]
    monkeypatch.undo()
    opened(cluster, wanted(tenants[0], seconds=8 * 3600))
    assert cluster.superuser(ends) == [(False,)]
