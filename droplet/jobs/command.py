"""The command: looks until nothing runs, or the next start of its unit is near."""

import argparse
import socket
import time
from collections.abc import Callable, Sequence

from droplet import journal
from droplet.converge.errors import ConvergeError
from droplet.converge.paths import Paths, write
from droplet.converge.processes import Run as RunProgram
from droplet.converge.processes import run_program
from droplet.converge.run import droplet_id
from droplet.converge.store import Store
from droplet.jobs import metrics
from droplet.jobs.buckets import Buckets
from droplet.jobs.containers import Containers
from droplet.jobs.disk import Disk
from droplet.jobs.look import Look
from droplet.jobs.runs import Runs
from droplet.jobs.scheduled import Scheduled

PERIOD_SECONDS = 15
"""How often the unit starts (presence360-jobs.timer)."""
POLL_SECONDS = 2
"""Between two looks while something runs: who asked reads the output as it comes."""
REST_SECONDS = 4


def main(arguments: Sequence[str]) -> int:
    """Look after runs; 1 if Docker does not answer."""
    parser = argparse.ArgumentParser(
        prog="jobs", description="Begin runs that are asked for or due, and tell what became of them."
    )
    parser.parse_args(arguments)
    return run(look(Paths()), time.sleep)


def look(
    paths: Paths,
    *,
    containers: Containers | None = None,
    hostname: str | None = None,
    clock: Callable[[], float] = time.time,
    program: RunProgram = run_program,
) -> Look:
    """Put together what a look works with."""
    scratch = paths.run / "jobs"
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = hostname or socket.gethostname()
    droplet = droplet_id(paths, name)
    buckets = Buckets(scratch, program)
    runs = Runs(paths, containers or Containers(), buckets, Disk(paths.state / "jobs"), clock)
    scheduled = Scheduled(paths, buckets, runs, droplet, name, clock)
    runs.told = scheduled.told
    return Look(paths, buckets, Store(program), runs, scheduled, droplet, name, clock)


def run(looking: Look, sleep: Callable[[float], None]) -> int:
    """Look once, and again while something runs, until the unit's next start is near."""
    began = looking.clock()
    while True:
        try:
            looking.once()
        except ConvergeError as error:
            journal.log(journal.ERROR, str(error))
            return 1
        records = looking.scheduled.records.values()
        text = metrics.render(records, looking.droplet, looking.clock())
        write(looking.paths.run / "jobs.prom", text.encode(), mode=0o644)
        if not looking.runs.going_on or looking.clock() - began > PERIOD_SECONDS - REST_SECONDS:
            return 0
        sleep(POLL_SECONDS)
