"""The whole road of break-glass: an operator asks, a droplet makes the login, psql runs there, and it is closed."""

import json
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from lab import backup_programs
from lab.managed_cluster import Tenant
from model.sql_access import SqlRequest, answer_key, record_key, request_key, role_of
from ops import sql_access
from ops.errors import OperationError
from tests.backups.site import Key
from tests.sql_access.site import Site

CHURCH = Tenant.number(1)
REASON = "ticket 812: a family that is missing"


def request(key: Key, **changed: object) -> SqlRequest:
    made = SqlRequest(
        cluster="shared",
        database=CHURCH.database,
        recipient=key.public,
        by="ada@laptop",
        reason=REASON,
        time=datetime.now(UTC).replace(microsecond=0),
        minutes=30,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def kept(key: Key, folder: Path) -> Path:
    file = folder / "sql.key"
    file.write_text(f"{key.secret}\n", encoding="utf-8")
    return file


def everything(site: Site) -> bytes:
    """Every version of every object of both buckets."""
    client = site.gateway.client()
    found = b""
    for bucket in (site.config, site.status):
        for version in bucket.versions(""):
            if version.bytes:
                answer = client.get_object(Bucket=bucket.name, Key=version.key, VersionId=version.version)
                found += answer["Body"].read()
    return found


def test_an_operator_reads_a_church_and_closes_the_login(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    key = Key.new()
    said: list[str] = []
    # Two droplets: one of them makes the login, and the other finds that it is made.
    site.answering(2)
    answer = sql_access.open_access(site.place, request(key), said.append)
    assert answer.state == "open"
    # Every group's droplets read that bucket. It says neither whose data is read, nor by whom, nor why.
    said_to_all = site.status.read(answer_key(answer.id)) or b""
    for secret in (CHURCH.id, "ada@laptop", REASON, "shared"):
        assert secret.encode() not in said_to_all
    role = role_of(CHURCH.database, answer.id)
    assert answer.until is not None
    assert 0 < (answer.until - datetime.now(UTC)).total_seconds() <= 1800
    assert site.config.keys() == [record_key(answer.id)], "the request is gone"

    age = str(backup_programs.programs() / "age")
    connection = sql_access.unsealed(answer, kept(key, tmp_path), age)
    with pytest.raises(OperationError, match="not encrypted for the key"):
        sql_access.unsealed(answer, kept(Key.new(), tmp_path), age)
    capfd.readouterr()
    assert site.terminal.start(answer.id, connection, "SELECT name FROM people LIMIT 1") == 0
    assert "Ama" in capfd.readouterr().out
    assert site.terminal.start(answer.id, connection, "DELETE FROM people") == 1
    assert "read-only transaction" in capfd.readouterr().err
    assert list(site.memory.iterdir()) == [], "how to connect is nowhere on the droplet any more"

    closed = sql_access.close_access(site.place, answer.id, "grace@laptop")
    site.stop()
    assert (closed.state, closed.sealed) == ("closed", "")
    site.cluster.passwords[role] = connection["password"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        site.cluster.connect(role, CHURCH.database)
    outcome = site.cluster.job()
    assert outcome.code == 0, outcome.log
    assert site.cluster.superuser(f"SELECT FROM pg_roles WHERE rolname = '{role}'") == []

    journal = "".join(site.journal)
    until = f"{answer.until:%Y-%m-%dT%H:%M:%SZ}"
    line = f"<4>{answer.id}: ada@laptop reads {CHURCH.database} as {role} until {until}: {REASON}"
    assert journal.count(line) == 1
    assert f"{answer.id}: grace@laptop ends {role}" in journal
    # The password, in clear text, is nowhere: in no version of an object, no journal, and no log of the server.
    secret = str(connection["password"])
    assert secret.encode() not in everything(site)
    assert secret not in journal + site.cluster.server.log
    ((run_id, asked, last),) = site.place.asked()
    assert (run_id, asked.by, asked.reason, last and last.state) == (
        answer.id,
        "ada@laptop",
        REASON,
        "closed",
    )


def written(site: Site, content: SqlRequest, run_id: str = "20261127-031500-4f0c92ab") -> str:
    site.config.write(request_key(run_id), content.as_json())
    site.place.keep(run_id, content)
    return run_id


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cluster": "cell-9"}, "there is no cluster of that name: the journal has the names"),
        ({"database": Tenant.number(9).database}, "has no database"),
        ({"recipient": f"age1{'q' * 58}"}, "age did not encrypt the answer"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    site: Site, changed: dict[str, object], told: str
) -> None:
    run_id = written(site, request(Key.new(), **changed))
    assert site.start() == 0
    answer = site.place.answer(run_id)
    assert answer is not None
    assert (answer.state, answer.sealed) == ("refused", "")
    assert told in answer.problem
    assert not usable(site)


def usable(site: Site) -> list[str]:
    found = site.cluster.superuser(
        "SELECT rolname FROM pg_roles WHERE rolname ~ 'tenant_.*_read_' AND rolvaliduntil > now()"
    )
    return [name for (name,) in found]


def test_an_old_request_and_one_that_is_none_are_ignored(site: Site) -> None:
    old = request(Key.new(), time=datetime.fromtimestamp(time.time() - 3600, UTC))
    run_id = written(site, old)
    # With a cluster's own words in its place: a person's SQL is nothing that is run.
    other = json.loads(request(Key.new()).as_json())
    for number, wrong in enumerate(
        (
            {"database": 'x"; DROP ROLE doadmin; --'},
            {"database": "defaultdb"},
            {"recipient": "age1-none"},
            {"reason": "a\nb"},
            {"version": 2},
        )
    ):
        site.config.write(request_key(f"20261127-031500-0000000{number}"), json.dumps(other | wrong).encode())
    assert site.start() == 0
    assert site.place.answer(run_id) is None
    assert site.status.keys() == []
    assert site.journal[-1].count("the request cannot be read") == 4
    assert not usable(site)


def test_where_spaces_does_not_take_the_answer_the_next_start_makes_another_password(site: Site) -> None:
    key = Key.new()
    run_id = written(site, request(key))
    name = site.status.name
    site.status.name = "not-there"
    assert site.start() == 1
    site.status.name = name
    assert site.start() == 0
    answer = site.place.answer(run_id)
    assert answer is not None
    assert usable(site) == [role_of(CHURCH.database, run_id)]
    # And once it is told, it stays as it is.
    before = site.status.read(answer_key(run_id))
    assert site.start() == 0
    assert site.status.read(answer_key(run_id)) == before


# Five seconds of a lock, and eight of programs that start.
@pytest.mark.nightly("isolation")
def test_a_church_that_holds_a_lock_has_a_request_refused_and_no_login_stays(site: Site) -> None:
    key = Key.new()
    run_id = written(site, request(key))
    with site.cluster.as_tenant(CHURCH) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE people ADD COLUMN more int")
        assert site.start() == 0
        connection.execute("ROLLBACK")
    answer = site.place.answer(run_id)
    assert answer is not None
    assert (answer.state, answer.problem) == ("refused", "a statement failed: the journal says which")
    assert "canceling statement due to lock timeout" in site.journal[-1]
    assert not usable(site)


def test_what_was_refused_can_be_closed(site: Site) -> None:
    run_id = written(site, request(Key.new(), recipient=f"age1{'q' * 58}"))
    assert site.start() == 0
    refused = site.place.answer(run_id)
    assert refused is not None
    assert refused.state == "refused"
    # As where the cluster was lost before the login could be ended.
    role = role_of(CHURCH.database, run_id)
    site.cluster.superuser(f"ALTER ROLE \"{role}\" VALID UNTIL '{datetime.now(UTC).year + 1}-01-01'")
    assert usable(site) == [role]
    site.answering()
    assert sql_access.close_access(site.place, run_id, "ada@laptop").state == "closed"
    assert not usable(site)


def test_a_droplet_where_nothing_was_kept_starts_no_psql(site: Site) -> None:
    for arguments, told in (
        (["--psql", "20261127-031500-4f0c92ab"], "--keep comes first"),
        (["--psql", "../../etc"], "not the id of a request"),
    ):
        done = subprocess.run(site.terminal._command(*arguments), capture_output=True, text=True, check=False)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
