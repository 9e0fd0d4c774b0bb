"""The isolation job on real servers: what each tenant's credentials reach afterwards, by trying it."""

import os
import shutil
import signal
import subprocess
import time

import psycopg
import pytest

from droplet.names import ISOLATION_LOCK
from lab.managed_cluster import ADMINISTRATOR, CONNECTIONS, Cluster, Tenant
from tests.isolation.attempts import reached, works
from tests.isolation.conftest import Make
from tests.support import ROOT

SCRIPTS = {
    path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "droplet/isolation").glob("*.sql"))
}
REVOKES = [
    (name, number)
    for name, script in SCRIPTS.items()
    # What these take back, tests/isolation/test_neighbours.py and test_hostile_readers.py try.
    if name not in {"clear.sql", "granted_on.sql", "reader.sql"}
    for number, line in enumerate(script.splitlines())
    if "REVOKE" in line
    and not line.lstrip().startswith("--")
    # What a reader loses whose time is over, the watch's test in tests/isolation/test_readers.py tries.
    and "JOIN over " not in script.splitlines()[number + 1]
]
CONTROL_PLANE = ("control_plane", "control_plane")


def logins(tenants: list[Tenant]) -> list[tuple[str, str]]:
    return [(tenant.user(), tenant.database) for tenant in tenants]


def test_twenty_tenants_reach_their_own_database_and_no_other(cluster: Cluster) -> None:
    tenants = cluster.tenants(range(20))
    first = cluster.job()
    assert (first.code, first.metrics["success"], first.metrics["findings"]) == (0, 1, 0), first.log
    assert (first.metrics["databases"], first.metrics["login_roles"]) == (21, 21)

    crossings, refused = reached(cluster, logins(tenants), [tenant.database for tenant in tenants])
    assert (crossings, refused) == ([], 380)
    # The control plane's user and database are no exception, and nobody reaches the administrator's database.
    crossings, refused = reached(cluster, [*logins(tenants), CONTROL_PLANE], ["control_plane", "defaultdb"])
    assert (crossings, refused) == ([], 20 + 21)
    crossings, refused = reached(cluster, [CONTROL_PLANE], [tenant.database for tenant in tenants])
    assert (crossings, refused) == ([], 20)

    for user, database in [*logins(tenants), CONTROL_PLANE]:
        works(cluster, user, database)
    # Tables are there now, and owned by owner roles: still nothing to find, and nothing to do.
    second = cluster.job()
    assert (second.code, second.metrics["success"], second.metrics["visited"]) == (0, 1, 0), second.log


def test_before_the_job_every_tenant_reaches_every_other(cluster: Cluster) -> None:
    """The other tests prove nothing if the server refuses for another reason than the job."""
    tenants = cluster.tenants(range(3))
    crossings, refused = reached(cluster, logins(tenants), [tenant.database for tenant in tenants])
    assert (len(crossings), refused) == (6, 0)
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        cluster.connect(*logins(tenants)[0]) as connection,
    ):
        connection.execute("CREATE TABLE people (name text)")


def spoiled(cluster: Cluster) -> list[Tenant]:
    """Tenants with privileges granted by hand: one for each REVOKE of the scripts."""
    tenants = cluster.tenants(range(2))
    one, other = tenants
    cluster.superuser(f'GRANT CONNECT ON DATABASE "{other.database}" TO "{one.user()}"')
    # As Postgres 14 made databases, and an upgrade keeps them.
    cluster.superuser("GRANT ALL ON SCHEMA public TO PUBLIC", database=other.database)
    cluster.passwords["reporting"] = "r"
    cluster.superuser(
        "CREATE ROLE reporting LOGIN PASSWORD 'r'",
        f'GRANT CONNECT ON DATABASE "{other.database}" TO reporting',
    )
    return tenants


def faults(cluster: Cluster, tenants: list[Tenant]) -> list[str]:
    """Try what must not work."""
    crossings, _ = reached(cluster, logins(tenants), [tenant.database for tenant in tenants])
    with cluster.connect("reporting", tenants[1].database) as connection:
        try:
            connection.execute("CREATE TABLE public.leak (name text)")
            crossings.append("reporting creates in schema public")
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName):
            pass
        try:
            connection.execute("CREATE TEMPORARY TABLE leak (name text)")
            crossings.append("reporting makes temporary tables")
        except psycopg.errors.InsufficientPrivilege:
            pass
    return crossings


