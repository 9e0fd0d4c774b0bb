"""Serve a local DigitalOcean, and print the variables to export.

    python -m lab.local_digitalocean --folder /tmp/digitalocean

Everything that is made is kept in the folder, and loaded at the next start.
"""

import argparse
import fcntl
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lab.local_digitalocean.clock import Durations
from lab.local_digitalocean.faults import Fault
from lab.local_digitalocean.server import Server
from lab.local_digitalocean.store import Quotas

EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        durations = Durations.read(options.seconds)
        faults = [Fault.read(one) for one in options.fault]
        quotas = Quotas.read(options.limits)
    except ValueError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    try:
        with _alone_in(options.folder):
            return _serve(options, durations, quotas, faults)
    except BlockingIOError:
        print(
            f"another local DigitalOcean uses {options.folder}: end it first, or name another --folder",
            file=sys.stderr,
        )
        return EXIT_USAGE


def _serve(options: argparse.Namespace, durations: Durations, quotas: Quotas, faults: list[Fault]) -> int:
    try:
        server = Server(
            options.folder,
            options.port,
            options.token,
            durations=durations,
            quotas=quotas,
            postgres=options.postgres,
        )
    except OSError as error:
        print(f"cannot serve on port {options.port}: {error}", file=sys.stderr)
        return EXIT_USAGE
    server.faults.latency, server.faults.faults = options.latency, faults
    server.faults.per_minute, server.faults.per_hour = options.per_minute, options.per_hour
    for name, value in server.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"# a local DigitalOcean on {server.url}; Ctrl-C ends it", flush=True)
    signal.signal(signal.SIGTERM, _end)
    try:
        server.serve()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
    return 0


@contextmanager
def _alone_in(folder: Path | None) -> Iterator[None]:
    """Hold the lock of a folder: two servers would overwrite each other's account.

    Raises:
        BlockingIOError: another server holds it.
    """
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.local_digitalocean",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, help="keep state and call log there; without one, in memory")
    parser.add_argument(
        "--postgres",
        type=Path,
        metavar="FOLDER",
        help="real Postgres servers behind the clusters, with their data there",
    )
    parser.add_argument("--port", type=int, default=0, help="of loopback; without one, any that is free")
    parser.add_argument("--token", help="the only token that is let in; without one, any is")
    parser.add_argument(
        "--seconds", default="", metavar="droplet=60,cluster=300", help="how long things take"
    )
    parser.add_argument(
        "--limits", default="", metavar="droplets=10,load_balancers=3", help="what the account allows"
    )
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="before each answer")
    parser.add_argument("--per-minute", type=int, metavar="CALLS", help="rate limit (DigitalOcean's: 250)")
    parser.add_argument("--per-hour", type=int, metavar="CALLS", help="rate limit (DigitalOcean's: 5000)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="'METHOD PATH WHAT [NTH [TIMES]]'",
        help="WHAT is a status, drop or drop-answer; PATH a pattern",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
