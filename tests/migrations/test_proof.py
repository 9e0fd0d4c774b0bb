"""A whole life in one run: many churches on two clusters, traffic of old and new code, and everything that goes wrong.

`make prove-migrations` has a hundred churches; `make test` a few.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
import pytest

from droplet.migrate import migration, telling
from lab.managed_cluster import Cluster, Tenant
from lab.schema import environment_with_alembic
from ops.paths import ROOT
from tests.migrations.conftest import Clusters
from tests.migrations.site import Processes, Site

CHURCHES = int(os.environ.get("PRESENCE360_CHURCHES", "12"))
CLIENTS = 3


@dataclass
class Traffic:
    """Services that work for churches all the time: old code, and new code where the schema is there."""

    homes: Sequence[tuple[Cluster, Tenant]]
    migrated: set[str] = field(default_factory=set)
    """Databases whose new column new code may use."""
    served: dict[str, int] = field(default_factory=lambda: {"old": 0, "new": 0})
    slowest: float = 0
    failures: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def flowing(self) -> Iterator[None]:
        """Let it flow for as long as the context lasts."""
        threads = [threading.Thread(target=self._client, args=(seed,)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()

    def _client(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  no secret
        while not self._end.wait(0.05):
            cluster, tenant = chance.choice(self.homes)
            new = tenant.database in self.migrated
            begin = time.monotonic()
            try:
                with cluster.as_tenant(tenant) as connection:
                    if new:
                        connection.execute(
                            "INSERT INTO people (name, email) VALUES ('Ama', gen_random_uuid()::text)"
                        )
                    else:
                        connection.execute("INSERT INTO people (name) VALUES ('Ama')")
                    connection.execute("SELECT count(*) FROM people WHERE name = 'Ama'")
            except psycopg.Error as error:
                self.failures.append(f"{tenant.database}: {error}")
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.served["new" if new else "old"] += 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are seconds elsewhere."""
    monkeypatch.setattr(migration, "LOCK_TIMEOUT_MS", 500)
    monkeypatch.setattr(migration, "GIVE_WAY_SECONDS", (1.0, 2.0, 3.0))
    monkeypatch.setattr(telling, "PUBLISH_SECONDS", 0.3)


@pytest.mark.usefixtures("quick")
def test_a_hundred_churches(site: Site, clusters: Clusters, runner: Processes) -> None:
    shared, cell = site.clusters["shared"], clusters(control_plane=False)
    site.clusters = {"shared": shared, "cell-2": cell}
    site.write()
    half = CHURCHES // 2
    homes = [(shared, one) for one in shared.tenants(range(half))]
    homes += [(cell, one) for one in cell.tenants(range(half, CHURCHES))]
    isolate(site)
    assert site.once() == 0
    assert site.summary["state"] == "done"
    runner.change("2", "0002_email.py", SLOW_EMAIL)
    moving = [homes[number][1] for number in (3, 4, 5)]
    traffic = Traffic([home for home in homes if home[1] not in moving])
    with traffic.flowing():
        migrate_beside_traffic(site, runner, traffic, homes, moving)
        lives_go_on(site, clusters, moving)
        back_and_forward(site, runner)
    assert traffic.failures == []
    assert min(traffic.served.values()) > 0
    served = sum(traffic.served.values())
    sys.stdout.write(
        f"\n{served} requests of old and new code, none failed; the slowest {traffic.slowest:.1f} s\n"
    )
    one_fails(site, *homes[0])


def migrate_beside_traffic(
    site: Site,
    runner: Processes,
    traffic: Traffic,
    homes: Sequence[tuple[Cluster, Tenant]],
    moving: Sequence[Tenant],
) -> None:
    """The canary is first; the run is killed; two droplets go on, and one church is behind a lock."""
    (shared, canary), (_, locked) = homes[1], homes[2]
    suspended, _, moved = moving
    shared.api_drop_user(suspended.user())
    shared.api_drop_user(moved.user())
    site.release("2", canaries=[canary.id])
    killed_in_the_middle(site, runner, at_least=2)
    arrived = {name for name, revision in revisions(site).items() if revision == "0002"}
    assert canary.database in arrived, "the canary is first"
    assert len(arrived) < CHURCHES, "the run was over before it was killed"
    # The isolation job drops the logins of the killed run.
    isolate(site)
    other = Site(site.folder.parent / "other", site.clusters, runner, bucket=site.bucket, now=site.now)
    other.release("2", canaries=[canary.id])
    runner.ran.clear()
    both = [threading.Thread(target=one.once) for one in (site, other)]
    with held(shared, locked, 3.0) if locked.database not in arrived else contextlib.nullcontext():
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    again = [database for _, database in runner.ran if database in arrived]
    assert again == [], "what was done before the kill was done again"
    told = [one["databases"]["tenants"]["arrived"] for one in site.bucket.history]
    assert len(set(told)) > 2, f"progress was not shown: {told}"
    traffic.migrated = {name for name, revision in revisions(site).items() if revision == "0002"}
    site.now += 61
    until_done(site)
    traffic.migrated = {name for name, revision in revisions(site).items() if revision == "0002"}


