"""Dumps beside what else happens: a migration that waits, a kill at any step, a fault in one database, a request."""

import json
import signal
import time
from collections.abc import Iterator

import pytest

from droplet.names import BACKUP_LOCK, DATABASE_LOCK
from lab import object_storage
from lab.managed_cluster import ADMINISTRATOR, Tenant
from tests.backups.conftest import Clusters, make_site
from tests.backups.operators import eventually
from tests.backups.site import Site

CONTROL_PLANE = "control_plane"
FIRST, SECOND = Tenant.number(1), Tenant.number(2)
BIG = (
    b"CREATE TABLE big AS SELECT n, (SELECT string_agg(md5(n || ' ' || i), '') FROM generate_series(1, 30) AS i) "
    b"FROM generate_series(1, 20000) AS n"
)


def dumping(site: Site, database: str) -> bool:
    """Whether pg_dump is in a database, beside the session that holds its snapshot."""
    question = "SELECT FROM pg_stat_activity WHERE datname = %s AND usename LIKE '%%\\_work\\_%%'"
    with site.clusters["shared"].connect(ADMINISTRATOR, "defaultdb") as connection:
        return len(connection.execute(question, (database,)).fetchall()) > 1


@pytest.fixture(scope="module")
def site(
    clusters: Clusters, gateway: object_storage.Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Site:
    """One site for all tests here, in their order: the churches have nothing yet."""
    return make_site(clusters, gateway, tmp_path_factory.mktemp("droplet"))


def test_where_the_bucket_does_not_answer_nothing_is_dumped_in_vain_and_it_is_said(site: Site) -> None:
    site.settings["endpoint"] = "http://127.0.0.1:1"
    code, log = site.once()
    assert code == 1
    assert f"the bucket {site.bucket}: " in log
    assert log.count(site.gateway.secret_key) == 0
    assert site.records()[FIRST.database] is None
    assert site.metrics()["never"] == 3
    del site.settings["endpoint"]


def test_what_is_wrong_with_one_church_is_said_and_stops_no_other(site: Site) -> None:
    cluster = site.clusters["shared"]
    # A cast of the church's own: its rows as text are not what an archive has.
    with cluster.as_tenant(SECOND) as connection:
        connection.execute(b"CREATE TABLE odd (n int)")
        connection.execute(b"INSERT INTO odd VALUES (1)")
        connection.execute(b"CREATE FUNCTION lie(odd) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$")
        connection.execute(b"CREATE CAST (odd AS text) WITH FUNCTION lie(odd)")
    code, log = site.once()
    assert code == 1
    words = "1 differences between the dump and its database: public.odd: 1 rows, "
    assert words in log
    assert site.dumps(SECOND.database) == []
    assert len(site.dumps(FIRST.database)) == 1
    status = json.loads(site.read("status.json"))
    (entry,) = (one for one in status["databases"] if one["database"] == SECOND.database)
    assert (entry["at"], entry["tries"]) == (None, 1)
    assert words in entry["reason"]
    assert site.metrics()[f'failing{{cluster="shared",database="{SECOND.database}"}}'] == 1
    assert site.metrics()["never"] == 1
    # Not at once again, but when somebody asks.
    assert site.once()[0] == 1
    assert site.records()[SECOND.database]["tries"] == 1
    with cluster.as_tenant(SECOND) as connection:
        connection.execute(b"DROP CAST (odd AS text)")
    time.sleep(1)
    site.ask(SECOND.database)
    assert site.once()[0] == 0
    assert "tries" not in site.records()[SECOND.database]


def test_one_droplet_works_at_a_time_and_the_other_still_says_how_the_dumps_are(site: Site) -> None:
    cluster = site.clusters["shared"]
    assert site.once()[0] == 0
    before = {
        database: len(site.dumps(database)) for database in (CONTROL_PLANE, FIRST.database, SECOND.database)
    }
    time.sleep(1)
    with cluster.connect(ADMINISTRATOR, "defaultdb") as other:
        other.execute("SELECT pg_advisory_lock(%s)", (BACKUP_LOCK,))
        site.ask()
        code, log = site.once()
        assert (code, "another droplet dumps" in log) == (0, True)
        assert len(site.dumps(FIRST.database)) == before[FIRST.database]
        assert f'size_bytes{{cluster="shared",database="{FIRST.database}"}}' in site.metrics()
    # The request is for all of them.
    assert site.once()[0] == 0
    assert {database: len(site.dumps(database)) - 1 for database in before} == before


@pytest.fixture
def slow(site: Site) -> Iterator[Site]:
    """The site with a church that takes ten seconds to dump, for which somebody has asked."""
    with site.clusters["shared"].as_tenant(SECOND) as connection:
        connection.execute(b"DROP TABLE IF EXISTS big")
        connection.execute(BIG)
    # A request of the second of a dump would be one before it.
    time.sleep(1)
    site.ask(SECOND.database)
    # An archive of about 10 MiB.
    site.settings["rate_mib"] = 1
    yield site
    site.settings["rate_mib"] = 1000


def test_a_dump_gives_way_to_a_migration_and_is_made_again(slow: Site) -> None:
    cluster = slow.clusters["shared"]
    first, second = (len(slow.dumps(tenant.database)) for tenant in (FIRST, SECOND))
    process = slow.start()
    eventually(lambda: dumping(slow, SECOND.database))
    with cluster.connect(ADMINISTRATOR, "defaultdb") as connection:
        question = "SELECT oid FROM pg_database WHERE datname = %s"
        key = DATABASE_LOCK << 32 | int(connection.execute(question, (SECOND.database,)).fetchall()[0][0])
        taken = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
        assert taken == (False,)
        # A migration waits for 10 s; a slow machine gets more, and far less than what the dump would take.
        connection.execute("SET lock_timeout = '60s'")
        connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        log, _ = process.communicate(timeout=60)
        assert "gives way, and is dumped again: another program waits for the database" in log
        assert process.returncode == 0
        # While it is migrated, nobody dumps it.
        assert "another program is at work there" in slow.once()[1]
    assert len(slow.dumps(SECOND.database)) == second
    slow.settings["rate_mib"] = 1000
    code, log = slow.once()
    assert code == 0, log
    assert len(slow.dumps(SECOND.database)) == second + 1
    # Nobody else was touched: they were dumped in this night.
    assert len(slow.dumps(FIRST.database)) == first


def test_a_run_that_is_ended_goes_on_and_leaves_no_half_of_a_dump(slow: Site) -> None:
    cluster, before = slow.clusters["shared"], len(slow.dumps(SECOND.database))
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = slow.start()
        eventually(lambda: dumping(slow, SECOND.database))
        process.send_signal(number)
        process.communicate(timeout=60)
        assert len(slow.dumps(SECOND.database)) == before
        # As systemd ends what is left of a unit: the programs that a killed one had started.
        cluster.superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename ~ '_work_'")
        eventually(lambda: not dumping(slow, SECOND.database))
    slow.settings["rate_mib"] = 1000
    code, log = slow.once()
    assert code == 0, log
    assert len(slow.dumps(SECOND.database)) == before + 1
    assert [path.name for path in (slow.folder / "state").iterdir()] == ["status.json"]
    # The isolation job drops the login whose maker was killed.
    assert cluster.job().code == 0
    ((left,),) = cluster.superuser("SELECT count(*) FROM pg_roles WHERE rolname ~ '_work_'")
    assert left == 0
