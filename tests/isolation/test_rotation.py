"""Rotation as a service lives through it: a new generation beside the old one, and no query fails."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from lab.managed_cluster import Cluster, Tenant

QUERIES_A_SECOND = 100
CONNECTIONS = 2
RENEW_SECONDS = 0.1
"""How long the service keeps a connection; short, so that every step of the rotation is met by new ones."""


@dataclass
class Service:
    """A service of the tenant plane: it follows docs/runbooks/rotate-credentials.md.

    Attributes:
        cluster: where its tenant's database is.
        credentials: the tenant's object in the credentials bucket.
        done: how often both queries were answered, by the user that asked.
        failed: what queries and connections failed with.
    """

    cluster: Cluster
    tenant: Tenant
    credentials: dict[str, Any]
    done: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until told to stop: two queries each time."""
        begin, asked = time.monotonic(), 0
        pool: list[tuple[psycopg.Connection[Any], str, float]] = []
        while not self.stop.is_set():
            time.sleep(max(0.0, begin + asked / QUERIES_A_SECOND - time.monotonic()))
            slot = asked % CONNECTIONS
            asked += 1
            try:
                if len(pool) <= slot:
                    pool.append(self._connect())
                elif time.monotonic() - pool[slot][2] > RENEW_SECONDS:
                    pool[slot][0].close()
                    pool[slot] = self._connect()
                connection, user, _ = pool[slot]
                connection.execute("INSERT INTO visits VALUES (%s)", [asked])
                connection.execute("SELECT count(*) FROM visits").fetchone()
                self.done[user] = self.done.get(user, 0) + 1
            except psycopg.Error as error:
                self.failed.append(str(error))
        for connection, _, _ in pool:
            connection.close()

    def _connect(self) -> tuple[psycopg.Connection[Any], str, float]:
        published = self.credentials
        candidates = [published["user"], *(login["user"] for login in published["previous"])]
        for user in candidates:
            try:
                connection = self.cluster.connect(user, self.tenant.database, options=published["options"])
            except psycopg.OperationalError:
                if user == candidates[-1]:
                    raise
            else:
                return connection, user, time.monotonic()
        raise AssertionError("unreachable")


def published(tenant: Tenant, generation: int, *keep: int) -> dict[str, Any]:
    """What Terraform writes into the tenant's object, as far as the service here needs it."""
    return {
        "user": tenant.user(generation),
        "options": f"-c role={tenant.owner}",
        "previous": [{"user": tenant.user(kept)} for kept in keep],
    }


def test_a_rotation_under_load_loses_no_query_and_ends_the_old_credentials(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([1])
    assert cluster.job().code == 0
    with cluster.as_tenant(tenant) as connection:
        connection.execute("CREATE TABLE visits (number int)")
    service = Service(cluster, tenant, published(tenant, 1))
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        time.sleep(0.7)
        # First edit: the second user is there and published before the job has seen it.
        cluster.api_user(tenant.user(2))
        service.credentials = published(tenant, 2, 1)
        time.sleep(0.7)
        assert tenant.user(2) not in service.done
        assert cluster.job().code == 0
        time.sleep(0.7)
        before = dict(service.done)
        time.sleep(0.7)
        assert service.done[tenant.user(1)] == before[tenant.user(1)], (
            "some connections still use the old user"
        )
        # Second edit.
        service.credentials = published(tenant, 2)
        cluster.api_drop_user(tenant.user(1))
        time.sleep(0.7)
        outcome = cluster.job()
        time.sleep(0.3)
    finally:
        service.stop.set()
        thread.join()
    assert outcome.code == 0, outcome.log
    assert service.failed == []
    assert set(service.done) == {tenant.user(1), tenant.user(2)}
    # There was a load, on a busy machine as well.
    assert min(service.done.values()) >= 10
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        cluster.as_tenant(tenant, 1)
    with cluster.as_tenant(tenant, 2) as connection:
        assert connection.execute("SELECT count(*) FROM visits").fetchone() == (sum(service.done.values()),)
        connection.execute("DROP TABLE visits")  # as its owner: nothing was left with the first user


def test_in_the_minute_before_the_job_the_new_user_is_refused_and_the_old_one_is_not(
    cluster: Cluster,
) -> None:
    """Why the object names the previous user: a service that tried the newest alone would fail here."""
    (tenant,) = cluster.tenants([1])
    assert cluster.job().code == 0
    cluster.api_user(tenant.user(2))
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        cluster.as_tenant(tenant, 2)
    cluster.as_tenant(tenant, 1).close()


def test_a_new_generation_reaches_no_other_tenant_either(cluster: Cluster) -> None:
    tenant, other = cluster.tenants(range(2))
    cluster.api_user(tenant.user(2))
    assert cluster.job().code == 0
    for generation in (1, 2):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            cluster.connect(tenant.user(generation), other.database)
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            cluster.connect(other.user(), tenant.database)
        cluster.as_tenant(tenant, generation).close()
