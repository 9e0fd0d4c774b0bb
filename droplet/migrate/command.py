"""The command line: one run at a time on a droplet, and an end that leaves no container behind."""

import argparse
import fcntl
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from droplet import journal
from droplet.converge.errors import ConvergeError, IncompleteError
from droplet.converge.paths import Paths
from droplet.converge.store import Store
from droplet.isolation.folders import Folders
from droplet.migrate.run import Run
from droplet.migrate.runner import Docker
from droplet.migrate.wanted import folder_of

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str], run: Run | None = None) -> int:
    """Run once; 1 if a database does not have the schema that it is to have."""
    parser = argparse.ArgumentParser(
        prog="migrate", description="Bring the schema of every database to the images of the release."
    )
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    run = run or _on_a_droplet(options.home)
    folder_of(run.paths).mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(run.paths) as alone:
        if not alone:
            journal.log(journal.WARNING, "another run is in progress")
            return 0
        for number in _SIGNALS:
            signal.signal(number, lambda *_: _end(run))
        # Those of a run that was killed: the login of each is gone within seconds, and this run makes others.
        run.runner.stop()
        try:
            return run.once()
        except IncompleteError as error:
            journal.log(journal.INFO, str(error))
            return 0
        except ConvergeError as error:
            journal.log(journal.ERROR, str(error))
            return 1


def _end(run: Run) -> None:
    run.stopping.set()
    run.runner.stop()


def _on_a_droplet(home: Path | None) -> Run:
    """Put a run together; ``home`` stands for the droplet's root in measurements."""
    given, scratch = (Path(os.environ[name]) for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY"))
    paths = Paths(home / "state", home / "run") if home else Paths()
    return Run(
        paths,
        Folders(configurations=given, scratch=scratch, state=folder_of(paths)),
        Docker(paths, scratch),
        socket.gethostname(),
        Store(),
    )


@contextmanager
def _alone(paths: Paths) -> Iterator[bool]:
    """Hold this droplet's lock; False if another run has it."""
    descriptor = os.open(folder_of(paths) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