def test_privileges_granted_by_hand_are_revoked(cluster: Cluster) -> None:
    tenants = spoiled(cluster)
    assert len(faults(cluster, tenants)) == 4
    outcome = cluster.job()
    assert outcome.code == 0, outcome.log
    assert faults(cluster, tenants) == []


@pytest.mark.parametrize(("name", "line"), REVOKES)
def test_no_revoke_can_be_left_out(cluster: Cluster, name: str, line: int) -> None:
    """Each line with a REVOKE is removed from its script in turn: attempts succeed, and the job says so itself."""
    lines = SCRIPTS[name].splitlines(keepends=True)
    tenants = spoiled(cluster)
    outcome = cluster.job(scripts={name: "".join(lines[:line] + lines[line + 1 :])})
    assert faults(cluster, tenants) != []
    assert (outcome.code, outcome.metrics["success"]) == (1, 0), outcome.log


def test_there_are_revokes_to_leave_out() -> None:
    assert len(REVOKES) == 3


def test_offending_pairs_are_named(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    # The job cannot revoke this: another role owns the database.
    cluster.superuser(
        f'ALTER DATABASE "{other.database}" OWNER TO postgres',
        f'GRANT CONNECT ON DATABASE "{other.database}" TO "{one.user()}"',
    )
    outcome = cluster.job()
    assert outcome.code == 1
    assert f"shared: {one.user()} may connect, or create in it ({other.database})" in outcome.log
    assert (
        f"shared: postgres owns it, so that {ADMINISTRATOR} cannot close it ({other.database})" in outcome.log
    )
    assert f"shared: PUBLIC has the privilege connect ({other.database})" in outcome.log
    assert outcome.metrics["success"] == 0
    assert outcome.metrics["findings"] >= 3


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ('GRANT "{one_owner}" TO "{other}"', "{other} is a member of {one_owner}"),
        ('GRANT "{one}" TO "{other}"', "{other} is a member of {one}"),
        ('GRANT pg_read_all_data TO "{one}"', "{one} is a member of pg_read_all_data"),
        ('GRANT pg_read_all_data TO "{one_owner}"', "{one_owner} is a member of pg_read_all_data"),
        ('ALTER ROLE "{one}" CREATEDB', "{one} has rights over the whole cluster"),
        ('ALTER ROLE "{one}" REPLICATION', "{one} has rights over the whole cluster"),
        ('ALTER ROLE "{one}" BYPASSRLS', "{one} has rights over the whole cluster"),
        ('ALTER ROLE "{one_owner}" LOGIN', "{one_owner} has rights over the whole cluster"),
    ],
)
def test_what_bypasses_isolation_is_found(cluster: Cluster, statement: str, told: str) -> None:
    one, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    words = {"one": one.user(), "other": other.user(), "one_owner": one.owner}
    cluster.superuser(statement.format(**words))
    outcome = cluster.job()
    assert outcome.code == 1
    assert told.format(**words) in outcome.log


@pytest.mark.parametrize("privilege", ["CREATE", "CONNECT", "TEMPORARY"])
@pytest.mark.parametrize("grantee", ["user", "owner", "other_owner", "other_access"])
def test_what_a_role_of_ours_holds_beyond_its_due_is_taken_back(
    cluster: Cluster, privilege: str, grantee: str
) -> None:
    tenant, other = cluster.tenants(range(2))
    assert cluster.job().code == 0
    role = {
        "user": tenant.user(),
        "owner": tenant.owner,
        "other_owner": other.owner,
        "other_access": f"{other.database}_access",
    }[grantee]
    acl = f"SELECT datacl FROM pg_database WHERE datname = '{tenant.database}'"  # noqa: S608
    before = cluster.superuser(acl)
    cluster.superuser(f'GRANT {privilege} ON DATABASE "{tenant.database}" TO "{role}"')
    outcome = cluster.job()
    assert outcome.code == 0, outcome.log
    assert sorted(cluster.superuser(acl)[0][0]) == sorted(before[0][0])


