"""The command: its arguments, and pg_dump by a login of the church's."""

import argparse
import re
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import droplet.export
from droplet import by_hand
from droplet.killed import KilledError, words
from droplet.move_tenant.look import look
from droplet.names import TENANT_DATABASE, Place
from droplet.outcome import FailedError, RefusedError
from droplet.postgres import Client, newest_programs
from droplet.session import Session, last_lines
from droplet.work_login import Rights, work_login


def main(arguments: Sequence[str]) -> int:
    """Run; 0 if all of it was written."""
    return by_hand.run(partial(_export, _parse(arguments)), undone="What was written is not whole.")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="export",
        description=droplet.export.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("database", help="such as tenant_<id>_r2")
    parser.add_argument(
        "tables", nargs="+", metavar="TABLE", help="such as public.people, as pg_dump takes it"
    )
    parser.add_argument("--in", dest="cluster", required=True, help="the cluster that has it, such as shared")
    parser.add_argument("--configurations", type=Path, default=by_hand.CONFIGURATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _export(options: argparse.Namespace, private: Path) -> None:
    if not re.fullmatch(TENANT_DATABASE, options.database):
        raise RefusedError(f"{options.database!r} is not the database of a church")
    programs = options.programs or newest_programs("pg_dump")
    if programs is None:
        raise RefusedError("pg_dump is not installed (Debian: postgresql-client)")
    place = Place(options.database)
    client = Client.prepare(
        by_hand.find_cluster(options.configurations, options.cluster),
        private / "cluster",
        programs,
        application="presence360-export",
        settings=by_hand.SETTINGS,
    )
    with Session(client, place.database, private) as session:
        side = look(session, place)
    if not side.isolated:
        raise RefusedError(f"the isolation job has not visited {place.database}: wait a minute")
    bypass = bool(side.forced) and side.may_bypass
    errors = private / "pg_dump.err"
    tables = [f"--table={table}" for table in options.tables]
    with (
        work_login(client, Rights(place.database, bypass_rls=bypass), private) as reader,
        errors.open("wb") as stderr,
    ):
        command = reader.pg_dump(place.database, "--no-owner", "--no-privileges", "--strict-names", *tables)
        done = subprocess.run(
            command, env=dict(reader.environment), stdin=subprocess.DEVNULL, stderr=stderr, check=False
        )
    if done.returncode == -signal.SIGKILL:
        raise KilledError(words("pg_dump"))
    if done.returncode:
        raise FailedError(f"pg_dump: {last_lines(errors)}")
