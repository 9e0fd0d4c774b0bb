"""The command line: one run at a time, and what its end means for systemd, the metrics and the status."""

import argparse
import fcntl
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from droplet import journal
from droplet.converge import metrics
from droplet.converge.errors import ConvergeError, FailedBeforeError, HeldError, TroubleError, WaitingError
from droplet.converge.maintenance import maintenance
from droplet.converge.paths import Paths, write
from droplet.converge.release import load_release
from droplet.converge.run import Converger


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes:
        phase: for the status (docs/status.md).
        result: for the status.
        reason: for the status.
        success: whether the metrics are green.
        exit_status: 1 shows as a failed unit in systemd.
    """

    phase: str
    result: str
    reason: str
    success: bool
    exit_status: int


def main(arguments: Sequence[str], converger: Converger | None = None) -> int:
    """Run once; 1 if the droplet does not run what the bucket says, which systemd shows as a failed unit."""
    parser = argparse.ArgumentParser(
        prog="converge", description="Bring this droplet to what its group's bucket says."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--retry", action="store_true", help="forget what failed before, here and elsewhere, and try it again"
    )
    what.add_argument(
        "--heal", action="store_true", help="the bucket was not fetched: only start what stopped"
    )
    what.add_argument(
        "--drain", action="store_true", help="answer 503 to the load balancer until the next boot, and wait"
    )
    what.add_argument(
        "--drain-nginx",
        action="store_true",
        help="the same until nginx started again (its unit removes the mark)",
    )
    options = parser.parse_args(arguments)
    converger = converger or Converger(Paths())
    paths = converger.paths
    paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    if options.drain or options.drain_nginx:
        _leave(converger, nginx_only=options.drain_nginx)
        return 0
    with _alone(paths) as alone:
        if not alone:
            journal.log(journal.WARNING, "another run is in progress")
            return 0
        # From a run that was killed. What it left half done shows in the health of the services.
        paths.draining.unlink(missing_ok=True)
        end = _once(converger, heal=options.heal, retry=options.retry)
        _report(converger, end)
        return end.exit_status


def _once(converger: Converger, *, heal: bool, retry: bool) -> End:
    try:
        refused = converger.install_units()
        if heal:
            return _heal(converger)
        refused = "; ".join(filter(None, (refused, converger.announce())))
        converger.converge(retry=retry)
    except Exception as error:
        return _unhappy(converger, error)
    if refused:
        return End("serving", "failed", refused, success=False, exit_status=1)
    return End("serving", "ok", "", success=True, exit_status=0)


def _unhappy(converger: Converger, error: Exception) -> End:
    """Tell how a run ended that did not bring the droplet to what its bucket says, and write it to the journal."""
    reason = str(error)
    match error:
        case TroubleError():
            result = _patience(converger, error)
            priority, end = journal.ERROR, End("waiting", result, reason, success=False, exit_status=1)
        case WaitingError():
            result = _patience(converger, error)
            success = result == "pending"
            priority, end = journal.INFO, End("waiting", result, reason, success=success, exit_status=0)
        case HeldError():
            priority, end = journal.WARNING, End("held", "failed", reason, success=False, exit_status=0)
        case FailedBeforeError():
            # It was an error in the journal when it happened; the metric stays 0 until the bucket changes.
            priority, end = journal.INFO, End("failed", "failed", reason, success=False, exit_status=0)
        case ConvergeError():
            priority, end = journal.ERROR, End("failed", "failed", reason, success=False, exit_status=1)
        case _:
            traceback.print_exception(error)
            reason = f"{type(error).__name__}: {error}"
            priority, end = journal.ERROR, End("failed", "failed", reason, success=False, exit_status=1)
    journal.log(priority, f"{end.phase}: {reason}")
    return end


def _heal(converger: Converger) -> End:
    release = converger.current()
    if release:
        converger.keep(release)
    phase = "serving" if release else "waiting"
    return End(phase, "failed", "the bucket was not fetched", success=False, exit_status=1)


def _patience(converger: Converger, waiting: WaitingError) -> str:
    if waiting.patience is None:
        return "pending"
    # Objects come and go in the message of an incomplete set; it is one wait all the same.
    waited = converger.group.waited(type(waiting).__name__)
    return "pending" if waited <= waiting.patience else "failed"


def _report(converger: Converger, end: End) -> None:
    paths = converger.paths
    text = metrics.render(
        load_release(paths.current),
        converger.upkeep.states,
        maintenance(paths),
        phase=end.phase,
        success=end.success,
        now=converger.clock(),
    )
    write(paths.metrics, text.encode(), mode=0o644)
    converger.status.say(end.phase, end.result, end.reason)


def _leave(converger: Converger, *, nginx_only: bool) -> None:
    """Drain before nginx or the whole droplet stops; a droplet that drains already is not held up a second time."""
    paths, release = converger.paths, load_release(converger.paths.current)
    if release is None or not release.public or paths.leaving.exists():
        return
    # systemd runs ExecStop after a crash, too (systemd.service(5)): then there is nothing to wait for.
    if nginx_only and converger.containers.loaded() is None:
        return
    converger.status.release = converger.status.wanted = release.digest
    converger.status.say("draining", "pending", "nginx restarts" if nginx_only else "the droplet shuts down")
    converger.drain(release, paths.restarting if nginx_only else paths.leaving)


@contextmanager
def _alone(paths: Paths) -> Iterator[bool]:
    """Hold the lock; False if another run has it."""
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
