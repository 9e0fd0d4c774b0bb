"""One archive: from pg_dump to age, and on the same way through pg_restore. No row reaches a disk in clear text."""

import hashlib
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from droplet.backup.errors import BackupError, GaveWayError
from droplet.backup.readback import Found, read
from droplet.killed import is_killed, words
from droplet.move_tenant.pipe import DUMP
from droplet.postgres import Client
from droplet.session import last_lines

AGE = "/usr/bin/age"

_CHUNK_BYTES = 256 * 1024
_MIB = 1 << 20

Process = subprocess.Popen[bytes]


class Ended(Protocol):
    """A process, or a session."""

    def kill(self) -> None:
        """End it."""


@dataclass
class Running:
    """What works on a dump, so that another thread can end it.

    Attributes:
        reason: why it was ended; None while it was not.
    """

    reason: str | None = None
    _ends: list[Ended] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *processes: Ended) -> None:
        """Note what has a `kill`; it is ended at once if the dump was ended before."""
        with self._lock:
            self._ends += processes
            if self.reason is not None:
                self._kill()

    def end(self, reason: str) -> None:
        """End all of it."""
        with self._lock:
            if self.reason is None:
                self.reason = reason
            self._kill()

    def check(self) -> None:
        """Raise `GaveWayError` if it was ended."""
        if self.reason is not None:
            raise GaveWayError(self.reason)

    def _kill(self) -> None:
        for one in self._ends:
            one.kill()


@dataclass(frozen=True)
class Archive:
    """An archive that was read back.

    Attributes:
        bytes: its length before encryption.
        sha256: its digest before encryption.
        found: what pg_restore read out of it.
    """

    bytes: int
    sha256: str
    found: Found


@dataclass(frozen=True)
class Encryption:
    """How a dump is encrypted.

    Attributes:
        recipients: age's public keys.
        age: the program.
    """

    recipients: Sequence[str]
    age: str = AGE

    def command(self, into: Path) -> list[str]:
        """Return a command that encrypts what it reads."""
        chosen = [part for one in self.recipients for part in ("--recipient", one)]
        return [self.age, "--encrypt", *chosen, "--output", str(into)]

    def encrypt(self, content: bytes, into: Path) -> None:
        """Encrypt what is small.

        Raises:
            BackupError: it failed.
        """
        done = subprocess.run(self.command(into), input=content, capture_output=True, check=False)
        if done.returncode != 0:
            raise BackupError(f"age: {done.stderr.decode(errors='replace').strip()[-300:]}")


def make(
    client: Client,
    database: str,
    snapshot: str,
    into: Path,
    *,
    encryption: Encryption,
    rate_mib: int,
    private: Path,
    running: Running,
) -> Archive:
    """Dump a database of one snapshot, encrypt it, and read it back.

    Args:
        client: reads the database.
        database: its name.
        snapshot: as `pg_export_snapshot()` named it.
        into: the encrypted file.
        encryption: for whom.
        rate_mib: how many MiB of the archive are taken each second, at most.
        private: a folder for the programs' messages.
        running: is told of the programs.

    Raises:
        BackupError: a program failed.
    """
    # Level 1: a third of the time of the default for a tenth more bytes on text, and droplets are small.
    dump = client.pg_dump(database, *DUMP, "--compress=1", f"--snapshot={snapshot}")
    # Only the data: what the schema's text holds is the church's own, and could look like data.
    restore = [client.program("pg_restore"), "--section=data", "--file=-"]
    # In the words of the inventory, whatever the server's own time zone is.
    environment = {**client.environment, "PGTZ": "UTC"}
    without_rights = {key: value for key, value in client.environment.items() if not key.startswith("PG")}
    programs: list[tuple[str, Process, Path]] = []

    def start(name: str, command: Sequence[str], source: int, into: int) -> Process:
        errors = private / f"{database}-{name}.err"
        variables = environment if name == "pg_dump" else without_rights
        with errors.open("wb") as stderr:
            process = subprocess.Popen(command, env=variables, stdin=source, stdout=into, stderr=stderr)
        programs.append((name, process, errors))
        running.add(process)
        return process

    try:
        reader = start("pg_dump", dump, subprocess.DEVNULL, subprocess.PIPE)
        age = start("age", encryption.command(into), subprocess.PIPE, subprocess.DEVNULL)
        restorer = start("pg_restore", restore, subprocess.PIPE, subprocess.PIPE)
        reading = _Reading(restorer)
        size, digest = _copy(reader, (age, restorer), rate_mib)
        failed = [name for name, process, _ in programs if process.wait() != 0]
        killed = [name for name, process, _ in programs if is_killed(process)]
        found = reading.result()
        running.check()
        if reading.error:
            # It has killed pg_restore.
            raise reading.error
        if killed:
            raise BackupError(words(killed[0]))
        if failed or found is None:
            raise BackupError(_said(programs, failed))
        return Archive(size, digest, found)
    finally:
        for _, process, errors in programs:
            process.kill()
            process.wait()
            errors.unlink(missing_ok=True)


def _copy(reader: Process, writers: Sequence[Process], rate_mib: int) -> tuple[int, str]:
    """Pass on what one process writes to others, no faster than the rate; return how much it was, and its digest."""
    digest, size, began = hashlib.sha256(), 0, time.monotonic()
    assert reader.stdout  # noqa: S101  opened above
    with reader.stdout as source, suppress(BrokenPipeError):
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            for writer in writers:
                assert writer.stdin  # noqa: S101  opened above
                writer.stdin.write(chunk)
            ahead = size / (rate_mib * _MIB) - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
    for writer in writers:
        with suppress(BrokenPipeError):
            if writer.stdin:
                writer.stdin.close()
    return size, digest.hexdigest()


class _Reading:
    """Reads what pg_restore writes, beside what feeds it."""

    def __init__(self, process: Process) -> None:
        self._process, self._found = process, Found()
        self.error: BackupError | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout  # noqa: S101  opened above
        with self._process.stdout as output:
            try:
                self._found = read(output)
            except BackupError as error:
                self.error = error
                self._process.kill()

    def result(self) -> Found | None:
        self._thread.join()
        return None if self.error else self._found


def _said(programs: Sequence[tuple[str, Process, Path]], failed: Sequence[str]) -> str:
    """Return what failed first, with what it said: the others only lost their input or output."""
    said = [(name, last_lines(errors)) for name, _, errors in programs if name in failed]
    said.sort(key=lambda one: not one[1])
    return "; ".join(f"{name}: {words or 'failed'}" for name, words in said[:1])


def file_digest(path: Path) -> dict[str, object]:
    """Return a file's length and digest, as an index has them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
