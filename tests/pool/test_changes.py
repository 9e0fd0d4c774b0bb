"""A tenant comes, goes or rotates while others work: nothing of theirs is dropped, and no query fails."""

import threading
import time
from dataclasses import dataclass, field

import psycopg
import pytest

from lab.managed_cluster import CONNECTIONS, Tenant
from tests.pool.conftest import SIZE, TENANTS, Scene


@dataclass
class Service:
    """A service that follows docs/runbooks/rotate-credentials.md, through the pool.

    Attributes:
        scene: where.
        tenant: whose credentials object it reads.
        done: how often it was answered, by the user that asked.
        failed: what queries and connections failed with.
    """

    scene: Scene
    tenant: Tenant
    done: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until told to stop, 20 times with each connection."""
        while not self.stop.is_set():
            try:
                connection, user = self._connect()
                with connection:
                    for _ in range(20):
                        connection.execute("SELECT count(*) FROM visits").fetchone()
                        self.done[user] = self.done.get(user, 0) + 1
                        time.sleep(0.002)
            except psycopg.Error as error:
                self.failed.append(str(error))

    def _connect(self) -> "tuple[psycopg.Connection[tuple[object, ...]], str]":
        found = self.scene.objects[self.tenant.id]
        users = [found["user"], *(login["user"] for login in found["previous"])]
        for user in users:
            try:
                return self.scene.connect(self.tenant, user=user), user
            except psycopg.OperationalError:
                if user == users[-1]:
                    raise
        raise AssertionError("unreachable")

    def goes_on_as(self, user: str, queries: int = 40) -> None:
        """Wait until so many more were answered."""
        wanted, end = self.done.get(user, 0) + queries, time.monotonic() + 120
        while self.done.get(user, 0) < wanted:
            assert time.monotonic() < end, (self.done, self.failed)
            time.sleep(0.02)


def test_a_rotation_under_load_loses_no_query_through_the_pool(scene: Scene) -> None:
    """And neither does a neighbour, whose connections outlast every reload."""
    cluster, tenant, neighbour = scene.cluster, scene.tenants[3], scene.tenants[0]
    with scene.connect(tenant) as connection:
        connection.execute("CREATE TABLE visits (number int)")
    first, second = tenant.user(), tenant.user(2)
    service = Service(scene, tenant)
    thread = threading.Thread(target=service.run)
    with scene.connect(neighbour) as quiet, quiet.transaction():
        backend = scene.ask(quiet, "SELECT pg_backend_pid()")
        thread.start()
        try:
            service.goes_on_as(first)
            # First edit: the second user is there and published, before the droplet and the job have seen it.
            cluster.api_user(second)
            scene.objects[tenant.id] = scene.credentials(tenant, 2, 1)
            service.goes_on_as(first)
            scene.publish()
            service.goes_on_as(first)
            assert second not in service.done
            assert cluster.job().code == 0
            service.goes_on_as(second)
            # Second edit.
            scene.objects[tenant.id] = scene.credentials(tenant, 2)
            service.goes_on_as(second)
            scene.publish()
            cluster.api_drop_user(first)
            service.goes_on_as(second)
        finally:
            service.stop.set()
            thread.join()
        assert scene.ask(quiet, "SELECT pg_backend_pid()") == backend
    assert service.failed == []
    assert set(service.done) == {first, second}
    with pytest.raises(psycopg.OperationalError):
        scene.connect(tenant, user=first)
    with scene.connect(tenant, user=second) as connection:
        connection.execute("DROP TABLE visits")  # as its owner: nothing was left with the first user


def test_a_tenant_that_comes_is_served_and_one_that_is_suspended_is_not(scene: Scene) -> None:
    (tenant,) = scene.cluster.tenants([TENANTS + 1])
    assert scene.cluster.job().code == 0
    with pytest.raises(psycopg.OperationalError):
        scene.connect(tenant)
    scene.objects[tenant.id] = scene.credentials(tenant)
    scene.publish()
    connection = scene.connect(tenant)
    assert scene.ask(connection, "SELECT current_user") == tenant.owner
    del scene.objects[tenant.id]
    scene.publish()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        scene.connect(tenant)


def test_an_object_that_cannot_be_used_concerns_its_tenant_alone(scene: Scene) -> None:
    broken, other = scene.tenants[1], scene.tenants[0]
    scene.pooler.publish(
        {**scene.objects, broken.id: {**scene.objects[broken.id], "database": other.database}}
    )
    done = scene.pooler.configure(droplets=2)
    assert done.returncode == 1
    assert f"<3>{broken.id}.json does not have the form that Terraform writes (ValueError)" in done.stdout
    assert scene.cluster.passwords[broken.user()] not in done.stdout
    assert scene.pooler.metrics["configured"] == 0
    # Nobody is cut off: the last usable copy of the object stands in for it.
    for tenant in (other, broken):
        with scene.connect(tenant) as connection:
            assert scene.ask(connection, "SELECT 1") == 1
    scene.publish()


def test_files_that_pgbouncer_refuses_show_although_it_answers_ok(scene: Scene) -> None:
    """A setting that it does not know, as a fault in `render` would write it, and a new user beside it."""
    program = scene.pooler.home / "programs/droplet/pool/files.py"
    text, tenant = program.read_text(encoding="utf-8"), scene.tenants[2]
    scene.cluster.api_user(tenant.user(2))
    scene.pooler.publish({**scene.objects, tenant.id: scene.credentials(tenant, 2, 1)})
    program.write_text(text.replace('"pool_mode": "transaction"', '"pool_mode": "none"'), encoding="utf-8")
    try:
        done = scene.pooler.configure(droplets=CONNECTIONS // SIZE)
    finally:
        program.write_text(text, encoding="utf-8")
    assert done.returncode == 1
    assert "<3>PgBouncer did not take the files: " in done.stdout
    assert f"{tenant.user(2)} is unknown" in done.stdout
    assert scene.pooler.metrics["configured"] == 0
    scene.publish()
    assert scene.pooler.metrics["configured"] == 1


def test_a_bucket_that_does_not_answer_changes_nothing(scene: Scene) -> None:
    bucket = scene.pooler.home / "bucket"
    bucket.rename(bucket.with_name("away"))
    try:
        done = scene.pooler.configure(droplets=2)
    finally:
        bucket.with_name("away").rename(bucket)
    assert done.returncode == 1
    assert "<3>the credentials were not fetched: CalledProcessError" in done.stdout
    assert scene.pooler.metrics["configured"] == 0
    with scene.connect(scene.tenants[0]) as connection:
        assert scene.ask(connection, "SELECT 1") == 1


def test_its_files_are_for_its_own_user_alone(scene: Scene) -> None:
    state = scene.pooler.home / "state"
    for name in ("pgbouncer.ini", "userlist.txt", "hba.conf", "ca.pem"):
        assert (state / name).stat().st_mode & 0o777 == 0o600