def test_a_login_role_owns_nothing_and_holds_nothing_so_it_can_be_dropped(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([1])
    assert cluster.job().code == 0
    works(cluster, tenant.user(), tenant.database)
    with cluster.as_tenant(tenant) as connection:
        connection.execute("SET ROLE NONE")
        if cluster.server.major == 15:
            # Inheritance belongs to the role there. It takes intent, is named, and goes to the owner role.
            connection.execute("CREATE TABLE own (number int)")
            assert f"kept {tenant.user()} from being dropped" in cluster.job().log
            owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'own'").fetchone()
            assert owner == (tenant.owner,)
            connection.execute("DROP TABLE own")
        else:
            with pytest.raises(psycopg.Error):
                connection.execute("CREATE TABLE public.own (number int)")
        assert cluster.job().code == 0
        # What poolers and frameworks do between two users of a connection leaves the role in place.
        connection.execute("DISCARD ALL")
        assert connection.execute("SELECT current_user").fetchone() == (tenant.owner,)
    cluster.api_drop_user(tenant.user())
    assert cluster.job().code == 0


def test_without_options_a_login_acts_as_its_owner_role_where_that_can_be_had(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([1])
    outcome = cluster.job()
    had = cluster.server.major == 15 or cluster.administers
    with cluster.connect(tenant.user(), tenant.database) as connection:
        found = connection.execute("SELECT current_user").fetchone()
        if had:
            assert found == (tenant.owner,)
            connection.execute("CREATE TABLE people (name text)")
        else:
            # An error is better than a table that the next generation cannot see.
            assert found == (tenant.user(),)
            with pytest.raises(psycopg.Error, match=r"permission denied|no schema has been selected"):
                connection.execute("CREATE TABLE people (name text)")
    assert outcome.metrics["roles_without_own_limit"] == (0 if had else 2)


def test_limits_and_timeouts_hold(cluster: Cluster) -> None:
    usual, larger = cluster.tenants(range(2))
    assert cluster.job(overrides={larger.database: CONNECTIONS + 3}).code == 0
    had = cluster.server.major == 15 or cluster.administers
    for tenant, limit in ((usual, CONNECTIONS), (larger, CONNECTIONS + 3)):
        # Where the role's own limit cannot be had, the database's is what there is: two generations' and two more.
        allowed = limit if had else 2 * limit + 2
        held = [cluster.as_tenant(tenant) for _ in range(allowed)]
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            cluster.as_tenant(tenant)
        shown = [
            held[0].execute(f"SHOW {name}").fetchone()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]
        assert shown == [("1min",), ("1min",)]
        for connection in held:
            connection.close()
    # A lower limit reaches roles that have one already.
    assert cluster.job(overrides={}).code == 0
    question = f"SELECT datconnlimit FROM pg_database WHERE datname = '{larger.database}'"  # noqa: S608
    (limit,) = cluster.superuser(question)
    assert limit == (2 * CONNECTIONS + 2,)


def test_system_databases_are_closed_where_doadmin_owns_them_and_counted_elsewhere(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([1])
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["open_databases"]) == (0, 2)  # postgres, template1
    with cluster.connect(tenant.user(), "postgres") as connection, pytest.raises(psycopg.Error):
        connection.execute("CREATE TABLE public.leak (name text)")
    cluster.superuser(
        f"ALTER DATABASE postgres OWNER TO {ADMINISTRATOR}",
        f"ALTER DATABASE template1 OWNER TO {ADMINISTRATOR}",
    )
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["open_databases"]) == (0, 0)
    crossings, refused = reached(cluster, logins([tenant]), ["postgres", "template1", "defaultdb"])
    assert (crossings, refused) == ([], 3)


def test_a_run_opens_two_connections_to_look_and_to_count_and_one_more_for_each_change(
    cluster: Cluster,
) -> None:
    tenants = cluster.tenants(range(5))
    assert cluster.job().metrics["visited"] == 6
    before = cluster.connections_of_administrator()
    assert cluster.job().metrics["visited"] == 0
    assert cluster.connections_of_administrator() - before == 2

    # A tenant created between two runs is one more connection, and closed after the next run.
    (new,) = cluster.tenants([5])
    assert reached(cluster, logins(tenants), [new.database])[1] == 0
    before = cluster.connections_of_administrator()
    assert cluster.job().code == 0
    assert cluster.connections_of_administrator() - before == 4
    assert reached(cluster, logins([*tenants, new]), [tenant.database for tenant in [*tenants, new]]) == (
        [],
        30,
    )
    works(cluster, new.user(), new.database)


@pytest.mark.parametrize("change", ["schema", "script", "database", "day"])
def test_what_makes_a_visit_due_again(cluster: Cluster, change: str) -> None:
    tenants = cluster.tenants(range(2))
    assert cluster.job().code == 0
    scripts, visits = {}, 1
    match change:
        case "schema":  # the shared catalog no longer shows the owner role in an acl there
            cluster.superuser(
                f'REVOKE ALL ON SCHEMA public FROM "{tenants[0].owner}"', database=tenants[0].database
            )
        case "script":
            scripts, visits = {"database.sql": SCRIPTS["database.sql"] + "-- another one\n"}, 3
        case "database":
            cluster.superuser(f'DROP DATABASE "{tenants[0].database}"')
            cluster.api_database(tenants[0].database)
        case "day":
            stamp = cluster.droplet / "state/visited-shared"
            day_ago = time.time() - 24 * 3600 - 1
            os.utime(stamp, (day_ago, day_ago))
            visits = 3
    outcome = cluster.job(scripts=scripts)
    assert (outcome.code, outcome.metrics["visited"]) == (0, visits), outcome.log
    works(cluster, tenants[0].user(), tenants[0].database)
    assert cluster.job(scripts=scripts).metrics["visited"] == 0


def test_two_jobs_at_once(cluster: Cluster) -> None:
    tenants = cluster.tenants(range(10))
    other = cluster.droplet.parent / "other-droplet"
    shutil.copytree(cluster.droplet, other)
    runs = [cluster.start_job(droplet=droplet) for droplet in (cluster.droplet, other)]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert (
        cluster.job().code == 0
    )  # which visits all once more if this droplet's run was the one that did nothing
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["visited"]) == (0, 0), outcome.log
    assert reached(cluster, logins(tenants), [tenant.database for tenant in tenants]) == ([], 90)


