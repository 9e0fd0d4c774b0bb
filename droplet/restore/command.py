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
from droplet.restore.another import opened, refuse_same
from droplet.restore.restore import Restore
from droplet.restore.stream import read_source


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
    parser.add_argument(
        "--from",
        dest="source",
        metavar="CLUSTER",
        help="read another cluster, such as a fork of a backup, in the place of a dump on the input",
    )
    parser.add_argument(
        "--of",
        metavar="DATABASE",
        help="with --from: the church's database there; left out, the one of the same name",
    )
    parser.add_argument("--configurations", type=Path, default=by_hand.CONFIGURATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _restore(options: argparse.Namespace, private: Path) -> None:
    if not re.fullmatch(f"{TENANT_DATABASE}|control_plane", options.database):
        raise RefusedError(f"{options.database!r} is not the database of a church, nor control_plane")
    if options.of and options.source is None:
        raise RefusedError("--of belongs to --from")
    programs = options.programs or newest_programs("pg_restore")
    if programs is None:
        raise RefusedError("pg_restore is not installed (Debian: postgresql-client)")

    def client(name: str, folder: str) -> Client:
        return Client.prepare(
            by_hand.find_cluster(options.configurations, name),
            private / folder,
            programs,
            application="presence360-restore",
            settings=by_hand.SETTINGS,
        )

    place = Place(options.database)
    if options.source is None:
        source = read_source(sys.stdin.buffer)
        Restore(place, client(options.target, "target"), source, private).run()
        return
    if options.source == options.target:
        raise RefusedError("source and target are the same cluster")
    target, other = client(options.target, "target"), client(options.source, "source")
    refuse_same(other, target, private)
    with opened(other, Place(options.of or options.database), private) as source:
        Restore(place, target, source, private).run()
