"""One church of a fork: from a backup of the whole cluster, beside the database that is served."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import object_storage
from lab.local_postgres import Template
from lab.managed_cluster import Tenant
from lab.postgres_clients import clients
from tests.backups.conftest import Clusters, fill, make_site
from tests.backups.operators import FIRST, SECOND, Operator
from tests.backups.site import Site
from tests.drill.site import Fork, Platform

pytestmark = pytest.mark.nightly("backups")

THEN = Tenant(FIRST.id, 2)


@pytest.fixture(scope="module")
def site(
    clusters: Clusters, gateway: object_storage.Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Site:
    made = make_site(clusters, gateway, tmp_path_factory.mktemp("droplet"))
    fill(made.clusters["shared"], FIRST)
    return made


@pytest.fixture(scope="module")
def fork(site: Site, template: Template) -> Iterator[Fork]:
    """A backup was made; then the church lost rows, and has the second database that a restore begins with."""
    with tempfile.TemporaryDirectory(prefix="fork-") as folder:
        Path(folder).chmod(0o755)
        platform = Platform(site, template, Path(folder))
        backup = platform.backup()
        shared = site.clusters["shared"]
        with shared.as_tenant(FIRST) as connection:
            connection.execute(b"DELETE FROM visits")
            connection.execute(b"DELETE FROM people WHERE id > 10")
        shared.api_database(THEN.database)
        site.isolate()
        with platform.fork(backup) as started:
            yield started


@pytest.fixture(scope="module")
def operator(site: Site, fork: Fork, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """Somebody on a droplet, whose folder of configurations has the fork as well."""
    found = Operator(site, tmp_path_factory.mktemp("operator") / "grace")
    found.command(site, "restore")
    file = found.folder.with_name("isolation") / "environment.json"
    value = json.loads(file.read_bytes())
    (shared,) = (one for one in value["clusters"] if one["name"] == "shared")
    # A copied entry, whose host was forgotten.
    value["clusters"] += [fork.administration(), {**shared, "name": "forgotten"}]
    file.with_name("both").mkdir()
    (file.with_name("both") / "environment.json").write_text(json.dumps(value), encoding="utf-8")
    return found


def restored(
    operator: Operator, *arguments: str, programs: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    both = str(operator.folder.with_name("isolation") / "both")
    command = operator.command(operator.site, "restore", *arguments)
    command[command.index("--configurations") + 1] = both
    if programs:
        command[command.index("--programs") + 1] = str(programs)
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )


def tables(site: Site) -> int:
    question = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ((number,),) = site.clusters["shared"].superuser(question, database=THEN.database)
    return int(number)


def test_it_comes_back_as_it_was_when_the_backup_was_made(
    site: Site, fork: Fork, operator: Operator, tmp_path: Path
) -> None:
    into, of = (THEN.database, "--to", "shared"), ("--of", FIRST.database)
    # A pg_dump that fails at its very end: nothing but its exit status says so.
    for name in ("psql", "pg_restore", "pg_dump"):
        program, script = clients() / name, tmp_path / name
        run = '"{}" "$@"\nexit 1' if name == "pg_dump" else 'exec "{}" "$@"'
        script.write_text(f"#!/bin/sh\n{run.format(program)}\n")
        script.chmod(0o755)
    for arguments, programs, code, words in (
        ((*into, "--from", "gone", *of), None, 2, "there is no cluster 'gone'"),
        ((*into, "--from", "shared", *of), None, 2, "source and target are the same cluster"),
        (
            (*into, "--from", "forgotten", *of),
            None,
            2,
            "forgotten is not another cluster than shared: both entries lead to the same server",
        ),
        ((*into, *of), None, 2, "--of belongs to --from"),
        ((*into, "--from", "fork"), None, 2, f'database "{THEN.database}" does not exist'),
        (
            (*into, "--from", "fork", "--of", SECOND.database),
            None,
            2,
            f"this is the dump of {SECOND.database}, and not of {THEN.database}",
        ),
        ((FIRST.database, "--to", "shared", "--from", "fork"), None, 2, "the church is not suspended"),
        ((*into, "--from", "fork", *of), tmp_path, 1, "pg_dump failed with 1"),
    ):
        done = restored(operator, *arguments, programs=programs)
        assert (done.returncode, words in done.stderr) == (code, True), (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        assert tables(site) == 0
    # The isolation job drops what a program that was ended would leave; these ended by themselves.
    assert fork.left() == ([], [])

    done = restored(operator, *into, "--from", "fork", *of)
    assert done.returncode == 0, done.stderr
    assert (
        f"{FIRST.database} as it is in fork, which has no date here: the fork's backup has\n" in done.stdout
    )
    assert "dump: " not in done.stdout
    assert "same: public.people: 10000 rows" in done.stdout
    assert "same: large objects: 2, " in done.stdout
    question = "SELECT tableowner FROM pg_tables WHERE tablename = 'people'"
    ((owner,),) = site.clusters["shared"].superuser(question, database=THEN.database)
    assert owner == THEN.owner
    assert fork.left() == ([], [])
    # Nobody who was served has noticed.
    with site.clusters["shared"].as_tenant(FIRST) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (10,)