def lives_go_on(site: Site, clusters: Clusters, moving: Sequence[Tenant]) -> None:
    """One comes, one returns, one is restored, one moves."""
    shared = site.clusters["shared"]
    suspended, restored, moved = moving
    (new,) = shared.tenants([CHURCHES + 1])
    shared.api_user(suspended.user())
    shared.superuser(f'DROP DATABASE "{restored.database}" WITH (FORCE)')
    shared.api_database(restored.database)
    own = clusters(control_plane=False)
    own.api_database(moved.database)
    own.api_user(moved.user())
    site.clusters = {**site.clusters, moved.id: own}
    site.write()
    isolate(site)
    until_done(site)
    for tenant in (new, *moving):
        assert site.results[tenant.database] == ("done", "0002"), tenant.database


def back_and_forward(site: Site, runner: Processes) -> None:
    """The code goes back, and forward; the schema stays."""
    runner.ran.clear()
    site.release("1")
    until_done(site)
    site.release("2")
    until_done(site)
    assert runner.ran == []


def one_fails(site: Site, cluster: Cluster, tenant: Tenant) -> None:
    """A release that fails for one church stops no other."""
    with cluster.as_tenant(tenant) as connection:
        connection.execute("INSERT INTO people (name, email) VALUES ('Esi', 'x'), ('Kofi', 'x')")
    site.release("3")
    begin = time.monotonic()
    assert site.once() == 1
    took = time.monotonic() - begin
    assert site.summary["state"] == "failed"
    assert [one["database"] for one in site.summary["failed"]] == [tenant.database]
    results = [result for name, result in site.results.items() if name != tenant.database]
    assert results == [("done", "0003")] * (CHURCHES + 1)
    sys.stdout.write(f"{len(results) + 1} databases in {took:.1f} s, 4 at a time\n")


SLOW_EMAIL = """
import time
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    time.sleep(0.3)
    op.add_column("people", sa.Column("email", sa.Text, nullable=True))
"""


def isolate(site: Site) -> None:
    for cluster in site.clusters.values():
        outcome = cluster.job()
        assert outcome.code == 0, outcome.log


def until_done(site: Site) -> None:
    """Run as the timer does."""
    for _ in range(10):
        site.once()
        if site.summary["state"] == "done" and site.summary["failed"] == []:
            return
        site.now += 30
    raise AssertionError(site.summary)


def revisions(site: Site) -> dict[str, str | None]:
    """By database the revision that its record says, from Postgres itself: a killed run told nobody."""
    found: dict[str, str | None] = {}
    for cluster in site.clusters.values():
        rows = cluster.superuser(
            "SELECT datname, shobj_description(oid, 'pg_database')::json -> 'migration' ->> 'revision' "
            "FROM pg_database WHERE datname ~ '^(tenant_|control_plane)'"
        )
        found |= dict(rows)
    return found


@contextlib.contextmanager
def held(cluster: Cluster, tenant: Tenant, seconds: float) -> Iterator[None]:
    """Hold a lock that a migration needs, and that traffic does not."""
    connection = cluster.as_tenant(tenant)
    connection.execute("BEGIN")
    connection.execute("LOCK TABLE people IN ROW EXCLUSIVE MODE")
    timer = threading.Timer(seconds, lambda: connection.execute("ROLLBACK"))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        connection.close()


def killed_in_the_middle(site: Site, runner: Processes, *, at_least: int) -> None:
    """Start a run in a process group of its own, and kill all of it when it has done some."""
    arguments = [str(site.folder), str(runner.images), str(environment_with_alembic()), str(site.now)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.migrations.killed", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while list(revisions(site).values()).count("0002") < at_least and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
