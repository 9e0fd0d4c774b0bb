"""A whole cluster comes back: from a fork of before the mistake, and from dumps (docs/runbooks/restore-cluster.md)."""

import json
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from droplet.configuration import Cluster as Configured
from droplet.postgres import Client
from droplet.session import Session
from lab import programs
from lab.local_postgres import Template, give_away
from lab.managed_cluster import Cluster, Tenant
from lab.postgres_clients import clients
from ops.backups import copy, fetch
from ops.dump_choice import choose
from ops.waiting import SYSTEM_CLOCK
from tests.backups.conftest import Clusters, clusters, fill, gateway, template
from tests.backups.operators import Operator, backups
from tests.backups.site import Site
from tests.isolation.attempts import reached, works
from tests.support import ROOT

__all__ = ["clusters", "gateway", "template"]

RUNBOOK = ROOT / "docs/runbooks/restore-cluster.md"
CHURCHES = [Tenant.number(number) for number in range(1, 5)]
CURRENT = "/var/lib/presence360/programs/current"


def commands(part: str) -> list[str]:
    """The commands of a part of the runbook, in their order."""
    section = RUNBOOK.read_text(encoding="utf-8").partition(f"\n## {part}. ")[2].partition("\n## ")[0]
    return [line.strip() for line in section.splitlines() if re.match(r" {7,}\S", line)]


@contextmanager
def forked(cluster: Cluster, template: Template, folder: Path) -> Iterator[Cluster]:
    """A cluster as a fork of this moment: its files, with its databases, roles and passwords."""
    cluster.superuser("CHECKPOINT")
    home = Path(tempfile.mkdtemp(prefix="fork-"))
    try:
        cluster.superuser("SELECT pg_backup_start('fork', true)")
        subprocess.run(["cp", "-r", str(cluster.server.folder / "data"), str(home / "data")], check=True)
        (home / "data/postmaster.pid").unlink()
        give_away(home)
        server = template.start(home)
        server.password = cluster.server.password
        try:
            yield Cluster(server, folder, cluster.administers, dict(cluster.passwords))
        finally:
            server.stop()
    finally:
        shutil.rmtree(home)


def test_a_table_of_rows_alone_at_the_end_of_a_dump_holds_nothing_up(
    clusters: Clusters, tmp_path: Path
) -> None:
    """psql 17.12 takes a semicolon after a COPY for the same COPY once more: a restore waited without an end."""
    cluster = clusters(control_plane=False)
    (configured,) = cluster.configuration({})["clusters"]
    client = Client.prepare(Configured(**configured), tmp_path / "client", clients(), application="test")
    with Session(client, client.database, tmp_path) as session:
        session.write(b"CREATE TEMPORARY TABLE rows (name text);\nCOPY rows FROM stdin;\nAma\n\\.\n")
        guard = threading.Timer(60, session.kill)
        guard.start()
        assert session.lines("\\o") == []
        guard.cancel()
        assert session.lines("SELECT count(*) FROM pg_temp.rows") == ["1"]


def people(cluster: Cluster, database: str) -> list[str]:
    return [name for (name,) in cluster.superuser("SELECT name FROM people ORDER BY 1", database=database)]


@pytest.mark.nightly("recovery")
def test_everybody_comes_back_from_a_fork_of_before_the_mistake(
    clusters: Clusters, template: Template, tmp_path: Path
) -> None:
    cluster = clusters()
    cluster.tenants(range(1, 5))
    assert cluster.job().code == 0
    fill(cluster, CHURCHES[0])
    databases = [*(one.database for one in CHURCHES[1:]), "control_plane"]
    logins = {one.database: one.user() for one in CHURCHES} | {"control_plane": "control_plane"}
    for database in databases:
        works(cluster, logins[database], database)
    with forked(cluster, template, tmp_path / "fork") as fork:
        # The mistake, and what is written after it: tables that the fork does not know, too.
        for database in [CHURCHES[0].database, *databases]:
            owner = f"{database}_owner"
            with cluster.connect(logins[database], database, options=f"-c role={owner}") as connection:
                connection.execute("CREATE TABLE later (name text)")
                # The first one's tables have triggers, rules and policies of every kind: it loses one.
                mistake = (
                    "UPDATE people SET name = 'wrong'"
                    if database in databases
                    else "DROP TABLE people CASCADE"
                )
                connection.execute(mistake.encode())
        for tenant in CHURCHES:
            cluster.api_drop_user(tenant.user())
        assert cluster.job().code == 0
        folder = _configurations(tmp_path / "both", {"shared": cluster, "fork": fork})
        began = time.monotonic()
        (command,) = (one for one in commands("A") if " move_tenant " in one)
        for name in (*(one.id for one in CHURCHES), "control_plane"):
            done = _run(command.replace("<church>", name).replace("/run/both", str(folder)), tmp_path)
            assert done.returncode == 0, (done.stdout, done.stderr)
            assert "committed" in done.stdout
        seconds = time.monotonic() - began
        # Nothing of a fork is written: it is as it was.
        assert "wrong" not in people(fork, CHURCHES[1].database)
    for database in databases:
        assert people(cluster, database) == ["Ama"]
        assert cluster.superuser("SELECT to_regclass('public.later')", database=database) == [(None,)]
    assert len(people(cluster, CHURCHES[0].database)) == 10000
    for tenant in CHURCHES:
        cluster.api_user(tenant.user())
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    for database, user in logins.items():
        with cluster.connect(user, database, options=f"-c role={database}_owner") as connection:
            connection.execute("CREATE TABLE after (name text)")
    crossings, refused = reached(
        cluster, [(one.user(), one.database) for one in CHURCHES], [one.database for one in CHURCHES]
    )
    assert (crossings, refused) == ([], 12)
    assert seconds < 600


