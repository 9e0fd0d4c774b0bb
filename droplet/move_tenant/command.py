"""The command: its arguments, and the clusters that they name."""

import argparse
import re
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import droplet.move_tenant
from droplet import by_hand
from droplet.move_tenant.move import Move
from droplet.names import DATABASE_KEY, Place
from droplet.outcome import RefusedError
from droplet.postgres import Client, newest_programs

CONTROL_PLANE = "control_plane"


def main(arguments: Sequence[str]) -> int:
    """Run; 0 if the target holds what the source holds."""
    options = _parse(arguments)
    undone = f"Nothing was committed: the target is as {'it was' if options.over else 'empty as'} before."
    undone = "" if options.check else undone
    return by_hand.run(partial(_move, options), undone=undone)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="move_tenant",
        description=droplet.move_tenant.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "tenant",
        help="the tenant's id; where a restore made its database, with the generation: <id>_r2; with --over also "
        "control_plane",
    )
    parser.add_argument(
        "--from", dest="source", required=True, help="the cluster that has the database, such as shared"
    )
    parser.add_argument(
        "--to", dest="target", required=True, help="the cluster that is to have it: the tenant's id"
    )
    parser.add_argument("--check", action="store_true", help="compare, and change nothing")
    parser.add_argument(
        "--over",
        action="store_true",
        help="the source is a fork of the target's cluster: what the target holds goes in the same transaction",
    )
    parser.add_argument("--configurations", type=Path, default=by_hand.CONFIGURATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _move(options: argparse.Namespace, private: Path) -> None:
    control_plane = options.over and options.tenant == CONTROL_PLANE
    if not control_plane and not re.fullmatch(DATABASE_KEY, options.tenant):
        raise RefusedError(f"{options.tenant!r} is not the id of a tenant")
    if options.source == options.target:
        raise RefusedError("source and target are the same cluster")
    programs = options.programs or newest_programs("pg_dump")
    if programs is None:
        raise RefusedError("pg_dump is not installed (Debian: postgresql-client)")
    source, target = (
        Client.prepare(
            by_hand.find_cluster(options.configurations, name),
            private / name,
            programs,
            application="presence360-move-tenant",
            PGCLIENTENCODING="UTF8",
            settings=by_hand.SETTINGS,
        )
        for name in (options.source, options.target)
    )
    place = Place(CONTROL_PLANE if control_plane else f"tenant_{options.tenant}")
    Move(place, source, target, _major(source), private, over=options.over).run(check=options.check)


def _major(client: Client) -> int:
    """Return the major version of pg_dump."""
    command = [client.program("pg_dump"), "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\) (\d+)", shown)
    if not found:
        raise RefusedError(f"pg_dump --version prints: {shown.strip()}")
    return int(found[1])
