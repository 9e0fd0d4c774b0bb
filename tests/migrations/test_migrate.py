"""Schemas follow the release, on a real Postgres with the real Alembic."""

import json
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

import psycopg
import pytest

from droplet.migrate import migration, telling, work
from droplet.migrate.command import main
from droplet.migrate.wanted import Job
from droplet.migrate.work import NOT_ISOLATED, TAKEN
from droplet.names import DATABASE_LOCK
from droplet.session import Session, SessionError
from droplet.work_login import Login, Rights, login_within
from lab.managed_cluster import ADMINISTRATOR, Cluster, Tenant
from tests.migrations.conftest import Clusters
from tests.migrations.site import Site

DONE_1, DONE_2 = ("done", "0001"), ("done", "0002")


def shared(site: Site) -> Cluster:
    return site.clusters["shared"]


def churches(site: Site, number: int) -> list[Tenant]:
    """Churches that are isolated, and have the first schema."""
    made = shared(site).tenants(range(number))
    assert shared(site).job().code == 0
    assert site.once() == 0
    site.runner.ran.clear()
    return made


def comment(cluster: Cluster, database: str) -> dict[str, object]:
    found = dict(cluster.superuser("SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"))
    record: dict[str, object] = json.loads(found[database])
    return record


def names(tenants: Sequence[Tenant]) -> list[str]:
    return [tenant.database for tenant in tenants]


def twice_the_same_address(site: Site, tenant: Tenant) -> None:
    """What the third migration fails with."""
    with shared(site).as_tenant(tenant) as connection:
        connection.execute(
            "INSERT INTO people VALUES (1, 'Ama', 'ama@example.org'), (2, 'Esi', 'ama@example.org')"
        )


def test_every_database_gets_the_schema_of_the_release(site: Site) -> None:
    tenants = churches(site, 3)
    assert site.results == dict.fromkeys(["control_plane", *names(tenants)], DONE_1)
    site.release("2")
    assert site.once() == 0
    assert site.results == dict.fromkeys(["control_plane", *names(tenants)], DONE_2)
    assert site.summary["state"] == "done"
    assert 'presence360_migrations_databases{databases="tenants",result="done"} 3' in site.metrics
    # What is done is not done again.
    site.runner.ran.clear()
    assert site.once() == 0
    assert site.runner.ran == []


def test_the_control_plane_and_the_canaries_are_first(site: Site) -> None:
    tenants = churches(site, 5)
    site.release("2", canaries=[tenants[3].id])
    assert site.once() == 0
    ran = [database for _, database in site.runner.ran]
    assert set(ran[:2]) == {"control_plane", tenants[3].database}
    assert sorted(ran) == ["control_plane", *names(tenants)]


def test_no_more_run_at_a_time_than_the_file_says(site: Site) -> None:
    churches(site, 6)
    site.runner.most = 0
    site.release("2", parallel=2)
    assert site.once() == 0
    assert site.runner.most == 2


def test_one_failure_stops_no_other_and_is_told_without_what_people_wrote(site: Site) -> None:
    tenants = churches(site, 3)
    site.release("2")
    assert site.once() == 0
    twice_the_same_address(site, tenants[1])
    site.release("3")
    assert site.once() == 1
    assert site.results == {
        "control_plane": ("done", "0003"),
        tenants[0].database: ("done", "0003"),
        tenants[1].database: ("failed", "0002"),
        tenants[2].database: ("done", "0003"),
    }
    said = site.summary
    assert said["state"] == "failed"
    (failed,) = said["failed"]
    assert failed["database"] == tenants[1].database
    assert "UniqueViolation" in failed["reason"]
    assert "could not create unique index" in failed["reason"]
    everything = json.dumps(site.bucket.objects)
    assert everything.count("ama@example.org") == 0
    for seen in site.runner.seen:
        password = (
            seen.get("TENANT_DATABASE_URL", seen.get("CONTROL_PLANE_DATABASE_URL", ""))
            .split(":")[2]
            .split("@")[0]
        )
        assert everything.count(password) == 0
    # What failed is tried again later, and less and less often.
    site.runner.ran.clear()
    site.now += 30
    assert site.once() == 1
    assert site.runner.ran == []
    site.now += 31
    assert site.once() == 1
    assert site.runner.ran == [("3", tenants[1].database)]
    assert site.summary["failed"][0]["tries"] == 2
    # The next release fixes it, or somebody fixes the data and asks for another try.
    with shared(site).as_tenant(tenants[1]) as connection:
        connection.execute("UPDATE people SET email = 'esi@example.org' WHERE id = 2")
    site.now += 10
    site.ask_again(tenants[1].database)
    assert site.once() == 0
    assert site.results[tenants[1].database] == ("done", "0003")
    assert site.summary["state"] == "done"


