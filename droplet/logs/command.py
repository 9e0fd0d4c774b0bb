"""The command line."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from droplet.converge.processes import run_program
from droplet.logs.flush import flush
from droplet.logs.keep import Keep


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments name; 1 if it could not be done, which the unit shows as failed."""
    parser = argparse.ArgumentParser(
        prog="logs", description="Send the last log lines, or keep those of all."
    )
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("flush", help="wait until every line up to now is sent")
    keep = what.add_parser("keep", help="set files aside, and remove old ones")
    keep.add_argument("folder", type=Path)
    keep.add_argument("days", type=int)
    chosen = parser.parse_args(arguments)
    if chosen.what == "flush":
        return 0 if flush(run_program, Path(os.environ["STATE_DIRECTORY"]) / "state") else 1
    runtime = Path(os.environ["RUNTIME_DIRECTORY"])
    return 0 if Keep(run_program, chosen.folder, chosen.days).once(runtime / "logs.prom") else 1
