"""A church comes back: from the copy, after everything in the first bucket was deleted and its cluster was lost."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lab.local_postgres import SUPERUSER
from lab.managed_cluster import Cluster, Tenant
from lab.postgres_clients import clients
from ops import dump_file
from ops.backups import copy, fetch
from ops.dump_choice import choose
from ops.errors import OperationError
from ops.waiting import SYSTEM_CLOCK
from tests.backups.conftest import Clusters
from tests.backups.operators import FIRST, SECOND, Operator, backups, workflow
from tests.backups.site import Key, Site


@pytest.fixture(scope="module")
def operator(full: Site, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """A night of dumps was copied, and the dump of the first church was fetched from the copy."""
    site, tmp_path = full, tmp_path_factory.mktemp("operator")
    assert site.once()[0] == 0
    second = f"{site.bucket}-copy"
    known = workflow(site, second)
    result = copy(known, SYSTEM_CLOCK.time(), print)
    assert (result.failed, len(result.new)) == ({}, 3)
    # All that the droplet's key can do, which is on the droplet: every version of everything in the first bucket.
    stolen = backups(site, second)
    assert stolen.first.erase("") >= 3 * 3
    assert list(stolen.first.versions("")) == []
    for attempt in (stolen.copies, lambda: stolen.second.write("x", b""), lambda: stolen.second.erase("")):
        with pytest.raises(OperationError, match="may not do this"):
            attempt()
    folder = tmp_path / "grace"
    fetch(known, choose(known, "grace", None), folder)
    return Operator(site, folder)


@pytest.fixture(scope="module")
def empty(clusters: Clusters) -> Cluster:
    """The cluster that Terraform makes in the place of the lost one; churches are suspended."""
    target = clusters()
    for tenant in (FIRST, SECOND):
        target.api_database(tenant.database)
    assert target.job().code == 0
    return target


def tables(cluster: Cluster) -> int:
    question = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ((number,),) = cluster.superuser(question, database=FIRST.database)
    return int(number)


def test_a_church_comes_back_from_the_second_bucket_and_nothing_else_does(
    operator: Operator, empty: Cluster
) -> None:
    stream = operator.open()
    # Every damage and every mistake first: each is a sentence, and nothing is written.
    for damaged, database, words in mistakes(stream):
        done = operator.restore(empty, damaged, database)
        assert words in done.stderr.decode(), (words, done.stderr.decode(), done.stdout.decode())
        assert done.returncode in {1, 2}
        assert b"Traceback" not in done.stderr
        assert tables(empty) == 0

    done = operator.restore(empty, stream)
    assert done.returncode == 0, (done.stderr.decode(), done.stdout.decode())
    assert b"same: public.people: 10000 rows, " in done.stdout
    assert b"same: large objects: 2, " in done.stdout
    # Not a second time.
    again = operator.restore(empty, stream)
    assert (again.returncode, b"the database is not empty" in again.stderr) == (2, True)

    # The church is served again.
    empty.api_user(FIRST.user())
    outcome = empty.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    with empty.as_tenant(FIRST) as connection:
        ask = connection.execute
        assert ask("SELECT count(*) FROM people").fetchone() == (10000,)
        assert ask("INSERT INTO people (household, name) VALUES (1, 'Kofi') RETURNING id").fetchone() == (
            10001,
        )
        assert ask("SELECT lo_get(4711)").fetchone() == (b"a photo",)
        assert ask("SELECT total FROM reports.monthly").fetchone() == (7,)
    again = operator.restore(empty, stream)
    assert b"the church is not suspended" in again.stderr


def test_and_beside_the_database_that_is_served(operator: Operator, empty: Cluster) -> None:
    """The short version of tests/backups/test_beside.py."""
    now, then = FIRST, Tenant(FIRST.id, 2)
    empty.api_database(then.database)
    outcome = empty.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    # As dumps were, which had the rows of materialized views: of this one those of some time ago.
    line, _, archive = operator.open().partition(b"\n")
    said = json.loads(line)
    said["lines"].append(["content", "public.counts", "499 rows, 1"])
    done = operator.restore(empty, json.dumps(said).encode() + b"\n" + archive, then.database)
    assert done.returncode == 0, done.stderr.decode()
    # Nobody logs in there, the church of today neither.
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        empty.connect(now.user(), then.database)
    command = operator.command(empty, "compare", then.database, now.database, "--in", "shared")
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    # What was written since: Kofi, who is not told.
    assert ["public.people", "10000", "10001", "0", "1", "0"] in [line.split() for line in shown.splitlines()]
    assert shown.count("Kofi") == 0


def mistakes(stream: bytes) -> list[tuple[bytes, str, str]]:
    """Streams that are damaged or wrong, with the database that is asked for, and what is said of each."""
    line, _, archive = stream.partition(b"\n")
    said: dict[str, Any] = json.loads(line)

    def changed(**members: Any) -> bytes:
        return json.dumps({**said, **members}).encode() + b"\n" + archive

    def lines(kind: str, name: str, value: str | None) -> bytes:
        kept = [one for one in said["lines"] if one[:2] != [kind, name]]
        return changed(lines=kept if value is None else [*kept, [kind, name, value]])

    middle = len(archive) // 2
    flipped = archive[:middle] + bytes([archive[middle] ^ 1]) + archive[middle + 1 :]
    own, other = FIRST.database, SECOND.database
    return [
        (stream, other, f"this is the dump of {own}, and not of {other}"),
        (changed(database=other), own, f"this is the dump of {other}, and not of {own}"),
        (archive, own, "the input is not what `presence360 backups open` writes"),
        (b"", own, "the input is not what `presence360 backups open` writes"),
        (changed(version=2), own, "the dump has version 2; this program reads 1"),
        (changed(server=180000), own, "Postgres 17 is older than the dump's 18"),
        (changed(encoding="LATIN1"), own, "encodings differ: LATIN1 in the dump, UTF8 here"),
        (changed(extensions={"postgis": "extensions"}), own, "extensions are missing: postgis"),
        (line + b"\n" + archive[:middle], own, "Nothing was committed: the database is as empty as before."),
        (line + b"\n" + flipped, own, "Nothing was committed: the database is as empty as before."),
        (line + b"\n", own, "Nothing was committed: the database is as empty as before."),
        (stream + b"x", own, "the dump is damaged: it is not the one that its contents describe"),
        (
            lines("content", "public.households", "499 rows, 1"),
            own,
            "1 differences between the dump and what was",
        ),
        (lines("position", "public.receipts", None), own, "1 differences between the dump and what was"),
        (
            lines("index", "public.gone", "public.people f f t"),
            own,
            "1 differences between the dump and what was",
        ),
    ]


def test_a_wrong_key_and_a_wrong_file_are_said_in_a_sentence(operator: Operator, tmp_path: Path) -> None:
    other = Operator(operator.site, Path(shutil.copytree(operator.folder, tmp_path / "grace")))
    other.identity.write_text(Key.new().secret, encoding="utf-8")
    with pytest.raises(OperationError, match=r"operators\.key: the dump was not encrypted for this key"):
        other.open()
    other.identity.write_text(operator.site.keys[1].secret, encoding="utf-8")
    # The drill's key reads it as well.
    assert other.open().count(b"PGDMP") == 1
    index = other.folder / "index.json"
    value = json.loads(index.read_bytes())
    index.write_text(json.dumps({**value, "time": "2026-01-01T00:00:00Z"}), encoding="utf-8")
    with pytest.raises(OperationError, match=r"contents\.age is of another dump than index\.json: time is "):
        other.open()
    content = (other.folder / "contents.age").read_bytes()
    (other.folder / "contents.age").write_bytes(content[:-1])
    with pytest.raises(OperationError, match="the dump was not decrypted: "):
        other.open()
    index.unlink()
    with pytest.raises(OperationError, match="presence360 backups fetch makes it"):
        other.open()


def test_the_archive_alone_is_what_pg_restore_reads_on_an_operators_machine(
    operator: Operator, empty: Cluster
) -> None:
    file = operator.folder.with_name("archive")
    dump_file.write_archive(operator.folder, operator.identity, file, operator.age)
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OperationError, match="archive: File exists"):
        dump_file.write_archive(operator.folder, operator.identity, file, operator.age)
    # docs/runbooks/restore.md, "Single tables or rows".
    empty.superuser("CREATE DATABASE grace_then")
    empty.superuser(
        "CREATE SCHEMA extensions", "CREATE EXTENSION citext SCHEMA extensions", database="grace_then"
    )
    command = [str(clients() / "pg_restore"), "--no-owner", "--dbname", "grace_then", str(file)]
    environment = {"PGHOST": empty.server.host, "PGUSER": SUPERUSER, "PGPASSWORD": empty.server.password}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert empty.superuser("SELECT count(*) FROM people", database="grace_then") == [(10000,)]
