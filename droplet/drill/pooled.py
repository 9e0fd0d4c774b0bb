"""A church's connection as its services make it: through a PgBouncer, set up as the droplets' own is (droplet/pool).

It runs for one record, beside the droplet's own, which knows nothing of it: its files and its socket are in memory.
"""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from droplet.drill.connect import Record
from droplet.drill.errors import DrillError
from droplet.drill.fork import Fork
from droplet.pool.credentials import Login, Place
from droplet.pool.files import PORT, Sizes, render
from droplet.postgres import write_private

START_SECONDS = 30.0
"""Until it listens. It takes a tenth of one, on a machine that has nothing else to do."""

_HERE = Path()
"""Its folder is its current one, so that the paths in its files are short."""


@contextmanager
def through_pool(fork: Fork, record: Record) -> Iterator[Record]:
    """Yield a record that leads through a PgBouncer to where the given one leads; the PgBouncer ends afterwards.

    Raises:
        DrillError: it did not start.
    """
    if fork.pooler is None:
        raise DrillError("there is no PgBouncer")
    with tempfile.TemporaryDirectory(prefix="pool-", dir=fork.private) as name:
        folder = Path(name)
        place = Place(
            database=record.database, host=record.host, port=record.port, ca=record.ca,
            logins=(Login(record.user, record.password),), connections=None,
        )  # fmt: skip
        for file, text in render([place], Sizes(droplets=1, connections=1), _HERE, _HERE).items():
            write_private(folder / file, text)
        process = subprocess.Popen(
            [str(fork.pooler), "--quiet", "pgbouncer.ini"],
            cwd=folder,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(process, folder / f".s.PGSQL.{PORT}")
            # A Unix socket has no TLS; PgBouncer's own connection has it, and checks the certificate.
            yield replace(record, host=str(folder), port=PORT, sslmode="disable", pooled=True)
        finally:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", path: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not listens(path):
        if process.poll() is not None:
            raise DrillError(f"PgBouncer ended with exit status {process.returncode}")
        if time.monotonic() > until:
            raise DrillError(f"PgBouncer did not begin within {START_SECONDS:.0f} seconds")
        time.sleep(0.02)


def listens(path: Path) -> bool:
    """Tell whether somebody listens there: on a busy machine the file exists before that."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