def test_a_request_counts_for_ten_minutes(site: Site) -> None:
    (tenant,) = churches(site, 1)
    site.release("2")
    assert site.once() == 0
    twice_the_same_address(site, tenant)
    site.release("3")
    assert site.once() == 1
    site.now += 40
    assert site.once() == 1
    site.now += 60
    site.once()
    site.ask_again(tenant.database)
    site.runner.ran.clear()
    site.now += 1
    assert site.once() == 1
    assert len(site.runner.ran) == 0, "the request is older than the last failure"


def test_a_share_is_enough_where_the_file_says_so(site: Site) -> None:
    tenants = churches(site, 4)
    site.release("2")
    assert site.once() == 0
    twice_the_same_address(site, tenants[0])
    site.release("3", share=75)
    assert site.once() == 1, "somebody has to look"
    assert site.summary["state"] == "done"
    site.settings["share"] = 76
    site.write()
    site.once()
    assert site.summary["state"] == "failed"


def test_if_a_canary_fails_no_other_is_begun_but_a_new_church_gets_its_schema(site: Site) -> None:
    tenants = churches(site, 3)
    site.release("2")
    assert site.once() == 0
    twice_the_same_address(site, tenants[0])
    site.runner.ran.clear()
    site.release("3", canaries=[tenants[0].id])
    assert site.once() == 1
    assert sorted(site.runner.ran) == [("3", "control_plane"), ("3", tenants[0].database)]
    assert site.summary["state"] == "failed"
    (new,) = shared(site).tenants([9])
    assert shared(site).job().code == 0
    assert site.once() == 1
    assert site.results[new.database] == ("done", "0003")
    assert site.results[tenants[1].database] == ("due", "0002")


def test_a_migration_gives_way_to_traffic_and_is_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = churches(site, 2)
    monkeypatch.setattr(migration, "LOCK_TIMEOUT_MS", 300)
    monkeypatch.setattr(migration, "GIVE_WAY_SECONDS", (0.2, 0.2))
    site.release("2")
    with shared(site).as_tenant(tenants[0]) as busy, busy.transaction():
        busy.execute("LOCK TABLE people IN SHARE MODE")
        assert site.once() == 1
    assert site.runner.ran.count(("2", tenants[0].database)) == 3
    assert "lock timeout" in site.summary["failed"][0]["reason"]
    assert site.results[tenants[1].database] == DONE_2
    # Traffic that goes on its way between two tries is waited for within the run.
    site.now += 61
    with shared(site).as_tenant(tenants[0]) as busy:
        busy.execute("BEGIN")
        busy.execute("LOCK TABLE people IN SHARE MODE")
        timer = threading.Timer(1.0, lambda: busy.execute("ROLLBACK"))
        monkeypatch.setattr(migration, "GIVE_WAY_SECONDS", (2.0,))
        timer.start()
        assert site.once() == 0
        timer.join()
    assert site.results[tenants[0].database] == DONE_2