def test_while_another_run_is_in_progress_a_run_does_nothing_and_says_so(cluster: Cluster) -> None:
    cluster.tenants([1])
    with cluster.connect(ADMINISTRATOR, "defaultdb") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [ISOLATION_LOCK])
        outcome = cluster.job()
    assert (outcome.code, outcome.metrics) == (0, {})
    assert "another run is in progress" in outcome.log
    assert cluster.job().metrics["success"] == 1


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.35])
def test_the_next_run_completes_what_a_killed_run_began(cluster: Cluster, seconds: float) -> None:
    tenants = cluster.tenants(range(10))
    run = cluster.start_job()
    time.sleep(seconds)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    deadline = time.monotonic() + 120
    while not (outcome := cluster.job()).metrics:  # until the server has noticed that the other is gone
        assert time.monotonic() < deadline
    assert outcome.code == 0, outcome.log
    assert reached(cluster, logins(tenants), [tenant.database for tenant in tenants]) == ([], 90)
    for tenant in tenants:
        works(cluster, tenant.user(), tenant.database)


def test_no_password_is_shown_and_none_is_left_readable(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([1])
    outcome = cluster.job()
    shown = outcome.log + (cluster.droplet / "scratch/isolation.prom").read_text() + cluster.server.log
    for user in (ADMINISTRATOR, tenant.user(), "control_plane"):
        assert cluster.passwords[user] not in shown
    assert (cluster.droplet / "scratch/shared/pgpass").stat().st_mode & 0o077 == 0


def test_a_cluster_that_does_not_answer_is_reported(cluster: Cluster) -> None:
    cluster.passwords[ADMINISTRATOR] = "wrong"
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["success"]) == (1, 0)
    assert 'password authentication failed for user "doadmin"' in outcome.log
    assert "wrong" not in outcome.log


def test_metrics_are_prometheus_text(cluster: Cluster) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    cluster.job()
    text = (cluster.droplet / "scratch/isolation.prom").read_bytes()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_retired_tenants_database_stays_closed_without_a_login_role(cluster: Cluster) -> None:
    one, other = cluster.tenants(range(2))
    cluster.api_drop_user(one.user())
    outcome = cluster.job()
    assert outcome.code == 0, outcome.log
    assert reached(cluster, logins([other]), [one.database]) == ([], 1)


@pytest.mark.parametrize("name", ["cluster.sql", "database.sql"])
def test_a_script_refuses_to_run_without_its_variables(make: Make, name: str) -> None:
    """A forgotten variable must not reach a statement as the text `:name`."""
    cluster = make()
    command = ["psql", "--no-psqlrc", "--host", cluster.server.host, "--username", ADMINISTRATOR]
    command += ["--dbname", "defaultdb"]
    done = subprocess.run(
        [*command, "--file", str(ROOT / "droplet/isolation" / name)],
        env={"PATH": "/usr/bin:/bin", "PGPASSWORD": cluster.passwords[ADMINISTRATOR]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "a variable is not set" in done.stderr
