"""Isolate the tenants of one cluster: run cluster.sql, clear what it names, and visit the databases that it names."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from droplet.configuration import Limits
from droplet.isolation.clear import clear
from droplet.isolation.result import Result, Visit
from droplet.isolation.variables import FOLDER, variables_of
from droplet.postgres import Client

PARALLEL_VISITS = 2
"""Connections at a time, beside the cluster's own: the smallest cluster has 22 for everybody."""

CLUSTER_TIMEOUT_SECONDS = 600.0
VISIT_TIMEOUT_SECONDS = 60.0


def isolate(client: Client, limits: Limits, private: Path, *, full: bool) -> Result:
    """Run the scripts on one cluster.

    Args:
        client: reaches it as its administrator.
        limits: of its databases.
        private: a folder that only this user can read.
        full: visit every database.
    """
    result = Result(cluster=client.cluster)
    start = time.monotonic()
    variables = variables_of(limits, full=full, timeout=CLUSTER_TIMEOUT_SECONDS)

    def visit(wanted: Visit) -> tuple[int, str, str]:
        return client.run_script(
            wanted.database,
            FOLDER / "database.sql",
            {**variables, **wanted._asdict()},
            VISIT_TIMEOUT_SECONDS,
        )

    script = FOLDER / "cluster.sql"
    result.take(*client.run_script(client.database, script, variables, CLUSTER_TIMEOUT_SECONDS))
    if result.clears:
        clear(client, result, private)
        # What it found before is not what is true now.
        result.begin_again()
        result.take(*client.run_script(client.database, script, variables, CLUSTER_TIMEOUT_SECONDS))
    with ThreadPoolExecutor(max_workers=PARALLEL_VISITS) as pool:
        # In the order of the names, so that a run that is killed leaves the first ones done.
        for wanted, answer in zip(result.visits, pool.map(visit, result.visits), strict=True):
            result.take(*answer, database=wanted.database)
    result.visited = len(result.visits)
    result.seconds = time.monotonic() - start
    return result