def test_a_run_that_is_ended_goes_on_where_it_was(site: Site) -> None:
    tenants = churches(site, 4)
    site.runner.change("2", "0002_email.py", SLOW)
    site.release("2", parallel=1)
    run = site.make()

    def end() -> None:
        run.stopping.set()
        site.runner.stop()

    watching = site.runner.when(3, end)
    run.once()
    watching.join()
    arrived = [name for name, result in site.results.items() if result == DONE_2]
    assert 0 < len(arrived) < 5, site.results
    assert site.summary["failed"] == [], "what was killed has not failed"
    assert site.summary["state"] == "running"
    before = list(site.runner.ran)
    assert site.once() == 0
    again = [one for one in site.runner.ran[len(before) :] if one[1] in arrived]
    assert again == []
    assert site.results == dict.fromkeys(["control_plane", *names(tenants)], DONE_2)
    # No login of the killed run is left.
    assert shared(site).job().code == 0
    assert shared(site).superuser("SELECT rolname FROM pg_roles WHERE rolname ~ '_work_'") == []


SLOW = """
import time
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    time.sleep(0.5)
    op.add_column("people", sa.Column("email", sa.Text, nullable=True))
"""


def test_a_newer_release_ends_a_run_and_the_next_begins_with_it(site: Site) -> None:
    churches(site, 4)
    site.runner.change("2", "0002_email.py", SLOW)
    site.release("2", parallel=1)
    watching = site.runner.when(2, lambda: site.release("3"))
    site.once()
    watching.join()
    assert {version for version, _ in site.runner.ran} == {"2"}
    assert site.once() == 0
    assert set(site.results.values()) == {("done", "0003")}


def test_a_suspended_church_is_left_alone_and_catches_up_when_it_returns(site: Site) -> None:
    tenants = churches(site, 2)
    shared(site).api_drop_user(tenants[0].user())
    site.release("2")
    assert site.once() == 0
    assert site.summary["state"] == "done"
    assert tenants[0].database not in site.results
    shared(site).api_user(tenants[0].user())
    assert shared(site).job().code == 0
    assert site.once() == 0
    assert site.results[tenants[0].database] == DONE_2


def test_a_new_church_gets_its_schema_once_it_is_isolated(site: Site) -> None:
    churches(site, 1)
    (new,) = shared(site).tenants([7])
    assert site.once() == 1, "it is not isolated yet"
    assert site.summary["state"] == "running"
    assert site.runner.ran == []
    assert shared(site).job().code == 0
    assert site.once() == 0
    assert site.runner.ran == [("1", new.database)]


def test_the_code_goes_back_and_the_schema_stays(site: Site) -> None:
    tenants = churches(site, 2)
    site.release("2")
    assert site.once() == 0
    site.runner.ran.clear()
    site.release("1")
    assert site.once() == 0
    assert site.runner.ran == []
    assert site.summary["state"] == "done"
    assert site.results[tenants[0].database] == ("ahead", "0002")
    # A church that begins meanwhile has the schema of the code that runs; and one that is restored with a newer schema
    # than the code knows is recognised.
    (new,) = shared(site).tenants([7])
    assert shared(site).job().code == 0
    assert site.once() == 0
    assert site.results[new.database] == DONE_1
    shared(site).superuser(f'COMMENT ON DATABASE "{tenants[1].database}" IS NULL')
    assert shared(site).job().code == 0
    site.runner.ran.clear()
    assert site.once() == 0
    assert site.runner.ran == [("1", tenants[1].database)], (
        "the image itself says that it does not know the revision"
    )
    assert site.summary["state"] == "done"
    site.runner.ran.clear()
    # Forward again: the others have nothing to do.
    site.release("2")
    assert site.once() == 0
    assert set(site.runner.ran) == {("2", new.database), ("2", tenants[1].database)}
    assert site.results[new.database] == DONE_2


