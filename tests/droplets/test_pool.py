"""A droplet's services share connections to Postgres: from a container, through the socket, over TLS to a server."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import programs
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import Template, installations, tls_settings
from model.pool import PORT, SOCKETS
from tests.droplets.conftest import CREDENTIALS, Laboratory
from tests.droplets.laboratory import GATEWAY, VPC, eventually

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster, Tenant
from lab.opened_dump import opened_dump

# What every driver sends first, and the answer to it: 10 asks for SCRAM (PostgreSQL documentation, "Message Formats").
STARTUP = """
import socket, struct
s = socket.socket(socket.AF_UNIX)
s.connect("{sockets}/.s.PGSQL.{port}")
text = b"user\\0{user}\\0database\\0{database}\\0\\0"
s.sendall(struct.pack("!ii", len(text) + 8, 196608) + text)
answer = s.recv(200)
print(answer[:1].decode(), struct.unpack("!i", answer[5:9])[0])
"""


@pytest.fixture(scope="module")
def cluster(laboratory: Laboratory) -> Iterator[Cluster]:
    """A server in the laboratory's network with one tenant, whose credentials are in their bucket."""
    network, installed = laboratory.network, installations()
    if not installed:
        pytest.skip("no Postgres server from 15 on is installed")
    with tempfile.TemporaryDirectory(prefix="postgres-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        for name in ("template", "tls", "droplet", "server"):
            (folder / name).mkdir()
        authority = Authority({})
        template = Template(installed[max(installed)], folder / "template")
        template.copy(folder / "server")
        with (folder / "server/data/pg_hba.conf").open("a", encoding="utf-8") as doors:
            doors.write(f"hostssl all all {VPC} scram-sha-256\n")
        settings = {"listen_addresses": GATEWAY, **tls_settings(authority, GATEWAY, folder / "tls")}
        server = network.inside(lambda: template.start(folder / "server", **settings))
        try:
            cluster = Cluster(server, folder / "droplet").create(control_plane=False)
            (tenant,) = cluster.tenants([1])
            assert cluster.job().code == 0
            value = {**cluster.credentials(tenant), "host": GATEWAY, "ca": authority.certificate}
            _publish(laboratory, value, tenant)
            for droplet in laboratory.droplets:
                droplet.sh("systemctl start presence360-pool.service")
            yield cluster
        finally:
            server.stop()
            shutil.rmtree(folder / "server", ignore_errors=True)


def test_services_reach_their_tenants_through_the_droplets_pool(
    laboratory: Laboratory, cluster: Cluster
) -> None:
    (user,) = (name for name in cluster.passwords if name.startswith("tenant_"))
    database = user.rpartition("_g")[0]
    droplet = laboratory.droplet
    eventually(
        "PgBouncer runs", 30, lambda: droplet.sh("systemctl is-active pgbouncer", check=False) == "active\n"
    )
    # psql is on this droplet, because its group runs the isolation job.
    address = f"host={SOCKETS} port={PORT} dbname={database} user={user}"
    asked = f"PGPASSWORD={cluster.passwords[user]} psql -At '{address}' -c"
    assert droplet.sh(f'{asked} "SELECT current_user"') == f"{database}_owner\n"
    # From a container, as its user: a program of its own, since images bring their drivers themselves.
    program = STARTUP.format(sockets=SOCKETS, port=PORT, user=user, database=database)
    (droplet.root / "srv/startup.py").write_text(program)
    for service, answer in (("tenant-api", "R 10\n"), ("worker", "R 10\n"), ("web-tenant", "")):
        container = droplet.sh(f"docker ps --quiet --filter label=app.presence360.service={service}").strip()
        ran = droplet.sh(
            f"docker exec -i -u 1000:1000 {container} python - < /srv/startup.py 2>&1", check=False
        )
        assert ran == answer or (not answer and "No such file" in ran), ran


def test_nothing_of_pgbouncers_listens_on_tcp_and_nobody_else_reads_its_files(laboratory: Laboratory) -> None:
    for droplet in laboratory.droplets:
        assert "pgbouncer" not in droplet.sh("ss --listening --tcp --processes --no-header")
        shown = droplet.sh(
            "stat -c '%U %a %n' /var/lib/presence360-pool /var/lib/presence360-pool/userlist.txt"
        )
        assert shown == (
            "postgres 700 /var/lib/presence360-pool\npostgres 600 /var/lib/presence360-pool/userlist.txt\n"
        )


def test_it_says_how_full_the_pools_are(laboratory: Laboratory, cluster: Cluster) -> None:
    del cluster
    droplet = laboratory.droplet
    droplet.sh("systemctl start presence360-pool.service")
    metrics = droplet.metrics
    assert metrics["presence360_pool_up"] == metrics["presence360_pool_configured"] == 1
    assert metrics["presence360_pool_databases"] == 1
    assert metrics["presence360_pool_server_connections_ceiling"] == 2


def test_it_starts_again_when_its_package_is_upgraded_or_it_crashes(
    laboratory: Laboratory, cluster: Cluster
) -> None:
    """Containers go on seeing the folder of its socket, which is not another one then."""
    del cluster
    droplet = laboratory.droplet
    folder = droplet.sh(f"stat -c %i {SOCKETS}")
    before = droplet.sh("systemctl show --value --property MainPID pgbouncer.service")
    droplet.sh("kill -9 $(systemctl show --value --property MainPID pgbouncer.service)")

    def started() -> bool:
        pid = droplet.sh("systemctl show --value --property MainPID pgbouncer.service")
        return (
            pid not in {before, "0\n"}
            and droplet.sh("systemctl is-active pgbouncer", check=False) == "active\n"
        )

    eventually("PgBouncer runs again", 30, started)
    assert droplet.sh(f"stat -c %i {SOCKETS}") == folder


@pytest.mark.nightly("droplets")
def test_a_restored_church_is_served_again(laboratory: Laboratory, cluster: Cluster) -> None:
    """The last test of this file: what was served before is not afterwards."""
    droplet, (now, then) = laboratory.droplet, (Tenant.number(1), replace(Tenant.number(1), generation=2))
    with cluster.as_tenant(now) as connection:
        connection.execute(
            b"CREATE TABLE people AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 20000) AS n"
        )
        connection.execute(b"ALTER TABLE people ADD PRIMARY KEY (id)")
    stream = _dumped(cluster, now)
    with cluster.as_tenant(now) as connection:
        connection.execute(b"DELETE FROM people WHERE id > 10")

    began = time.monotonic()
    # The deploy of `restoring: 2`, and a run of the isolation job.
    cluster.api_database(then.database)
    assert cluster.job().code == 0
    home = droplet.root / "srv/restore"
    programs.lay_out(home / "programs")
    configuration = cluster.configuration({})
    known = _published(laboratory, now)
    configuration["clusters"][0] |= {"host": GATEWAY, "port": known["port"], "ca": known["ca"]}
    (home / "isolation").mkdir()
    (home / "isolation/environment.json").write_text(json.dumps(configuration))
    (home / "stream").write_bytes(stream)
    run = "python3 -I -B /srv/restore/programs"
    more = "--configurations /srv/restore/isolation"
    said = droplet.sh(f"{run} restore {then.database} --to shared {more} < /srv/restore/stream 2>&1")
    assert "same: public.people: 20000 rows" in said
    filled = time.monotonic()
    said = droplet.sh(f"{run} compare {then.database} {now.database} --in shared {more} 2>&1")
    assert "public.people  20000   10      19990         0        0" in said, said
    compared = time.monotonic()

    # The deploy of `current: 2`.
    cluster.api_user(then.user())
    cluster.api_drop_user(now.user())
    _publish(laboratory, {**known, **cluster.credentials(then), "host": GATEWAY, "ca": known["ca"]}, now)
    assert cluster.job().code == 0
    droplet.sh("systemctl start presence360-pool.service")

    def asked(tenant: Tenant) -> str:
        address = f"host={SOCKETS} port={PORT} dbname={tenant.database} user={tenant.user()}"
        psql = f"PGPASSWORD={cluster.passwords[tenant.user()]} psql -At '{address}'"
        return droplet.sh(f"{psql} -c '{question}' 2>&1", check=False)

    question = "SELECT count(*), current_user FROM people GROUP BY 2"
    eventually(
        "the church is served from the restored database", 60, lambda: asked(then) == f"20000|{then.owner}\n"
    )
    served = time.monotonic()
    assert "20000" not in asked(now)
    sys.stdout.write(
        f"restored on a droplet: 20,000 rows filled and compared row by row {filled - began:.1f} s, differences "
        f"{compared - filled:.1f} s, from the switch to the first answer through the pool {served - compared:.1f} s\n"
    )


def _dumped(cluster: Cluster, tenant: Tenant) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "environment.json").write_text(json.dumps(cluster.configuration({})))
        return opened_dump(Path(scratch), "shared", tenant.database)


def _published(laboratory: Laboratory, tenant: Tenant) -> dict[str, Any]:
    bucket, _, prefix = CREDENTIALS.partition("/")
    store, key = laboratory.configuration.store, f"{prefix}/{tenant.id}.json"

    def read() -> bytes:
        return bytes(store().get_object(Bucket=bucket, Key=key)["Body"].read())

    found = laboratory.network.inside(read)
    return dict(json.loads(found))


def _publish(laboratory: Laboratory, value: dict[str, Any], tenant: Tenant) -> None:
    bucket, _, prefix = CREDENTIALS.partition("/")
    store, key = laboratory.configuration.store, f"{prefix}/{tenant.id}.json"
    body = json.dumps(value).encode()
    laboratory.network.inside(lambda: store().put_object(Bucket=bucket, Key=key, Body=body))
