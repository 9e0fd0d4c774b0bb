"""A droplet's services share connections to Postgres: from a container, through the socket, over TLS to a server."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.local_digitalocean.tls import Authority
from lab.local_postgres import Template, installations, tls_settings
from model.pool import PORT, SOCKETS
from tests.droplets.conftest import CREDENTIALS, Laboratory
from tests.droplets.laboratory import GATEWAY, VPC, eventually

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster

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
            bucket, _, prefix = CREDENTIALS.partition("/")
            store = laboratory.configuration.store
            network.inside(
                lambda: store().put_object(
                    Bucket=bucket, Key=f"{prefix}/{tenant.id}.json", Body=json.dumps(value).encode()
                )
            )
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
    (droplet.root / "root/startup.py").write_text(program)
    for service, answer in (("tenant-api", "R 10\n"), ("worker", "R 10\n"), ("web-tenant", "")):
        container = droplet.sh(f"docker ps --quiet --filter label=app.presence360.service={service}").strip()
        ran = droplet.sh(
            f"docker exec -i -u 1000:1000 {container} python - < /root/startup.py 2>&1", check=False
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