@pytest.mark.nightly("recovery")
def test_what_may_not_be_written_over_is_refused_and_a_failed_copy_leaves_all_as_it_was(
    clusters: Clusters, template: Template, tmp_path: Path
) -> None:
    cluster = clusters()
    cluster.tenants([1, 2])
    assert cluster.job().code == 0
    one = CHURCHES[0]
    works(cluster, one.user(), one.database)
    (command,) = (line for line in commands("A") if " move_tenant " in line)
    with forked(cluster, template, tmp_path / "fork") as fork:
        folder = _configurations(tmp_path / "both", {"shared": cluster, "fork": fork})
        command = command.replace("<church>", one.id).replace("/run/both", str(folder))
        refused = _run(command, tmp_path)
        assert (refused.returncode, "the tenant is not suspended" in refused.stderr) == (2, True)
        cluster.api_drop_user(one.user())
        # Without it, a fork's users are in the way, and what the target holds is not touched.
        refused = _run(command.replace(" --over", ""), tmp_path)
        assert (refused.returncode, "can log in to the source" in refused.stderr) == (2, True)
        assert "the target is not empty" in refused.stderr
        # What cannot be restored, as a check that reads another table by a short name: the transaction is undone, with
        # what it dropped.
        fork.superuser(
            f'SET ROLE "{one.owner}"',
            "CREATE TABLE limits (most int)",
            "INSERT INTO limits VALUES (10)",
            "CREATE FUNCTION small(int) RETURNS bool LANGUAGE sql AS 'SELECT $1 < (SELECT most FROM limits)'",
            "CREATE TABLE numbers (number int CHECK (small(number)))",
            "INSERT INTO numbers VALUES (1)",
            database=one.database,
        )
        failed = _run(command, tmp_path)
        assert failed.returncode == 1, failed.stdout
        assert "the target is as it was before" in failed.stderr
    assert people(cluster, one.database) == ["Ama"]


@pytest.mark.nightly("recovery")
def test_a_deleted_cluster_is_filled_from_dumps_one_church_after_the_other(
    clusters: Clusters, gateway: object, tmp_path: Path
) -> None:
    lost = clusters()
    site = Site(tmp_path / "droplet", {"shared": lost}, gateway, bucket=f"lost-{time.time_ns()}")  # type: ignore[arg-type]
    lost.tenants([1, 2])
    assert lost.job().code == 0
    fill(lost, CHURCHES[0])
    works(lost, CHURCHES[1].user(), CHURCHES[1].database)
    works(lost, "control_plane", "control_plane")
    site.write()
    assert site.once()[0] == 0
    second = f"{site.bucket}-copy"
    site.gateway.client().create_bucket(Bucket=second)
    known = backups(site, second)
    assert copy(known, SYSTEM_CLOCK.time(), print).failed == {}
    # The region is gone: the first bucket with it.
    known.first.erase("")
    new = clusters()
    for tenant in CHURCHES[:2]:
        new.api_database(tenant.database)
    assert new.job().code == 0
    began = time.monotonic()
    for name, database in (
        ("control_plane", "control_plane"),
        ("grace", CHURCHES[0].database),
        ("zion", CHURCHES[1].database),
    ):
        folder = tmp_path / name
        fetch(known, choose(known, name, None), folder)
        operator = Operator(site, folder)
        done = operator.restore(new, operator.open(), database)
        assert done.returncode == 0, done.stderr.decode()
    seconds = time.monotonic() - began
    assert people(new, "control_plane") == people(new, CHURCHES[1].database) == ["Ama"]
    assert len(people(new, CHURCHES[0].database)) == 10000
    for tenant in CHURCHES[:2]:
        new.api_user(tenant.user())
    outcome = new.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    for tenant in CHURCHES[:2]:
        with new.as_tenant(tenant) as connection:
            connection.execute("CREATE TABLE after (name text)")
    assert seconds < 600


def _configurations(folder: Path, found: Mapping[str, Cluster]) -> Path:
    """The folder of step 5: the isolation job's, with an entry for the fork."""
    folder.mkdir()
    whole = next(iter(found.values())).configuration({})
    whole["clusters"] = [
        {**one.configuration({})["clusters"][0], "name": name} for name, one in found.items()
    ]
    (folder / "environment.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder


def _run(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of the page with this checkout's programs in the place of the droplet's."""
    laid_out = folder / "programs"
    if not laid_out.exists():
        programs.lay_out(laid_out)
    words = shlex.split(command)
    assert words[:4] == ["python3", "-I", "-B", CURRENT], command
    line = [*programs.command(laid_out, *words[4:]), "--programs", str(clients())]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
