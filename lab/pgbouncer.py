"""Debian 13's PgBouncer on this machine, set up by the program that sets it up on droplets.

The package is unpacked, not installed: a droplet's version (`SUITE`), and nothing starts by itself.
"""

import fcntl
import json
import os
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

from lab import programs
from lab.local_postgres import give_away, unprivileged
from model.pool import PORT

SUITE = "trixie"

_FETCH = '#!/bin/sh\n# Stands in for rclone: the bucket is a folder.\nset -eu\nfor to; do :; done\n' \
    'test -d "{bucket}"\nrm -f "$to"/*.json\ncp "{bucket}"/*.json "$to" 2>/dev/null || true\n'  # fmt: skip


class MissingError(Exception):
    """There is no PgBouncer here; the message says why."""


def unpacked() -> Path:
    """Return the folder of an unpacked PgBouncer; made in a few seconds where it is not there yet.

    Raises:
        MissingError: this machine cannot have one.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence360"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"pgbouncer-{SUITE}"
    with (cache / "pgbouncer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = cache / f"{folder.name}.new"
            shutil.rmtree(draft, ignore_errors=True)
            _unpack(draft)
            draft.replace(folder)
    return folder


def _unpack(folder: Path) -> None:
    if not shutil.which("mmdebstrap"):
        raise MissingError("no mmdebstrap to get Debian 13's PgBouncer with")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "debian"
        command = ["mmdebstrap", "--variant=extract", "--include=pgbouncer", SUITE, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MissingError(f"mmdebstrap: {done.stderr.strip().splitlines()[-1]}")
        # Of another Debian than the machine's: with the C library that it was built for.
        loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"))
        library = folder / "lib"
        library.mkdir(parents=True)
        shutil.copy(root / "usr/sbin/pgbouncer", folder / "pgbouncer.bin")
        shutil.copy(loader, library)
        shown = subprocess.run(
            [loader, "--library-path", loader.parent, "--list", folder / "pgbouncer.bin"],
            capture_output=True,
            text=True,
            check=True,
        )
        for word in shown.stdout.split():
            if word.startswith(str(root)) and not (library / Path(word).name).exists():
                shutil.copy(word, library)
    program = folder / "pgbouncer"
    program.write_text(
        "#!/bin/sh\n"
        'home=$(dirname "$0")\n'
        f'exec "$home/lib/{loader.name}" --library-path "$home/lib" "$home/pgbouncer.bin" "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)


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
        deadline = time.monotonic() + 20
        while not (self.sockets / f".s.PGSQL.{PORT}").exists():
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
