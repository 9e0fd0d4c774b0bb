"""The whole of a drill on real Postgres: what is wrong is found, and nothing else is."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from droplet.begun import Begun
from droplet.drill import served, temporary
from droplet.drill.connect import Record, connect
from droplet.drill.fork import Fork
from droplet.drill.pooled import through_pool
from droplet.drill.report import Report
from droplet.drill.request import read_request, read_secrets
from droplet.drill.run import Drill
from lab.local_postgres import Template
from lab.managed_cluster import Tenant
from lab.object_storage import Gateway
from lab.postgres_clients import clients
from tests.drill.conftest import platform
from tests.drill.damage import DAMAGES
from tests.drill.site import Backup, Droplet, Platform, pgbouncer_of_nobody

SHORT = ("page of a table", "missing row", "truncated dump")
"""With a sound one, for `make test`; `make prove-drill` tries all, one after another and together."""


@pytest.fixture(scope="module")
def place(
    template: Template, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, Backup]]:
    """Four churches with dumps from before and after a backup."""
    with ExitStack() as stack:
        made = platform(template, gateway, len(SHORT) + 1, tmp_path_factory.mktemp("drill"), stack)
        odd(made, churches(1)[0])
        yield made, bracketed(made)


def odd(made: Platform, tenant: Tenant) -> None:
    """Let a church do what it may, and what a program that is careless would stumble over."""
    with made.site.clusters["shared"].as_tenant(tenant) as connection:
        for statement in (
            "SET ROLE NONE",
            f"""ALTER ROLE "{tenant.user()}" SET client_encoding = 'LATIN1'""",
            f'SET ROLE "{tenant.owner}"',
            'CREATE TABLE "caf\u00e9" (n int)',
            # What the drill's own were called once.
            "CREATE TABLE drill_probe (n int)",
            "ALTER TABLE kin ADD CONSTRAINT drill_key FOREIGN KEY (family) REFERENCES clans",
            "CREATE TABLE gifts (amount numeric)",
            "INSERT INTO gifts VALUES ('NaN')",
        ):
            connection.execute(statement.encode())


def bracketed(made: Platform) -> Backup:
    """Dump all churches, make a backup, and dump them again."""
    assert made.site.once()[0] == 0
    # Times are whole seconds.
    time.sleep(1.1)
    backup = made.backup()
    time.sleep(1.1)
    made.site.ask()
    assert made.site.once()[0] == 0
    return backup


def churches(count: int) -> list[Tenant]:
    return [Tenant.number(number) for number in range(1, count + 1)]


def test_what_is_wrong_is_found_and_sound_churches_pass(
    place: tuple[Platform, Backup], tmp_path: Path
) -> None:
    made, backup = place
    everyone = churches(len(SHORT) + 1)
    sound, spoilt = everyone[:1], dict(zip(SHORT, everyone[1:], strict=True))
    lines: list[str] = []
    with made.fork(backup) as fork:
        for name, tenant in spoilt.items():
            DAMAGES[name].spoil(fork, made, tenant)
        outcome = Droplet(made, tmp_path).drill(
            fork, backup, everyone, say=lines.append,
            known={tenant.database: {"at": "2026-01-01T00:00:00Z", "way": "fork"} for tenant in spoilt.values()},
            queries=[{"name": "gifts", "database": "tenant", "sql": "SELECT sum(amount) FROM gifts", "least": 0}],
        )  # fmt: skip
        assert outcome.report, outcome.log
        for tenant in sound:
            (how,) = [
                one["detail"] for one in outcome.of(tenant.database)["checks"] if one["name"] == "connected"
            ]
            assert how == "directly and through PgBouncer"
            failed = outcome.failed(tenant.database)
            assert failed == {"sane": "gifts: it is no finite number, and one number is expected"}, (
                outcome.log
            )
        for name, tenant in spoilt.items():
            failed = outcome.failed(tenant.database)
            assert DAMAGES[name].words in failed.get(DAMAGES[name].check, ""), (name, failed)
        assert outcome.code == 1
        assert (outcome.report["passed"], outcome.status.passed) == (False, False)
        # Nothing of it is left, on the fork, on the droplet and in the bucket.
        assert fork.left() == ([], [])
        assert list((tmp_path / "scratch").rglob("*age*")) == []
        assert [key for key in outcome.asking.status.keys("drill/") if key.endswith(".age")] == []
        assert len(lines) >= 2


SHARE_SECONDS = 10
SLOW = (
    "CREATE TABLE slow (n int)",
    "INSERT INTO slow VALUES (1)",
    # It catches what a timeout does, and begins again.
    """CREATE FUNCTION slowly(slow) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    LOOP BEGIN PERFORM pg_sleep(100000); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$""",
    "CREATE CAST (slow AS text) WITH FUNCTION slowly(slow)",
)


class NoDumps:
    """A bucket without any."""

    def find(self) -> None: ...

    def of(self, _: str) -> list[Any]:
        return []


@pytest.mark.nightly("drill")
def test_a_church_that_never_ends_is_ended_and_the_others_are_tried(
    place: tuple[Platform, Backup], tmp_path: Path
) -> None:
    made, backup = place
    slow, sound = churches(2)
    droplet = Droplet(made, tmp_path)
    with made.fork(backup) as server:
        server.superuser(f'SET ROLE "{slow.owner}"', *SLOW, database=slow.database)
        request = read_request(
            json.dumps(
                {
                    "version": 1,
                    "id": "run-12345678",
                    **droplet.request(backup, (slow, sound), hours=1),
                }
            ).encode()
        )
        sent = read_secrets(json.dumps(droplet.sent(server, (slow, sound))).encode())
        report = Report(request, "control-1", started=time.time())
        fork = Fork.reach(sent.cluster, tmp_path, clients())
        Drill(
            request=request, secrets=sent, fork=fork, dumps=NoDumps(), earlier={}, report=report,  # type: ignore[arg-type]  # what it uses of them
            stopping=threading.Event(), begun=Begun(tmp_path / "begun.json", request.id), progress=lambda *_: None,
            share=SHARE_SECONDS / 3600,
        ).run()  # fmt: skip
        failed = {
            one.database: {check.name: check.detail for check in one.checks if not check.passed}
            for one in report.tried
        }
        assert failed[slow.database] == {"in time": "it took too long"}
        assert {*report.known} == {"control_plane", slow.database, sound.database}
        assert server.left() == ([], [])


def test_what_a_drill_made_is_dropped_also_where_somebody_is_just_leaving_it(
    place: tuple[Platform, Backup], tmp_path: Path
) -> None:
    made, backup = place
    name = "drill_0123456789ab"
    with made.fork(backup) as server:
        cluster = read_secrets(json.dumps(Droplet(made, tmp_path).sent(server, ())).encode()).cluster
        fork = Fork.reach(cluster, tmp_path, clients())
        with fork.administration() as session:
            session.lines(f"CREATE DATABASE {name};")
        # Whom the administrator may not end, as autovacuum.
        with server.open(name) as guest:
            leaving = threading.Timer(1.0, guest.close)
            leaving.start()
            temporary.drop(fork, name)
        assert server.left() == ([], [])


def test_a_church_is_served_through_pgbouncer_as_its_services_are(
    place: tuple[Platform, Backup], tmp_path: Path
) -> None:
    made, backup = place
    (tenant,) = churches(1)
    user = tenant.user()
    with made.fork(backup) as server:
        cluster = read_secrets(json.dumps(Droplet(made, tmp_path).sent(server, (tenant,))).encode()).cluster
        fork = Fork.reach(cluster, tmp_path, clients(), pgbouncer_of_nobody(tmp_path))
        record = Record.copied(fork, tenant.database, user, server.passwords[user], {})
        assert served.works(fork, record, []) == []
        with through_pool(fork, record) as pooled:
            # Two clients, one after the other, share one connection to the server.
            answers = [connect(fork, pooled, "SELECT pg_backend_pid();").lines for _ in range(2)]
            assert answers[0] == answers[1] != []
            # PgBouncer itself lets nobody in who has no right there.
            assert connect(fork, replace(pooled, database="control_plane"), "SELECT 1;").code == 2
        assert connect(fork, pooled, "SELECT 1;").code == 2
        assert list(tmp_path.glob("pool-*")) == []
        # Directly it works, and as the services connect it does not.
        broken = replace(fork, pooler=Path("/bin/false"))
        assert served.works(broken, record, []) == ["through PgBouncer: PgBouncer ended with exit status 1"]
        assert served.works(replace(fork, pooler=None), record, []) == []
