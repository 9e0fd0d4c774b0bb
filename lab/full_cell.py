"""Prove that a full cell works on one modest cluster: 250 tenants, 50 of them busy at once, from three droplets.

    python -m lab.full_cell

A real Postgres 17 with the connections of an 8 GB cluster, isolated by the real job; three of Debian 13's PgBouncers,
set up by the program that sets them up on droplets. Each busy tenant has two clients on every droplet, which run one
short transaction after another. Who is busy changes all the time, until all tenants had their turn. Exit code 0: no
query was refused, and Postgres never had more sessions than it may.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from lab.local_postgres import Template, installations
from lab.managed_cluster import CONNECTIONS, Cluster, Tenant
from lab.pgbouncer import Pooler, poolers
from model.pool import PORT
from model.sizes import connections
from model.tenancy import MAX_TENANTS_OF_A_CELL

MAJOR = 17
SIZE = "db-s-4vcpu-8gb"
DROPLETS = 3
CLIENTS = 2
"""Of each busy tenant on each droplet, for a pool of one: one of them waits."""
PAUSE_SECONDS = 1.0
"""Between two transactions of a client: the pool keeps its connection, and this machine has time for all of them."""
RESERVED = 3
"""Postgres's own default of superuser_reserved_connections."""


@dataclass
class Load:
    """What clients saw.

    Attributes:
        latencies: of transactions, in seconds.
        errors: how often each message came.
        logins: connections that clients opened.
    """

    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    logins: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=MAX_TENANTS_OF_A_CELL)
    parser.add_argument("--busy", type=int, default=50, help="at once")
    parser.add_argument("--seconds", type=float, default=20, help="that each is busy")
    options = parser.parse_args(arguments)
    limit = connections(SIZE)
    with _scene(options.tenants, limit) as (cluster, tenants, droplets):
        peak = _Peak(cluster)
        load, seconds = _run(cluster, tenants, droplets, options.busy, options.seconds)
        most = peak.stop()
        opened = cluster.server.log.count("connection authorized: user=tenant_")
        memory = max(_memory(droplet) for droplet in droplets)
    for message, count in load.errors.most_common():
        print(f"{count} x {message}")
    refused = sum(load.errors.values())
    quantiles = statistics.quantiles(load.latencies, n=100)
    print(
        f"{options.tenants} tenants, {options.busy} busy at once on {DROPLETS} droplets: "
        f"{len(load.latencies):,} transactions in {seconds:.0f} s, {refused} refused; at most {most} of {limit} "
        f"connections; {opened / seconds:.0f} of them opened each second; a transaction took "
        f"{1000 * quantiles[49]:.0f} ms (median), {1000 * quantiles[98]:.0f} ms (99 of 100); "
        f"PgBouncer {memory:.0f} MiB"
    )
    return 0 if not refused and most <= limit else 1


@contextmanager
def _scene(number: int, limit: int) -> Iterator[tuple[Cluster, list[Tenant], Sequence[Pooler]]]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as scratch, poolers(DROPLETS) as droplets:
        folder = Path(scratch)
        folder.chmod(0o755)
        for name in ("template", "droplet"):
            (folder / name).mkdir()
        template = Template(installations()[MAJOR], folder / "template")
        with template.server(max_connections=limit + RESERVED) as server:
            cluster = Cluster(server, folder / "droplet").create(control_plane=False)
            tenants = cluster.tenants(range(1, number + 1))
            outcome = cluster.job()
            if outcome.code:
                raise RuntimeError(outcome.log)
            objects = {tenant.id: cluster.credentials(tenant) for tenant in tenants}
            for droplet in droplets:
                droplet.publish(objects)
                # A pool of one.
                droplet.configure(droplets=CONNECTIONS)
                droplet.start()
            yield cluster, tenants, droplets


def _run(
    cluster: Cluster, tenants: list[Tenant], droplets: Sequence[Pooler], busy: int, seconds: float
) -> tuple[Load, float]:
    """Let all tenants be busy, so many at once, each for so long."""
    load, queue, began = Load(), iter(tenants), time.monotonic()
    lock = threading.Lock()

    def slot(number: int) -> None:
        # Not all at the same moment, so that not all change at the same moment either.
        time.sleep(seconds * number / busy)
        while True:
            with lock:
                tenant = next(queue, None)
            if tenant is None:
                return
            until = time.monotonic() + seconds
            clients = [
                threading.Thread(target=_client, args=(cluster, tenant, droplet, until, load))
                for droplet, _ in itertools.product(droplets, range(CLIENTS))
            ]
            for client in clients:
                client.start()
            for client in clients:
                client.join()

    slots = [threading.Thread(target=slot, args=(number,)) for number in range(busy)]
    for thread in slots:
        thread.start()
    for thread in slots:
        thread.join()
    return load, time.monotonic() - began


def _client(cluster: Cluster, tenant: Tenant, droplet: Pooler, until: float, load: Load) -> None:
    """Run transactions as one process of a service; lists and counters of Python take entries from many threads."""
    try:
        with psycopg.connect(
            host=str(droplet.sockets),
            port=PORT,
            user=tenant.user(),
            password=cluster.passwords[tenant.user()],
            dbname=tenant.database,
        ) as connection:
            load.logins += 1
            while time.monotonic() < until:
                began = time.monotonic()
                with connection.transaction():
                    connection.execute("SELECT current_user").fetchone()
                load.latencies.append(time.monotonic() - began)
                time.sleep(PAUSE_SECONDS)
    except psycopg.Error as error:
        load.errors[str(error).splitlines()[0]] += 1


class _Peak(threading.Thread):
    """Counts the tenants' sessions, five times a second, by a superuser's session."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._most = 0
        self._cluster = cluster
        self.start()

    def run(self) -> None:
        """Count until told to stop."""
        while not self._ended.wait(0.2):
            rows = self._cluster.superuser(
                "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'tenant_%'"
            )
            self._most = max(self._most, int(rows[0][0]))

    def stop(self) -> int:
        """End it, and return the most that there were at a time."""
        self._ended.set()
        self.join()
        return self._most


def _memory(droplet: Pooler) -> float:
    if droplet.process is None:
        return 0
    return float(psutil.Process(droplet.process.pid).memory_info().rss) / 1024**2


if __name__ == "__main__":
    sys.exit(main())
