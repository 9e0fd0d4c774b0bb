"""One church of then beside today's: filled while that is served, compared, switched to, and today's given up."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from droplet.by_hand import find_cluster
from droplet.migrate.databases import databases_of
from droplet.postgres import Client
from lab.managed_cluster import Cluster, Tenant
from lab.postgres_clients import clients
from ops.backups import fetch
from ops.dump_choice import choose
from tests.backups.operators import FIRST, SECOND, Operator, backups, eventually
from tests.backups.site import Site

pytestmark = pytest.mark.nightly("backups")

THEN = Tenant(FIRST.id, 2)
KILLED_AFTER = ("half of the dump", "dump: ", "restored: ")

TODAY = """
INSERT INTO people (household, name) SELECT 1, 'Secretname ' || number FROM generate_series(1, 3) AS number;
DELETE FROM people WHERE id = (SELECT max(id) FROM people WHERE id <= 10000 AND id NOT IN (SELECT person FROM visits));
UPDATE people SET household = CASE household WHEN 1 THEN 2 ELSE 1 END WHERE id IN (8, 9);
CREATE TABLE visitors (note text);
INSERT INTO visitors VALUES ('Secretname'), ('Secretname'), ('other');
"""


@pytest.fixture(scope="module")
def operator(full: Site, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """The first church was dumped, and has written since. Its dump was fetched."""
    assert full.once()[0] == 0
    folder = tmp_path_factory.mktemp("operator") / "grace"
    known = backups(full, f"{full.bucket}-copy")
    fetch(known, choose(known, "grace", None, first=True), folder, first=True)
    with full.clusters["shared"].as_tenant(FIRST) as connection:
        for statement in TODAY.strip().removesuffix(";").split(";"):
            connection.execute(statement.encode())
    return Operator(full, folder)


@pytest.fixture(scope="module")
def cluster(operator: Operator) -> Iterator[Cluster]:
    """What the deploy of `restoring: 2` makes: a second database, which isolation has visited."""
    found = operator.site.clusters["shared"]
    found.api_database(THEN.database)
    outcome = found.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    yield found


def tables(cluster: Cluster, tenant: Tenant) -> int:
    question = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ((number,),) = cluster.superuser(question, database=tenant.database)
    return int(number)


def nobody_works(cluster: Cluster) -> bool:
    question = "SELECT count(*) FROM pg_stat_activity WHERE usename ~ '_work_'"
    return cluster.superuser(question) == [(0,)]


def is_let_in(cluster: Cluster, user: str, database: str) -> bool:
    try:
        cluster.connect(user, database).close()
    except psycopg.OperationalError as error:
        assert "permission denied for database" in str(error)
        return False
    return True


def migrated(cluster: Cluster, folder: Path) -> list[str]:
    """The databases that a run of migrations would look after."""
    (folder / "isolation").mkdir(exist_ok=True)
    (folder / "isolation/environment.json").write_text(
        json.dumps(cluster.configuration({})), encoding="utf-8"
    )
    there = find_cluster(folder / "isolation", "shared")
    client = Client.prepare(there, folder / "client", clients(), application="test")
    found = databases_of(there, client, folder)
    assert {one.tenant for one in found} == {"", FIRST.id, SECOND.id}
    return sorted(one.name for one in found if one.tenant == FIRST.id)


def test_a_kill_at_any_step_leaves_an_empty_database_and_the_next_try_fills_it(
    operator: Operator, cluster: Cluster
) -> None:
    stream = operator.open()
    command = operator.command(cluster, "restore", THEN.database, "--to", "shared")
    for step in KILLED_AFTER:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdin
        assert process.stdout
        half = step == KILLED_AFTER[0]
        process.stdin.write(stream[: len(stream) // 2] if half else stream)
        process.stdin.flush()
        if half:
            eventually(lambda: not nobody_works(cluster))
        else:
            process.stdin.close()
            assert any(line.startswith(step.encode()) for line in process.stdout)
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
        eventually(lambda: nobody_works(cluster))
        assert tables(cluster, THEN) == 0, step
    # As the watch does within seconds: the logins whose maker was killed.
    assert cluster.job().code == 0

    done = operator.restore(cluster, stream, THEN.database)
    assert done.returncode == 0, done.stderr.decode()
    assert b"same: public.people: 10000 rows" in done.stdout
    again = operator.restore(cluster, stream, THEN.database)
    assert (again.returncode, b"the database is not empty" in again.stderr) == (2, True)
    question = "SELECT tableowner FROM pg_tables WHERE tablename = 'people'"
    ((owner,),) = cluster.superuser(question, database=THEN.database)
    assert owner == THEN.owner


def test_it_is_of_one_church_and_today_is_served_as_before(
    operator: Operator, cluster: Cluster, tmp_path: Path
) -> None:
    other = Tenant(SECOND.id, 2)
    done = operator.restore(cluster, operator.open(), other.database)
    assert done.returncode == 2
    assert f'database "{other.database}" does not exist' in done.stderr.decode()
    with cluster.as_tenant(FIRST) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (10002,)
    for user in (FIRST.user(), SECOND.user(), "control_plane"):
        assert not is_let_in(cluster, user, THEN.database)
    # No user logs in to it, so no migration touches it, and it is as it was then.
    assert migrated(cluster, tmp_path) == [FIRST.database]


def test_what_differs_is_counted_and_no_row_is_told(operator: Operator, cluster: Cluster) -> None:
    def compare(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = operator.command(cluster, "compare", *arguments, "--in", "shared")
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    done = compare(THEN.database, FIRST.database)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["public.people", "10000", "10002", "1", "3", "2"] in lines
    assert ["public.visitors", "0", "3", "0", "3", "0", "table", "only", "now"] in lines
    assert done.stdout.splitlines()[-1].startswith("2 of "), done.stdout
    assert done.stdout.count("Secretname") == 0
    assert nobody_works(cluster)
    assert "are not two databases of one church" in compare(THEN.database, SECOND.database).stderr
    assert "are not two databases of one church" in compare(FIRST.database, FIRST.database).stderr
    gone = compare(Tenant(FIRST.id, 3).database, FIRST.database)
    assert (gone.returncode, gone.stderr.count("does not exist")) == (2, 1)


def test_a_table_of_then_is_written_by_a_login_of_the_churchs_own(
    operator: Operator, cluster: Cluster
) -> None:
    def export(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = operator.command(cluster, "export", *arguments, "--in", "shared")
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    done = export(THEN.database, "public.households", "public.slices")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("CREATE TABLE public.households") == 1
    assert done.stdout.count("CREATE TABLE public.people") == 0
    assert nobody_works(cluster)
    missing = export(THEN.database, "public.gone")
    assert (missing.returncode, "no matching tables" in missing.stderr) == (1, True)
    assert export("control_plane", "public.x").returncode == 2


@pytest.mark.usefixtures("cluster")
def test_both_generations_are_dumped_each_by_its_name(operator: Operator) -> None:
    site = operator.site
    assert site.once()[0] == 0
    (dump,) = site.dumps(THEN.database)
    said = site.contents(dump)
    assert said["database"] == THEN.database
    assert ["owner of table", "public.people", THEN.owner] in said["lines"]
    assert f'timestamp_seconds{{cluster="shared",database="{FIRST.database}"}}' in site.metrics()


def test_after_the_switch_the_old_generation_is_out_of_reach_and_can_be_dropped(
    cluster: Cluster, tmp_path: Path
) -> None:
    # The deploy of `current: 2`: users belong to the database whose name they have.
    cluster.api_user(THEN.user())
    cluster.api_drop_user(FIRST.user())
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    with cluster.as_tenant(THEN) as connection:
        ask = connection.execute
        assert ask("SELECT count(*) FROM people").fetchone() == (10000,)
        assert ask("INSERT INTO people (household, name) VALUES (1, 'Kofi') RETURNING id").fetchone() == (
            10001,
        )
    assert not is_let_in(cluster, THEN.user(), FIRST.database)
    assert not is_let_in(cluster, SECOND.user(), FIRST.database)
    assert migrated(cluster, tmp_path) == [THEN.database]
    # The deploy of the second step of --finish.
    cluster.superuser(f'DROP DATABASE "{FIRST.database}"')
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    assert is_let_in(cluster, THEN.user(), THEN.database)
