"""The command line, and an end that leaves no dump half stored."""

import argparse
import os
import shutil
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from droplet import journal
from droplet.backup.run import Run
from droplet.backup.wanted import read_wanted
from droplet.configuration import ConfigurationError
from droplet.isolation.folders import Folders

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run once; 1 if a database has no new dump that is to have one."""
    parser = argparse.ArgumentParser(
        prog="backup", description="Dump what is to be dumped, encrypt it, and store it."
    )
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tools", type=Path, default=Path("/usr/bin"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    given, scratch, state = (
        Path(os.environ[name]) for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY")
    )
    try:
        wanted = read_wanted(given)
    except ConfigurationError as error:
        journal.log(journal.ERROR, str(error))
        return 1
    # Files of a run that was killed; the run that follows makes its own.
    for left in state.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    run = Run(
        wanted,
        Folders(configurations=given, scratch=scratch, state=state),
        socket.gethostname(),
        programs=options.programs,
        age=str(options.tools / "age"),
        rclone=str(options.tools / "rclone"),
    )
    for number in _SIGNALS:
        signal.signal(number, lambda *_: run.stopping.set())
    return run.once()