def test_no_church_decides_what_another_needs(site: Site) -> None:
    hostile, other, restored = sorted(churches(site, 3), key=lambda tenant: tenant.database)
    site.release("2")
    assert site.once() == 0
    # It owns its tables, so it says of its revision what it likes.
    with shared(site).as_tenant(hostile) as connection:
        connection.execute(
            "CREATE FUNCTION lie() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN NEW.version_num := '0001'; RETURN NEW; END$$"
        )
        connection.execute(
            "CREATE TRIGGER lie BEFORE UPDATE ON alembic_version FOR EACH ROW EXECUTE FUNCTION lie()"
        )
    site.release("3")
    assert site.once() == 0
    assert (site.results[hostile.database][1], site.results[other.database][1]) == ("0001", "0003")
    site.release("2")
    assert site.once() == 0
    with shared(site).as_tenant(restored) as connection:
        connection.execute("DROP INDEX people_email")
        connection.execute("ALTER TABLE people DROP COLUMN email")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    shared(site).superuser(f'COMMENT ON DATABASE "{restored.database}" IS NULL')
    assert shared(site).job().code == 0
    site.runner.ran.clear()
    assert site.once() == 0
    assert site.runner.ran == [("2", restored.database)]
    assert site.results[restored.database] == DONE_2


def test_a_restored_church_is_brought_up(site: Site) -> None:
    tenants = churches(site, 2)
    site.release("2")
    assert site.once() == 0
    # As a restore does it: the database is dropped and made again, with what the dump has.
    database = tenants[0].database
    shared(site).superuser(f'DROP DATABASE "{database}"')
    shared(site).api_database(database)
    assert shared(site).job().code == 0
    with shared(site).as_tenant(tenants[0]) as connection:
        connection.execute("CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL)")
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
    site.runner.ran.clear()
    assert site.once() == 0
    assert site.runner.ran == [("2", database)]
    assert site.results[database] == DONE_2


def test_a_church_that_moves_is_migrated_where_its_users_are(site: Site, clusters: Clusters) -> None:
    tenants = churches(site, 2)
    moving = tenants[0]
    own = clusters(control_plane=False)
    site.clusters = {**site.clusters, moving.id: own}
    own.api_database(moving.database)
    assert own.job().code == 0
    site.release("2")
    # The copy that has not been filled yet stays empty: a move refuses another one.
    shared(site).api_drop_user(moving.user())
    assert site.once() == 0
    assert own.superuser(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=moving.database
    ) == [(0,)]
    own.api_user(moving.user())
    assert own.job().code == 0
    assert site.once() == 0
    assert site.results[moving.database] == DONE_2
    assert site.results[tenants[1].database] == DONE_2


