"""A night of many churches, timed: `make prove-backups` takes 250. No sound database is reported, whatever is in it."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from lab.object_storage import Gateway
from tests.backups.conftest import Clusters, fill
from tests.backups.site import Site

CHURCHES = int(os.environ.get("PRESENCE360_DUMPED_CHURCHES", "0"))
FULL = 20
"""Of them have each kind of thing that a database may hold, and rows with every character."""
GOAL_SECONDS = 3600
"""A night has room for it many times."""

ODD = Path(__file__).with_name("odd.sql").read_text(encoding="utf-8")


@pytest.mark.skipif(not CHURCHES, reason="many churches take minutes: `make prove-backups`")
def test_a_night_of_many_churches(clusters: Clusters, gateway: Gateway) -> None:
    cluster = clusters()
    site = Site(
        cluster.droplet / "backup",
        {"shared": cluster},
        gateway,
        bucket=f"proof-{time.time_ns()}",
        settings={"rate_mib": 32},
    )
    site.write()
    made = cluster.tenants(range(1, CHURCHES + 1))
    assert cluster.job().code == 0
    for number, tenant in enumerate(made):
        if number < FULL:
            fill(cluster, tenant)
        with cluster.as_tenant(tenant) as connection:
            connection.execute(ODD.encode())
            connection.execute(
                b"CREATE TABLE believers AS SELECT n, md5(n::text) AS name FROM generate_series(1, 2000) AS n"
            )
    code, log, seconds = night(site)
    assert code == 0, log[-4000:]
    assert log.count(" bytes in ") == CHURCHES + 1
    total = sum(site.objects().values())
    sys.stdout.write(
        f"{CHURCHES + 1} databases in {seconds:.0f} s, {total / 2**20:.1f} MiB, two at a time" + "\n"
    )
    assert seconds < GOAL_SECONDS

    # The next night: those that changed come first.
    changed = made[-3:]
    for tenant in changed:
        with cluster.as_tenant(tenant) as connection:
            connection.execute(b"INSERT INTO believers VALUES (0, 'new')")
    site.ask()
    # The server counts what was written a second late.
    time.sleep(2)
    code, log, seconds = night(site)
    assert code == 0, log[-4000:]
    order = re.findall(r"shared (tenant_\S+): \d+ bytes", log)
    assert {tenant.database for tenant in changed} <= set(order[: len(changed) + 2])


def night(site: Site) -> tuple[int, str, float]:
    began = time.monotonic()
    process = site.start()
    log, _ = process.communicate(timeout=GOAL_SECONDS)
    return process.returncode, log, time.monotonic() - began
