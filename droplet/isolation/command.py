"""The command: one run over all clusters, what it tells the journal, and its metrics."""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from droplet import postgres
from droplet.configuration import Cluster, Limits
from droplet.isolation import connections
from droplet.isolation.cluster import isolate
from droplet.isolation.folders import BUSY_SECONDS, PREFIX, Folders
from droplet.isolation.metrics import NAMES, metrics, samples_of
from droplet.isolation.result import Result
from droplet.isolation.watch import watch
from droplet.journal import ERROR, INFO, log

PARALLEL_CLUSTERS = 4
"""At a time, so that one that does not answer does not delay the others."""


def main(arguments: Sequence[str]) -> int:
    """Read the folders from the command line or from systemd's variables, and run."""
    parser = argparse.ArgumentParser(
        prog="isolation", description="Make each tenant's credentials reach that tenant's database alone."
    )
    given, scratch, state = (
        Path(os.environ.get(name, "."))
        for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY")
    )
    parser.add_argument("--configurations", type=Path, default=given)
    parser.add_argument("--scratch", type=Path, default=scratch)
    parser.add_argument("--state", type=Path, default=state)
    parser.add_argument("--watch", action="store_true", help="every two seconds, for five minutes")
    options = vars(parser.parse_args(arguments))
    watching = options.pop("watch")
    folders = Folders(**options)
    return watch(folders) if watching else run(folders)


def run(folders: Folders, now: Callable[[], float] = time.time) -> int:
    """Run once on every cluster; 1 if a tenant is not known to be isolated, which the unit shows as failed."""
    configurations, broken = folders.read_configurations()
    for name, problem in sorted(broken.items()):
        log(ERROR, f"configuration {name} {problem}")
    if not configurations and not broken:
        log(ERROR, f"no {PREFIX}*.json in {folders.configurations}")
        # Instead of the last run's, which would say that all is well.
        folders.metrics.write_text(metrics({}, {}), encoding="utf-8")
        return 1
    work = [
        (cluster, configuration.limits)
        for configuration in configurations
        for cluster in configuration.clusters
    ]
    with ThreadPoolExecutor(max_workers=PARALLEL_CLUSTERS) as pool:
        results = list(pool.map(lambda one: _isolate(folders, *one, now=now()), work))
        counted = dict(pool.map(lambda one: _count(folders, one[0]), work))
    known = {cluster.name for cluster, _ in work}
    samples = {name: found for name, found in folders.read_samples(NAMES).items() if name in known}
    for result in results:
        _tell(result)
        if not result.busy or result.errors:
            samples[result.cluster] = samples_of(result, now())
    # A configuration that cannot be read may name any of the clusters that are not known.
    if not broken:
        folders.forget_stamps(known)
    folders.write_samples(samples)
    valid = {**{one.name: True for one in configurations}, **dict.fromkeys(broken, False)}
    used = {name: found for name, found in counted.items() if found}
    folders.metrics.write_text(metrics(samples, valid) + connections.metrics(used), encoding="utf-8")
    return 0 if not broken and all(result.success for result in results) else 1


def _isolate(folders: Folders, cluster: Cluster, limits: Limits, *, now: float) -> Result:
    """Isolate one cluster; an error concerns this cluster and no other."""
    try:
        client = postgres.Client.prepare(
            cluster,
            folders.scratch / cluster.name,
            postgres.newest_programs("psql"),
            application="presence360-isolation",
        )
        full = folders.full_visit_is_due(cluster.name, now)
        result = isolate(client, limits, folders.scratch / cluster.name, full=full)
        busy_for = folders.busy_for(cluster.name, now, busy=result.busy)
        if busy_for >= BUSY_SECONDS:
            result.errors.append(f"another run has been in progress for {busy_for:.0f} s")
        if full and result.success and not result.busy:
            folders.full_visit_is_done(cluster.name)
    except OSError as error:
        return Result(cluster=cluster.name, errors=[str(error)])
    return result


def _count(folders: Folders, cluster: Cluster) -> tuple[str, connections.Connections | None]:
    """Count a cluster's connections, isolated or not, also on a droplet where another one isolates."""
    try:
        client = postgres.Client.prepare(
            cluster,
            folders.scratch / cluster.name,
            postgres.newest_programs("psql"),
            application="presence360-isolation",
        )
        return cluster.name, connections.count(client)
    except OSError as error:
        log(ERROR, f"{cluster.name}: {error}")
        return cluster.name, None


def _tell(result: Result) -> None:
    if result.busy:
        log(INFO, f"{result.cluster}: another run is in progress")
    for role, database, what in result.findings:
        log(ERROR, f"{result.cluster}: {role} {what} ({database or 'every database'})")
    for error in result.errors:
        log(ERROR, f"{result.cluster}: {error}")
    if result.success and result.visited:
        log(INFO, f"{result.cluster}: {result.visited} databases visited in {result.seconds:.1f} s")
