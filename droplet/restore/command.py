"""The command: its arguments, and what it needs of the droplet."""

import argparse
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import droplet.restore
from droplet import by_hand
from droplet.names import TENANT_DATABASE, Place
from droplet.outcome import RefusedError
from droplet.postgres import Client, newest_programs
from droplet.restore.restore import Restore
from droplet.restore.stream import read_contents


def main(arguments: Sequence[str]) -> int:
    """Run; 0 if the database holds what the dump holds."""
    undone = "Nothing was committed: the database is as empty as before."
    return by_hand.run(partial(_restore, _parse(arguments)), undone=undone)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="restore",
        description=droplet.restore.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "database",
        help="the database that is filled: tenant_<id>, tenant_<id>_r2 beside it, or control_plane",
    )
    parser.add_argument("--to", dest="target", required=True, help="the cluster that has it, such as shared")
    parser.add_argument("--configurations", type=Path, default=by_hand.CONFIGURATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _restore(options: argparse.Namespace, private: Path) -> None:
    if not re.fullmatch(f"{TENANT_DATABASE}|control_plane", options.database):
        raise RefusedError(f"{options.database!r} is not the database of a church, nor control_plane")
    programs = options.programs or newest_programs("pg_restore")
    if programs is None:
        raise RefusedError("pg_restore is not installed (Debian: postgresql-client)")
    contents = read_contents(sys.stdin.buffer)
    target = Client.prepare(
        by_hand.find_cluster(options.configurations, options.target),
        private / "target",
        programs,
        application="presence360-restore",
        settings=by_hand.SETTINGS,
    )
    Restore(Place(options.database), target, contents, sys.stdin.buffer, private).run()
