"""Debian 13's PgBouncer on this machine, set up by the program that sets it up on droplets.

The package is unpacked, not installed: a droplet's version (lab/debian.py), and nothing starts by itself.
"""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.drill.pooled import listens
from lab import debian, programs
from lab.local_postgres import give_away, unprivileged
from model.pool import PORT

_FETCH = '#!/bin/sh\n# Stands in for rclone: the bucket is a folder.\nset -eu\nfor to; do :; done\n' \
    'test -d "{bucket}"\nrm -f "$to"/*.json\ncp "{bucket}"/*.json "$to" 2>/dev/null || true\n'  # fmt: skip


def unpacked() -> Path:
    """Return the folder of an unpacked PgBouncer; made in a few seconds where it is not there yet.

    Raises:
        MissingError: this machine cannot have one.
    """
    return debian.unpacked("pgbouncer", {"pgbouncer": "usr/sbin/pgbouncer"})


@dataclass
class Pooler:
    """One droplet's PgBouncer, and the folders of the program that sets it up.

    Attributes:
        home: where all its files are.
        program: PgBouncer.
        process: PgBouncer, while it runs.
    """

    home: Path
    program: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def sockets(self) -> Path:
        """What libpq takes for a host."""
        return self.home / "sockets"

    @property
    def log(self) -> str:
        """What PgBouncer wrote."""
        return (self.home / "log").read_text(encoding="utf-8", errors="replace")

    def publish(self, objects: Mapping[str, Mapping[str, Any]]) -> None:
        """Make the bucket hold these credentials objects, by tenant id."""
        bucket = self.home / "bucket"
        for path in bucket.iterdir():
            if path.stem not in objects:
                path.unlink()
        for tenant, value in objects.items():
            (bucket / f"{tenant}.json").write_text(json.dumps(value), encoding="utf-8")

    def configure(self, *, droplets: int = 1) -> "subprocess.CompletedProcess[str]":
        """Run the program once, as its unit does, on one of so many droplets."""
        given = self.home / "given"
        pool = {"credentials": "bucket/tenants", "droplets": droplets, "connections": 1}
        (given / "pool.json").write_text(json.dumps(pool), encoding="utf-8")
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [
                # Not the one that runs this, which another user may not reach; a droplet has the system's, too.
                *("/usr/bin/python3", "-I", "-B", str(self.home / "programs"), "pool"),
                *("--sockets", str(self.sockets), "--rclone", str(self.home / "rclone")),
            ],
            env={
                "PATH": "/usr/bin:/bin",
                "CREDENTIALS_DIRECTORY": str(given),
                "STATE_DIRECTORY": str(self.home / "state"),
                "RUNTIME_DIRECTORY": str(self.home / "scratch"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **unprivileged(),
        )

    @property
    def metrics(self) -> dict[str, float]:
        """What the last run of the program wrote."""
        text = (self.home / "scratch/pool.prom").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {
            name.removeprefix("presence360_pool_"): float(value)
            for name, value in (line.rsplit(" ", 1) for line in lines)
        }

    def start(self) -> None:
        """Start PgBouncer on the files that the program wrote, and wait until it listens.

        Raises:
            RuntimeError: it did not start; its log says why.
        """
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                [str(self.program), str(self.home / "state/pgbouncer.ini")],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.home,
                **unprivileged(),
            )
        deadline = time.monotonic() + 120
        while not listens(self.sockets / f".s.PGSQL.{PORT}"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as systemd does (SIGINT: transactions in progress end first)."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


@contextmanager
def poolers(number: int) -> Iterator[Sequence[Pooler]]:
    """Set up the folders of some droplets; what runs in them ends with this.

    Raises:
        MissingError: this machine cannot have a PgBouncer.
    """
    source = unpacked()
    # Not below anybody's own folder: PgBouncer refuses to run as root, and runs as another user.
    with tempfile.TemporaryDirectory(prefix="pool-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        shutil.copytree(source, folder / "pgbouncer")
        made = []
        for one in range(number):
            home = folder / str(one)
            for name in ("bucket", "given", "scratch", "sockets", "state"):
                (home / name).mkdir(parents=True)
            programs.lay_out(home / "programs")
            (home / "rclone").write_text(_FETCH.format(bucket=home / "bucket"), encoding="utf-8")
            (home / "rclone").chmod(0o755)
            give_away(home)
            made.append(Pooler(home, folder / "pgbouncer/pgbouncer"))
        try:
            yield made
        finally:
            for pooler in made:
                pooler.stop()
