"""The command line: one run at a time, and what its end means for systemd and the metrics."""

import argparse
import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from droplet import journal
from droplet.converge.errors import ConvergeError, HeldError, WaitingError
from droplet.converge.paths import Paths
from droplet.converge.release import load_release
from droplet.converge.run import Converger


def main(arguments: Sequence[str], converger: Converger | None = None) -> int:
    """Run once; 1 if the droplet does not run what the bucket says, which systemd shows as a failed unit."""
    parser = argparse.ArgumentParser(
        prog="converge", description="Bring this droplet to what its group's bucket says."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--retry", action="store_true", help="forget what failed before, and try it again")
    what.add_argument(
        "--heal", action="store_true", help="the bucket was not fetched: only start what stopped"
    )
    what.add_argument(
        "--drain", action="store_true", help="answer 503 to the load balancer until the next boot, and wait"
    )
    options = parser.parse_args(arguments)
    converger = converger or Converger(Paths())
    paths = converger.paths
    paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    if options.drain:
        release = load_release(paths.current)
        if release and release.public:
            converger.drain(release, paths.leaving)
        return 0
    with _alone(paths) as alone:
        if not alone:
            journal.log(journal.INFO, "another run is in progress")
            return 0
        # From a run that was killed. What it left half done shows in the health of the services.
        paths.draining.unlink(missing_ok=True)
        if options.retry:
            paths.failed.unlink(missing_ok=True)
        return _once(converger, heal=options.heal)


def _once(converger: Converger, *, heal: bool) -> int:
    installed = converger.install_units()
    try:
        if heal:
            converger.heal()
            converger.report(success=False)
            return 1
        converger.converge()
    except WaitingError as waiting:
        journal.log(journal.INFO, str(waiting))
    except HeldError as held:
        # It was an error in the journal when it happened; the metric stays 0 until the bucket changes.
        journal.log(journal.INFO, f"not tried again: {held}")
        converger.report(success=False)
        return 0
    except ConvergeError as error:
        journal.log(journal.ERROR, str(error))
        converger.report(success=False)
        return 1
    converger.report(success=installed)
    return 0 if installed else 1


@contextmanager
def _alone(paths: Paths) -> Iterator[bool]:
    """Hold the lock; False if another run has it."""
    with (paths.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
