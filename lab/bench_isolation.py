"""Measure the isolation job on real Postgres servers: `python -m lab.bench_isolation [--tenants N]`.

A first run over N tenants, one in which nothing changed, and for how long a new database is open while the watch runs,
on the newest server that the machine has. `make bench` runs it with the rest. Making the databases takes longer.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.managed_cluster import Cluster

TENANTS = 1_000

WATCH_STARTS_SECONDS = 5.0


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=TENANTS, help="how many databases are kept apart")
    parser.add_argument(
        "--major", type=int, default=None, help="the server's version; the newest if left out"
    )
    options = parser.parse_args()
    report(options.tenants, options.major)
    return 0


def report(tenants: int = TENANTS, major: int | None = None) -> None:
    """Print what a first run and a run without change take, or why that was not measured."""
    try:
        # They need psycopg, and servers that only a machine for development has.
        from lab.local_postgres import Template, installations  # noqa: PLC0415
        from lab.managed_cluster import Cluster  # noqa: PLC0415
    except ImportError as error:
        print(f"\nIsolation: not measured: {error}")
        return
    installed = installations()
    if not installed:
        print("\nIsolation: not measured: no Postgres server from 15 on is installed")
        return
    installation = installed[major or max(installed)]
    with tempfile.TemporaryDirectory() as scratch:
        # The server runs as another user, and passes through.
        Path(scratch).chmod(0o755)
        home = Path(scratch, "template")
        home.mkdir()
        with Template(installation, home).server() as server:
            droplet = Path(scratch, "droplet")
            droplet.mkdir()
            cluster = Cluster(server, droplet).create()
            begin = time.perf_counter()
            cluster.tenants(range(tenants))
            made = time.perf_counter() - begin
            print(f"\nIsolation of {tenants:,} tenants, Postgres {installation.major} (made in {made:.0f} s)")
            for name in ("first run", "no change", "no change", "one more tenant"):
                if name == "one more tenant":
                    cluster.tenants([tenants])
                connections = cluster.connections_of_administrator()
                begin = time.perf_counter()
                outcome = cluster.job()
                seconds = time.perf_counter() - begin
                opened = cluster.connections_of_administrator() - connections
                verdict = "" if outcome.code == 0 else "   FAILED"
                print(f"  {name:<20} {seconds:7.2f} s   {opened:>6,} connections{verdict}")
                if verdict:
                    print(outcome.log[:2000])
            waited = [_open_seconds(cluster, tenants + 1 + number) for number in _watched(cluster)]
            mean = sum(waited) / len(waited)
            print(f"  a new database is open for {max(waited):.1f} s at most, {mean:.1f} s on average")


def _watched(cluster: "Cluster") -> Iterator[int]:
    """Count to ten while the watch runs."""
    process = cluster.watch()
    time.sleep(WATCH_STARTS_SECONDS)
    yield from range(10)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _open_seconds(cluster: "Cluster", number: int) -> float:
    """Create a database, and return for how long the first tenant's user may connect to it."""
    from psycopg import OperationalError  # noqa: PLC0415

    from lab.managed_cluster import Tenant  # noqa: PLC0415

    first, new = Tenant.number(0), Tenant.number(number)
    cluster.api_database(new.database)
    begin = time.perf_counter()
    while True:
        try:
            cluster.connect(first.user(), new.database).close()
        except OperationalError:
            return time.perf_counter() - begin
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
