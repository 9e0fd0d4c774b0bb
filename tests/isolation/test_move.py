"""A tenant moves to another cluster: real servers, Debian 13's own clients, and all that a database may hold."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from droplet.names import DATABASE_LOCK, MOVE_LOCK
from lab.managed_cluster import ADMINISTRATOR, Cluster, Tenant
from tests.isolation.conftest import BOTH, INSTALLED, TENANT, Pair, Pairs
from tests.support import ROOT

# From, to, and whether doadmin administers the API's roles at the target.
PAIRS = [(15, 16, False), (17, 17, True)]
PAIRS += [(15, 15, False), (15, 17, True), (16, 16, True), (16, 17, True), (17, 17, False)] if BOTH else []

RUNBOOK = ROOT / "docs/runbooks/move-to-dedicated.md"


def memberships(cluster: Cluster) -> list[Any]:
    """Who is a member of what, by whose grant."""
    return cluster.superuser(
        "SELECT roleid::regrole::text, member::regrole::text, grantor::regrole::text, admin_option, "
        "to_jsonb(m) ->> 'inherit_option', to_jsonb(m) ->> 'set_option' FROM pg_auth_members AS m ORDER BY 1, 2, 3"
    )


def belongings(cluster: Cluster) -> int:
    """How many tables, sequences and so on there are."""
    question = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ((number,),) = cluster.superuser(question, database=TENANT.database)
    return int(number)


@pytest.mark.parametrize(("major", "to", "administers"), PAIRS)
def test_a_tenant_moves_with_all_that_it_has(pairs: Pairs, major: int, to: int, administers: bool) -> None:
    pair = pairs(major, to, administers)
    pair.suspend()
    if major == 15:
        # No login can be made there that reads all rows of such a table.
        refused = pair.move()
        assert refused.returncode == 2
        assert "row level security is forced on the owner of public.people" in refused.stderr
        no_force = "ALTER TABLE people NO FORCE ROW LEVEL SECURITY"
        pair.source.superuser(no_force, database=TENANT.database)
    before = memberships(pair.source), memberships(pair.target)
    done = pair.move()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same: public.people: 10000 rows, " in done.stdout
    assert "same: large objects: 2, " in done.stdout
    assert "committed" in done.stdout
    # No right is left behind on either side, and no password was said.
    assert (memberships(pair.source), memberships(pair.target)) == before
    for cluster in (pair.source, pair.target):
        assert cluster.passwords[ADMINISTRATOR] not in done.stdout + done.stderr
    checked = pair.move("--check")
    assert checked.returncode == 0, checked.stderr

    # What the tenant does then, with a new user at its own cluster.
    pair.target.api_user(TENANT.user())
    outcome = pair.target.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log
    with pair.target.as_tenant(TENANT) as connection:
        ask = connection.execute
        assert ask("SELECT count(*), sum(r)::float FROM people").fetchone() == (
            10000,
            pytest.approx(7143571.4, abs=1),
        )
        assert ask("SELECT nextval('receipts')").fetchone() == (1010,)
        assert ask("SELECT nextval('untouched')").fetchone() == (1,)
        assert ask("INSERT INTO people (household, name) VALUES (1, 'Kofi') RETURNING id").fetchone() == (
            10001,
        )
        assert ask("INSERT INTO households (name) VALUES ('new') RETURNING id").fetchone() == (501,)
        assert ask("SELECT lo_get(4711)").fetchone() == (b"a photo",)
        assert ask("SELECT about FROM people WHERE mail = 'AMA77@example.org'").fetchone() == (
            {"n": 77, "list": [1, 77]},
        )
        ask("ALTER TABLE people ADD COLUMN joined date")
        ask("REFRESH MATERIALIZED VIEW counts")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            ask("INSERT INTO people (household, name) VALUES (999, 'nowhere')")
        (owners,) = ask(
            "SELECT array_agg(DISTINCT tableowner) FROM pg_tables WHERE schemaname IN ('public', 'reports')"
        )
        assert owners == ([TENANT.owner],)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask("CREATE SCHEMA more")
    # And the planner knows the tables.
    ((known,),) = pair.target.superuser(
        "SELECT count(*) FROM pg_stats WHERE tablename = 'people'", database=TENANT.database
    )
    assert known > 10


FALSIFIED = {
    "UPDATE people SET about = about || '{{\"n\": 0}}' WHERE id = 4000": "content public.people: 10000 rows",
    "DELETE FROM visits WHERE person = 1": 'content public."visits 2025": ',
    "INSERT INTO nothing DEFAULT VALUES": "content public.nothing: 1 rows",
    "SELECT lo_put(4711, 0, 'b')": "content large objects: 2, ",
    "SELECT setval('receipts', 1000)": "position public.receipts: 1005 t at the source, 1000 t at the target",
    "DROP INDEX people_about": "index public.people_about: ",
    "ALTER TABLE people DROP CONSTRAINT people_mentor_fkey": "constraint public.people.people_mentor_fkey: f t",
    "ALTER TABLE people DISABLE TRIGGER note": "trigger public.people.note: O public.note at the source, D",
    "ALTER TABLE people NO FORCE ROW LEVEL SECURITY": "table public.people: r p d t t f at the source, r p d t f f",
    "ALTER TABLE reports.monthly ALTER total TYPE bigint": "column reports.monthly.total: integer f f",
    "ALTER VIEW members OWNER TO postgres": f"owner of view public.members: {TENANT.owner} at the source, missing at",
    f'CREATE TABLE more (); ALTER TABLE more OWNER TO "{TENANT.owner}"': "table public.more: missing at the source",
    "ALTER TYPE membership ADD VALUE 'new'": "enum public.membership: guest,member,left at the source",
}


def test_a_copy_that_is_not_the_same_is_found(pairs: Pairs) -> None:
    pair = pairs(max(INSTALLED), max(INSTALLED), False)
    pair.suspend()
    assert pair.move().returncode == 0
    for statement in FALSIFIED:
        pair.target.superuser(statement.replace("{{", "{").replace("}}", "}"), database=TENANT.database)
    checked = pair.move("--check")
    assert checked.returncode == 1
    assert "differences between source and target" in checked.stderr
    assert "Nothing was committed" not in checked.stderr
    for told in FALSIFIED.values():
        assert told in checked.stdout
    # A second copy over the first is refused.
    again = pair.move()
    assert again.returncode == 2
    assert "refused: the target is not empty" in again.stderr


def test_it_refuses_what_it_cannot_do_right(pairs: Pairs) -> None:
    pair = pairs(max(INSTALLED), max(INSTALLED), False)
    source, target = pair.source, pair.target

    def refused(*told: str, more: tuple[str, ...] = (), tenant: str = TENANT.id) -> None:
        done = pair.move(*more, tenant=tenant)
        assert done.returncode == 2, done.stdout + done.stderr
        for text in told:
            assert text in done.stderr
        assert all(line.startswith("refused: ") for line in done.stderr.splitlines())
        assert belongings(target) == 0

    refused("'grace' is not the id of a tenant", tenant="grace")
    unknown = ("--from", "shard", "--to", TENANT.id)
    refused("there is no cluster 'shard' in", f"there are: {TENANT.id}, shared", more=unknown)
    refused("source and target are the same", more=("--from", "shared", "--to", "shared"))
    refused("does not exist", tenant=Tenant.number(3).id)
    refused(f"the tenant is not suspended: {TENANT.user()} can log in")
    refused(f"the tenant is not suspended: {TENANT.user()} can log in", more=("--check",))
    with source.as_tenant(TENANT):
        pair.suspend()
        refused("1 sessions use the source")
    # All at once.
    mark = f'COMMENT ON DATABASE "{TENANT.database}" IS NULL'
    source.superuser("CREATE TABLE public.stray ()", mark, database=TENANT.database)
    target.superuser(f'ALTER ROLE "{TENANT.owner}" RENAME TO was', database=TENANT.database)
    refused(
        "the isolation job has not visited the database at the source",
        "the isolation job has not visited the database at the target",
        f"not owned by {TENANT.owner}, so a copy would have another owner",
        "table public.stray (postgres)",
    )
    source.superuser("DROP TABLE public.stray", database=TENANT.database)
    target.superuser(f'ALTER ROLE was RENAME TO "{TENANT.owner}"', database=TENANT.database)
    assert source.job().code == target.job().code == 0
    with target.connect(ADMINISTRATOR, TENANT.database) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [MOVE_LOCK])
        refused("another run is in progress at the target")
    # What cannot be reached.
    (pair.configurations / "cell-2.json").write_text("{", encoding="utf-8")
    refused("Not readable: cell-2.json")
    pair.entries()
    right = target.passwords[ADMINISTRATOR]
    target.passwords[ADMINISTRATOR] = "wrong"
    pair.entries()
    refused('password authentication failed for user "doadmin"')
    target.passwords[ADMINISTRATOR] = right
    pair.entries()
    # Nothing of all this stands in the way afterwards.
    assert pair.move().returncode == 0


def test_it_refuses_while_a_migration_or_a_dump_is_at_work(pairs: Pairs) -> None:
    pair = pairs(max(INSTALLED), max(INSTALLED), False)
    pair.suspend()
    with pair.source.connect(ADMINISTRATOR, "defaultdb") as connection:
        assert database_lock(connection)
        done = pair.move()
    assert done.returncode == 2
    told = "refused: a migration, a dump or another move is at work in the database at the source: wait"
    assert told in done.stderr


def test_an_older_target_is_refused(pairs: Pairs) -> None:
    pair = pairs(17, 16, False)
    pair.suspend()
    done = pair.move()
    assert done.returncode == 2
    assert "refused: Postgres 16 is older than the source's 17" in done.stderr


def database_lock(connection: "psycopg.Connection[Any]") -> bool:
    """Take the lock that migrations take, as they do; tell whether it was free."""
    (taken,) = connection.execute(
        "SELECT pg_try_advisory_lock(%s::bigint << 32 | oid::bigint) FROM pg_database WHERE datname = %s",
        [DATABASE_LOCK, TENANT.database],
    ).fetchall()
    return bool(taken[0])


@contextmanager
def standstill(pair: Pair) -> Iterator["subprocess.Popen[str]"]:
    """Run the program until all rows are copied, and the first trigger waits for a lock that no session holds."""
    lock = "LOCK TABLE pg_catalog.pg_trigger IN ACCESS EXCLUSIVE MODE"
    pair.target.superuser("BEGIN", lock, "PREPARE TRANSACTION 'still'", database=TENANT.database)
    run = subprocess.Popen(pair.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 120
    while pair.target.superuser(waiting) == [(0,)]:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield run
    pair.target.superuser("ROLLBACK PREPARED 'still'", database=TENANT.database)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_the_target_empty(pairs: Pairs, number: signal.Signals) -> None:
    pair = pairs(max(INSTALLED), max(INSTALLED), False)
    pair.suspend()
    before = memberships(pair.source)
    with standstill(pair) as run:
        os.kill(run.pid, number)
        _, errors = run.communicate(timeout=120)
        # A session that waits for a lock does not notice that nobody is there any more.
        pair.target.superuser("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
    assert run.returncode == (1 if number == signal.SIGTERM else -number)
    assert ("failed: interrupted (SIGTERM)" in errors) == (number == signal.SIGTERM)
    assert belongings(pair.target) == 0
    done = pair.move()
    assert done.returncode == 0, done.stdout + done.stderr
    # What a killed run could not take back: a folder with passwords, which is gone, and its login at the source, which
    # the isolation job drops.
    assert pair.source.job().code == 0
    assert memberships(pair.source) == before
    left = [path.name.split("-")[2] for path in Path("/run").glob("presence360-move-*")]
    assert [process for process in left if not Path("/proc", process).exists()] == []


def test_a_tenant_that_comes_back_during_the_copy_undoes_it(pairs: Pairs) -> None:
    pair = pairs(max(INSTALLED), max(INSTALLED), False)
    pair.suspend()
    with standstill(pair) as run:
        # Neither side is migrated meanwhile.
        for cluster in (pair.source, pair.target):
            with cluster.connect(ADMINISTRATOR, "defaultdb") as connection:
                assert not database_lock(connection)
        pair.source.api_user(TENANT.user())
    _, errors = run.communicate(timeout=60)
    assert (run.returncode, belongings(pair.target)) == (1, 0)
    assert "the source is in use again" in errors
    assert pair.source.job().code == 0
    with pair.source.as_tenant(TENANT) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (10000,)


def test_what_fails_is_undone_and_what_is_emptied_can_be_filled_again(pairs: Pairs) -> None:
    pair = pairs(max(INSTALLED), max(INSTALLED), False)
    source, target = pair.source, pair.target
    pair.suspend()
    # An extension that the target does not have.
    source.superuser("CREATE EXTENSION pg_trgm WITH SCHEMA extensions", database=TENANT.database)
    done = pair.move()
    assert done.returncode == 2
    assert "refused: extensions are missing at the target: pg_trgm (postgres.extensions" in done.stderr
    source.superuser("DROP EXTENSION pg_trgm", database=TENANT.database)

    # An extension in a schema of the tenant's.
    source.superuser("CREATE EXTENSION pg_trgm WITH SCHEMA reports", database=TENANT.database)
    done = pair.move()
    assert done.returncode == 2
    assert "refused: extensions in other schemas than extensions: pg_trgm in reports" in done.stderr
    source.superuser("DROP EXTENSION pg_trgm", database=TENANT.database)

    # What pg_dump may not read.
    source.superuser(f'REVOKE USAGE ON SCHEMA reports FROM "{TENANT.owner}"', database=TENANT.database)
    done = pair.move()
    assert done.returncode == 1
    assert "pg_dump: error: " in done.stderr
    assert "permission denied for schema reports" in done.stderr
    assert belongings(target) == 0
    source.superuser(f'GRANT USAGE ON SCHEMA reports TO "{TENANT.owner}"', database=TENANT.database)
    assert pair.move().returncode == 0
    assert belongings(target) > 0

    # Emptied as the runbook says.
    (block,) = re.findall(r"```sql\n(.*?)```", RUNBOOK.read_text(encoding="utf-8"), re.DOTALL)
    before = memberships(target)
    with target.connect(ADMINISTRATOR, TENANT.database) as connection:
        connection.execute(block.replace("<uuid>", TENANT.id).encode())
    assert (belongings(target), memberships(target)) == (0, before)
    assert target.job().code == 0
    # It was served there meanwhile, and migrated further than what comes now.
    migrated = json.dumps(
        {**comment_on(target), "migration": {"images": ["sha256:new"], "revision": "2", "since": 1}}
    )
    target.superuser(f"COMMENT ON DATABASE \"{TENANT.database}\" IS '{migrated}'")
    done = pair.move()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(comment_on(target)) == {"isolation"}, "so that it is migrated"


def comment_on(cluster: Cluster) -> dict[str, object]:
    """The record of the tenant's database."""
    found = dict(cluster.superuser("SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"))
    record: dict[str, object] = json.loads(found[TENANT.database])
    return record