def test_of_two_droplets_at_once_only_one_works(site: Site) -> None:
    churches(site, 4)
    site.runner.change("2", "0002_email.py", SLOW)
    other = Site(site.folder.parent / "other", site.clusters, site.runner)
    site.release("2")
    other.release("2")
    codes: list[int] = []
    threads = [threading.Thread(target=lambda one=one: codes.append(one.once())) for one in (site, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0, 0]
    assert len(site.runner.ran) == len(set(site.runner.ran)) == 5
    assert bool(site.bucket.objects.get("migrations-databases.json")) or bool(other.bucket.objects)


def test_a_database_that_another_program_holds_is_left_for_the_next_run(site: Site) -> None:
    tenants = churches(site, 2)
    site.release("2")
    with shared(site).connect(ADMINISTRATOR, "defaultdb") as dumping:
        dumping.execute(
            "SELECT pg_advisory_lock(%s::bigint << 32 | oid::bigint) FROM pg_database WHERE datname = %s",
            [DATABASE_LOCK, tenants[0].database],
        )
        assert site.once() == 1
        assert site.summary["state"] == "running"
        assert site.results[tenants[0].database] == ("due", "0001")
        site.now += 301
        assert site.once() == 1
        assert_only_failure(site, tenants[0], TAKEN)
    assert site.once() == 0
    assert site.summary["failed"] == []


def assert_only_failure(site: Site, tenant: Tenant, reason: str) -> None:
    """What has been in the way for minutes is told like a migration that failed."""
    assert site.summary["state"] == "failed"
    assert [(one["database"], one["reason"]) for one in site.summary["failed"]] == [(tenant.database, reason)]
    assert f"{tenant.database}: {reason}" in site.summary["reason"]
    assert site.results[tenant.database] == ("failed", "0001")
    assert f'presence360_migrations_failing{{database="{tenant.database}"}} 2' in site.metrics


def test_a_cluster_that_fails_in_the_middle_of_a_migration_is_tried_again_and_then_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = churches(site, 2)
    whole = login_within

    def broken(session: Session, rights: Rights) -> AbstractContextManager[Login]:
        if rights.database == tenants[0].database:
            raise SessionError("shared: server closed the connection")
        return whole(session, rights)

    monkeypatch.setattr(migration, "login_within", broken)
    site.release("2")
    assert site.once() == 1
    assert site.summary["state"] == "running"
    assert site.results == {
        "control_plane": DONE_2,
        tenants[0].database: ("due", "0001"),
        tenants[1].database: DONE_2,
    }
    site.now += 301
    assert site.once() == 1
    assert_only_failure(site, tenants[0], "shared: server closed the connection")
    monkeypatch.setattr(migration, "login_within", whole)
    assert site.once() == 0


def test_a_church_that_nobody_isolates_is_told(site: Site) -> None:
    churches(site, 1)
    (new,) = shared(site).tenants([7])
    site.once()
    assert site.summary["state"] == "running"
    site.now += 301
    site.once()
    (failed,) = site.summary["failed"]
    assert failed["database"] == new.database
    assert failed["reason"] == NOT_ISOLATED


def test_what_is_done_is_not_taken_back_when_a_run_begins(site: Site) -> None:
    churches(site, 2)
    site.bucket.history.clear()
    for _ in range(2):
        site.now += 30
        assert site.once() == 0
    assert {one["state"] for one in site.bucket.history} == {"done"}
    # Neither is it while an image is fetched again, on a droplet that has not had it.
    whole = site.runner.digest

    def slowly(job: Job, registry: bytes | None) -> str:
        time.sleep(0.5)
        return whole(job, registry)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(telling, "PUBLISH_SECONDS", 0.1)
        patched.setattr(site.runner, "digest", slowly)
        assert site.once() == 0
        assert {one["state"] for one in site.bucket.history} == {"done"}
        site.release("2")
        assert site.once() == 0
    assert (site.bucket.history[-1]["state"], site.bucket.history[-1]["asked"]) == ("done", site.asked)
    fetched = [one["reason"] for one in site.bucket.history if one["asked"] == site.asked]
    assert fetched[0] == "the images are being fetched"


def test_a_new_church_does_not_wait_for_the_slowest(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tenants = churches(site, 2)
    goes_on = site.folder / "goes-on"
    monkeypatch.setattr(work, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(telling, "PUBLISH_SECONDS", 0.2)
    site.runner.change("2", "0002_email.py", SLOW_FOR_ONE.format(tenant=tenants[0].id, file=goes_on))
    site.release("2")
    run = threading.Thread(target=site.once)
    run.start()
    try:
        (new,) = shared(site).tenants([7])
        assert shared(site).job().code == 0
        until = time.monotonic() + 20
        while site.results.get(new.database) != DONE_2 and time.monotonic() < until:
            time.sleep(0.1)
        assert site.results[new.database] == DONE_2
        assert site.results[tenants[0].database] == ("due", "0001"), "it is in progress"
        assert site.runner.ran.count(("2", tenants[0].database)) == 1
    finally:
        goes_on.touch()
        run.join()
    assert site.results == dict.fromkeys(["control_plane", *names(tenants), new.database], DONE_2)
    assert len(site.runner.ran) == len(set(site.runner.ran))


SLOW_FOR_ONE = """
import os
import time
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    while os.environ.get("TENANT_ID") == "{tenant}" and not os.path.exists("{file}"):
        time.sleep(0.1)
    op.add_column("people", sa.Column("email", sa.Text, nullable=True))
"""


def test_a_migration_has_its_tenants_rights_and_no_others(site: Site) -> None:
    tenants = churches(site, 2)
    site.runner.add("hostile", "0001")
    site.runner.change("hostile", "0009_hostile.py", HOSTILE)
    site.release("hostile")
    assert site.once() == 0, site.summary
    with shared(site).as_tenant(tenants[0]) as connection:
        found = dict(connection.execute("SELECT what, said FROM tried").fetchall())
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert owners == [(tenants[0].owner,)]
    assert found["acts as"] == tenants[0].owner
    assert "permission denied for database" in found["another database"]
    assert "must be owner of database" in found["comment"]
    assert "permission denied" in found["role"]
    assert found["logged in as"].startswith(f"{tenants[0].database}_work_")


HOSTILE = """
import os
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0009", "0001"
def upgrade():
    connection = op.get_bind()
    url = os.environ.get("TENANT_DATABASE_URL")
    if not url:
        return
    op.create_table("tried", sa.Column("what", sa.Text), sa.Column("said", sa.Text))
    def note(what, said):
        connection.execute(sa.text("INSERT INTO tried VALUES (:what, :said)"), {"what": what, "said": said})
    note("acts as", connection.execute(sa.text("SELECT current_user")).scalar())
    note("logged in as", connection.execute(sa.text("SELECT session_user")).scalar())
    own = "tenant_" + os.environ["TENANT_ID"]
    for what, statement in (
        ("comment", f'COMMENT ON DATABASE "{own}" IS NULL'),
        ("role", "CREATE ROLE mine SUPERUSER"),
    ):
        try:
            with connection.begin_nested():
                connection.execute(sa.text(statement))
            note(what, "it may")
        except Exception as error:
            note(what, str(error))
    try:
        elsewhere = url.replace("/" + own + "?", "/control_plane?").replace("postgresql:", "postgresql+psycopg:")
        sa.create_engine(elsewhere).connect()
        note("another database", "it may")
    except Exception as error:
        note("another database", str(error))
"""


def test_a_container_knows_the_settings_and_its_database_and_nothing_else(site: Site) -> None:
    tenants = churches(site, 1)
    by_service = {seen["PRESENCE360_SERVICE"]: seen for seen in site.runner.seen}
    assert set(by_service["tenant-api"]) == {
        "COLOUR",
        "PRESENCE360_SERVICE",
        "TENANT_DATABASE_URL",
        "TENANT_ID",
    }
    assert set(by_service["control-plane-api"]) == {
        "COLOUR",
        "PRESENCE360_SERVICE",
        "CONTROL_PLANE_DATABASE_URL",
    }
    assert by_service["tenant-api"]["TENANT_ID"] == tenants[0].id
    assert by_service["tenant-api"]["TENANT_DATABASE_URL"].count(shared(site).passwords[ADMINISTRATOR]) == 0


def test_the_record_is_shared_with_isolation_and_neither_loses_the_others_part(site: Site) -> None:
    (tenant,) = churches(site, 1)
    before = comment(shared(site), tenant.database)
    assert set(before) == {"isolation", "migration"}
    text = shared(site).script("database.sql") + "-- another revision\n"
    assert shared(site).job(scripts={"database.sql": text}).metrics["visited"] == 2
    after = comment(shared(site), tenant.database)
    assert after["isolation"] != before["isolation"]
    assert after["migration"] == before["migration"]
    site.release("2")
    assert site.once() == 0
    assert comment(shared(site), tenant.database)["isolation"] == after["isolation"]
    # A tenant cannot write it.
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        shared(site).as_tenant(tenant) as connection,
    ):
        connection.execute(f'COMMENT ON DATABASE "{tenant.database}" IS NULL'.encode())


def test_a_record_that_cannot_be_read_means_migrate(site: Site) -> None:
    (tenant,) = churches(site, 1)
    for text in ("not json", "[]", '{"migration": 1}', '{"migration": {"images": 3}}'):
        site.runner.ran.clear()
        shared(site).superuser(f"COMMENT ON DATABASE \"{tenant.database}\" IS '{text}'")
        assert shared(site).job().code == 0
        assert site.once() == 0
        assert site.runner.ran == [("1", tenant.database)]


def test_what_a_church_writes_into_its_revision_reaches_nobody(site: Site) -> None:
    (tenant,) = churches(site, 1)
    with shared(site).as_tenant(tenant) as connection:
        connection.execute(
            "CREATE FUNCTION public.evil() RETURNS text LANGUAGE sql AS $$SELECT '\x1b[2J <script>'$$"
        )
        connection.execute("ALTER TABLE alembic_version RENAME TO kept")
        connection.execute("CREATE VIEW alembic_version AS SELECT public.evil() AS version_num")
    shared(site).superuser(f'COMMENT ON DATABASE "{tenant.database}" IS NULL')
    assert shared(site).job().code == 0
    site.once()
    assert json.dumps(site.bucket.objects).count("\\u001b") == 0
    assert site.results[tenant.database] == ("failed", None)


def test_an_image_that_cannot_be_pulled_holds_everybody_and_says_so(site: Site) -> None:
    churches(site, 1)
    site.runner.missing = "9"
    site.release("9")
    pulled = "image: docker pull registry.example.org/presence360/control-plane-api:9: exit 1: not found"
    for passed, state in ((0, "running"), (150, "running"), (150, "failed"), (30, "failed")):
        site.now += passed
        assert site.once() == 1
        assert site.summary["state"] == state
        assert pulled in site.summary["reason"]
    # Another droplet that takes over knows since when, and a registry that comes back is enough.
    other = Site(site.folder.parent / "other", site.clusters, site.runner, bucket=site.bucket, now=site.now)
    other.release("9")
    assert other.once() == 1
    assert site.summary["state"] == "failed"
    assert site.results["control_plane"] == ("due", "0001")
    site.runner.missing = ""
    site.runner.add("9", "0001", "0002")
    assert site.once() == 0
    assert site.summary["obstacles"] == {}


def test_a_migration_that_takes_too_long_is_ended(site: Site) -> None:
    (tenant,) = churches(site, 1)
    site.runner.change("2", "0002_email.py", SLOW.replace("sleep(0.5)", "sleep(60)"))
    site.timeout_seconds = 3
    site.release("2")
    assert site.once() == 1
    assert {one["reason"] for one in site.summary["failed"]} == {"not done after 3 s"}
    # The control plane is first, and nobody follows.
    assert {one["database"] for one in site.summary["failed"]} == {"control_plane"}
    assert site.results[tenant.database] == ("due", "0001")


def test_an_apply_that_is_under_way_changes_nothing(site: Site) -> None:
    churches(site, 1)
    (site.paths.incoming / "settings.env").write_text("COLOUR=red\n", encoding="utf-8")
    assert main([], site.make()) == 0
    assert site.runner.ran == []


def test_a_cluster_that_does_not_answer_is_told(site: Site, clusters: Clusters) -> None:
    churches(site, 1)
    cell = clusters(control_plane=False)
    site.clusters = {**site.clusters, "cell-2": cell}
    cell.server.stop()
    site.release("2")
    assert site.once() == 1
    assert site.summary["state"] == "running", "it may be back in a moment"
    assert "in the way: cell-2: " in site.summary["reason"]
    site.now += 301
    assert site.once() == 1
    assert site.summary["state"] == "failed"
    assert "cell-2: " in site.summary["reason"]
    # The others are done all the same.
    assert site.results["control_plane"] == DONE_2


def test_where_the_control_plane_does_not_answer_the_run_fails_and_tells_nobody_anything(site: Site) -> None:
    churches(site, 1)
    before = dict(site.bucket.objects)
    shared(site).server.stop()
    assert site.once() == 1
    assert site.bucket.objects == before
    assert "presence360_migrations_success 0" in site.metrics
