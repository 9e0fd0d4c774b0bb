"""The watch: every two seconds, close what was opened since and end sessions that have no right to be where they are.

It keeps one connection to each cluster, so that it acts also where a tenant holds all the others. A cluster has one
watch at a time: those on other droplets try again every half minute. It ends by itself after five minutes; systemd
starts it again, with the configurations and the programs of that time.
"""

import threading
import time
from collections.abc import Callable

from droplet import postgres
from droplet.configuration import Cluster, Limits
from droplet.isolation.beside import Beside
from droplet.isolation.folders import Folders
from droplet.isolation.result import Result
from droplet.isolation.variables import FOLDER, variables_of
from droplet.journal import ERROR, INFO, log
from droplet.names import WATCH_LOCK
from droplet.postgres import Client
from droplet.session import Session, SessionError

INTERVAL_SECONDS = 2.0
RETRY_SECONDS = 30.0
"""After a connection was lost or refused, and while another droplet watches."""

RUN_SECONDS = 300.0

STATEMENT_SECONDS = 20.0

_BOUNDS = "SET lock_timeout = '500ms';"
"""A lock that a tenant holds, as on a role that is to be dropped, is asked for again in the next round: closing a new
database comes first in each, and must not come late."""

_MOST_LOCKS = """
    SELECT pg_catalog.current_setting('max_locks_per_transaction')::int
        * (pg_catalog.current_setting('max_connections')::int
            + pg_catalog.current_setting('max_prepared_transactions')::int) / 4;
"""
"""A quarter of the lock table (PostgreSQL documentation, "Lock Management"): on the smallest cluster more than a dump
of three hundred tables takes."""


def watch(folders: Folders, seconds: float = RUN_SECONDS, now: Callable[[], float] = time.monotonic) -> int:
    """Watch every cluster for a while; 0, also where some could not be watched: the job's own run says so."""
    configurations, _ = folders.read_configurations()
    until = now() + seconds
    threads = [
        threading.Thread(target=_watch, args=(folders, cluster, configuration.limits, until))
        for configuration in configurations
        for cluster in configuration.clusters
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Without clusters too, so that systemd does not start it in a loop.
    time.sleep(max(0.0, until - now()) if not threads else 0.0)
    return 0


def _watch(folders: Folders, cluster: Cluster, limits: Limits, until: float) -> None:
    private = folders.scratch / f"watch-{cluster.name}"
    client = Client.prepare(
        cluster,
        private,
        postgres.newest_programs("psql"),
        application="presence360-isolation-watch",
    )
    beside = Beside(client, private)
    while time.monotonic() < until:
        try:
            with Session(client, client.database, private) as session:
                _rounds(session, client.cluster, limits, beside, until)
        except SessionError as error:
            log(ERROR, f"watch: {error}")
        finally:
            for left in private.glob("*.err"):
                left.unlink()
        time.sleep(max(0.0, min(RETRY_SECONDS, until - time.monotonic())))


def _rounds(session: Session, cluster: str, limits: Limits, beside: Beside, until: float) -> None:
    """Do a round every two seconds for as long as this is the cluster's watch."""
    (alone,) = session.lines(f"SELECT pg_catalog.pg_try_advisory_lock({WATCH_LOCK});")
    if alone != "t":
        log(INFO, f"watch: another droplet watches {cluster}")
        return
    variables = variables_of(limits, full=False, timeout=STATEMENT_SECONDS)
    (most,) = session.lines(_MOST_LOCKS)
    session.define({**variables, "most_locks": most})
    session.lines(f"\\i {FOLDER / 'settings.sql'}\n\\i {FOLDER / 'views.sql'}\n\\set ON_ERROR_STOP off")
    session.lines(_BOUNDS)
    log(INFO, f"watch: {cluster} is watched from here")
    while time.monotonic() < until:
        begin = time.monotonic()
        result = Result(cluster=cluster)
        said = session.lines(f"\\i {FOLDER / 'watch.sql'}\n\\i {FOLDER / 'sweep.sql'}")
        result.take(0, "\n".join([*said, "done"]), session.messages())
        beside.start(result)
        time.sleep(max(0.0, INTERVAL_SECONDS - (time.monotonic() - begin)))
