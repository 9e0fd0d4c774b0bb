"""A church with a cluster of its own comes back in that cluster, and in a new one where that is lost.

It has moved there, so the shared cluster has a copy that is kept: one more database of its name, which is dumped too.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from droplet.by_hand import find_cluster
from droplet.migrate.databases import databases_of
from droplet.postgres import Client
from lab import object_storage
from lab.managed_cluster import Cluster, Tenant
from lab.postgres_clients import clients
from ops.backups import Backups, copy, fetch
from ops.dump_choice import choose, dumps_of
from ops.waiting import SYSTEM_CLOCK
from tests.backups.conftest import Clusters, fill, make_site
from tests.backups.operators import FIRST, SECOND, Operator, backups, eventually, workflow
from tests.backups.site import Site

pytestmark = pytest.mark.nightly("backups")

OWN = FIRST.id
"""What the church's cluster is called."""
THEN, AGAIN = Tenant(FIRST.id, 2), Tenant(FIRST.id, 3)

MOVED_PEOPLE = 10_000
"""As tests/isolation/content.sql makes them."""


@pytest.fixture(scope="module")
def site(
    clusters: Clusters, gateway: object_storage.Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Site:
    """Two churches in the shared cluster, dumped; then the first moves to its own as the runbook says, and writes."""
    made = make_site(clusters, gateway, tmp_path_factory.mktemp("droplet"))
    shared = made.clusters["shared"]
    fill(shared, FIRST)
    assert made.once()[0] == 0
    # docs/runbooks/move-to-dedicated.md, step by step.
    own = clusters(control_plane=False)
    own.api_database(FIRST.database)
    made.clusters = {"shared": shared, OWN: own}
    made.isolate()
    shared.api_drop_user(FIRST.user())
    operator = Operator(made, tmp_path_factory.mktemp("mover") / "grace")
    moved = operator.command(made, "move_tenant", FIRST.id, "--from", "shared", "--to", OWN)
    done = subprocess.run(moved, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    own.api_user(FIRST.user())
    made.isolate()
    with own.as_tenant(FIRST) as connection:
        connection.execute(b"INSERT INTO people (household, name) VALUES (1, 'Secretname')")
    # The next night. A request of the second of a dump would be one before it.
    time.sleep(1)
    made.ask()
    code, log = made.once()
    assert code == 0, log
    return made


@pytest.fixture(scope="module")
def known(site: Site) -> Iterator[Backups]:
    """The dumps as operators know them: the church's tier is `dedicated`."""
    found = workflow(site, f"{site.bucket}-copy")
    yield replace(found, clusters={**found.clusters, "grace": OWN, OWN: OWN})


@pytest.fixture(scope="module")
def operator(site: Site, known: Backups, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    assert copy(known, SYSTEM_CLOCK.time(), print).good
    folder = tmp_path_factory.mktemp("operator") / "grace"
    fetch(known, choose(known, "grace", None), folder)
    return Operator(site, folder)


def people(cluster: Cluster, tenant: Tenant) -> int:
    with cluster.as_tenant(tenant) as connection:
        (found,) = connection.execute(b"SELECT count(*) FROM people").fetchall()
    return int(found[0])


def tables(cluster: Cluster, tenant: Tenant) -> int:
    question = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ((number,),) = cluster.superuser(question, database=tenant.database)
    return int(number)


def migrated(site: Site, folder: Path) -> dict[str, list[str]]:
    """By cluster, the databases of churches that a run of migrations would look after."""
    folder.mkdir(exist_ok=True)
    for part, configuration in site.configurations.items():
        (folder / f"{part}.json").write_text(json.dumps(configuration), encoding="utf-8")
    found = {}
    for name in site.clusters:
        there = find_cluster(folder, name)
        client = Client.prepare(there, folder / name, clients(), application="test")
        found[name] = sorted(one.name for one in databases_of(there, client, folder) if one.tenant)
    return found


def test_a_night_dumps_both_and_the_one_that_is_served_is_chosen(
    site: Site, known: Backups, operator: Operator, tmp_path: Path
) -> None:
    del operator
    every = dumps_of(known, "grace")
    assert [one.cluster for one in every].count(OWN) == 1
    before, *_ = every
    (own,) = (one for one in every if one.cluster == OWN)
    copies = [one for one in every if one.cluster == "shared" and one != before]
    assert len(copies) == 1
    # Whichever of the night's two was made last.
    assert choose(known, "grace", None) == own
    assert choose(known, "grace", min(own.at, copies[0].at)) == before
    indexes = {one: json.loads(site.read(f"dumps/{one.folder}/index.json")) for one in (before, own, *copies)}
    assert [indexes[one]["served"] for one in (before, own, copies[0])] == [True, True, False]
    assert indexes[own]["rows"] == indexes[copies[0]]["rows"] + 1
    assert migrated(site, tmp_path) == {"shared": [SECOND.database], OWN: [FIRST.database]}
    # The droplet's metrics tell one from the other.
    for cluster in ("shared", OWN):
        assert f'timestamp_seconds{{cluster="{cluster}",database="{FIRST.database}"}}' in site.metrics()


def test_it_is_restored_in_its_own_cluster_and_nowhere_else(site: Site, operator: Operator) -> None:
    own, stream = site.clusters[OWN], operator.open()
    # The deploy of `restoring: 2`: the plan adds one database, in that cluster.
    own.api_database(THEN.database)
    site.isolate()
    elsewhere = operator.restore(site, stream, THEN.database, "shared")
    assert elsewhere.returncode == 2
    assert f'database "{THEN.database}" does not exist' in elsewhere.stderr.decode()
    nowhere = operator.restore(site, stream, THEN.database, SECOND.id)
    assert (nowhere.returncode, f"there is no cluster '{SECOND.id}'" in nowhere.stderr.decode()) == (2, True)
    # Its copy in the shared cluster is nobody's to fill, and has content.
    refused = operator.restore(site, stream, FIRST.database, "shared")
    assert (refused.returncode, "the database is not empty" in refused.stderr.decode()) == (2, True)

    process = subprocess.Popen(
        operator.command(site, "restore", THEN.database, "--to", OWN),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(stream)
    process.stdin.close()
    assert any(line.startswith(b"restored: ") for line in process.stdout)
    process.kill()
    process.wait()
    process.stdout.close()
    question = "SELECT count(*) FROM pg_stat_activity WHERE usename ~ '_work_'"
    eventually(lambda: own.superuser(question) == [(0,)])
    assert tables(own, THEN) == 0
    site.isolate()

    done = operator.restore(site, stream, THEN.database, OWN)
    assert done.returncode == 0, (done.stderr.decode(), done.stdout.decode())
    assert f"same: public.people: {MOVED_PEOPLE + 1} rows" in done.stdout.decode()
    assert people(own, FIRST) == MOVED_PEOPLE + 1
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        own.connect(FIRST.user(), THEN.database)


def test_what_differs_is_read_there(site: Site, operator: Operator) -> None:
    with site.clusters[OWN].as_tenant(FIRST) as connection:
        connection.execute(
            b"INSERT INTO people (household, name) VALUES (1, 'Secretname'), (2, 'Secretname')"
        )
    command = operator.command(site, "compare", THEN.database, FIRST.database, "--in", OWN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    numbers = ["public.people", str(MOVED_PEOPLE + 1), str(MOVED_PEOPLE + 3), "0", "2", "0"]
    assert numbers in [line.split() for line in done.stdout.splitlines()], done.stdout
    assert "Secretname" not in done.stdout
    command = operator.command(site, "export", THEN.database, "public.households", "--in", OWN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.count("CREATE TABLE public.households")) == (0, 1), done.stderr


def test_one_of_before_the_move_under_a_number_that_was_never_used(
    site: Site, known: Backups, tmp_path: Path
) -> None:
    """Generation 2 is abandoned, and dropped. The next is 3, from a dump that was made in the shared cluster."""
    own = site.clusters[OWN]
    site.ask(THEN.database)
    assert site.once()[0] == 0
    own.superuser(f'DROP DATABASE "{THEN.database}"')
    site.isolate()
    own.api_database(AGAIN.database)
    site.isolate()
    first = dumps_of(known, "grace")[0]
    folder = tmp_path / "grace"
    fetch(known, first, folder)
    then = Operator(site, folder)
    # Both keys are the site's.
    done = then.restore(site, then.open(), AGAIN.database, OWN)
    assert done.returncode == 0, (done.stderr.decode(), done.stdout.decode())
    assert re.search(rf"dump: \S+, of {FIRST.database} in shared\n", done.stdout.decode())
    assert f"same: public.people: {MOVED_PEOPLE} rows" in done.stdout.decode()
    # A database is dumped within minutes of its restore, whatever was dumped under another number.
    assert site.once()[0] == 0
    (dump,) = site.dumps(AGAIN.database)
    assert dump.endswith(f".{OWN}")
    assert site.contents(dump)["served"] is False
    # What was dumped of the one that was dropped is still there, under its own name.
    assert len(site.dumps(THEN.database)) >= 1


def test_after_the_switch_it_is_served_from_there(site: Site, operator: Operator, tmp_path: Path) -> None:
    del operator
    own = site.clusters[OWN]
    # The deploy of `current: 3, kept: 1`.
    own.api_user(AGAIN.user())
    own.api_drop_user(FIRST.user())
    site.isolate()
    assert people(own, AGAIN) == MOVED_PEOPLE
    for database in (FIRST.database, "defaultdb"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            own.connect(AGAIN.user(), database)
    assert migrated(site, tmp_path) == {"shared": [SECOND.database], OWN: [AGAIN.database]}
    with own.as_tenant(AGAIN) as connection:
        connection.execute(b"INSERT INTO people (household, name) VALUES (1, 'after')")
    time.sleep(1)
    site.ask()
    assert site.once()[0] == 0
    assert site.contents(site.dumps(AGAIN.database)[-1])["served"] is True
    # The deploy of the second `finish`: the copy in the shared cluster stays.
    own.superuser(f'DROP DATABASE "{FIRST.database}"')
    site.isolate()
    assert tables(site.clusters["shared"], FIRST) > 0


def test_its_cluster_is_lost_and_it_comes_back_in_a_new_one(
    site: Site, known: Backups, clusters: Clusters, tmp_path: Path
) -> None:
    served = {**known.served, "grace": [AGAIN.database, FIRST.database]}
    known = replace(known, served=served)
    assert copy(known, SYSTEM_CLOCK.time(), print).good
    # Nothing of the first bucket is left either.
    backups(site, known.second.name).first.erase("")
    new = clusters(control_plane=False)
    new.api_database(AGAIN.database)
    site.clusters = {"shared": site.clusters["shared"], OWN: new}
    site.isolate()
    wanted = choose(known, "grace", None)
    assert (wanted.database, wanted.cluster) == (AGAIN.database, OWN)
    folder = tmp_path / "grace"
    fetch(known, wanted, folder)
    again = Operator(site, folder)
    done = again.restore(site, again.open(), AGAIN.database, OWN)
    assert done.returncode == 0, (done.stderr.decode(), done.stdout.decode())
    new.api_user(AGAIN.user())
    site.isolate()
    assert people(new, AGAIN) == MOVED_PEOPLE + 1
