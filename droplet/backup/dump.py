"""The dump of one database: alone in it, of one snapshot, read back, encrypted, and only then stored."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from droplet import record
from droplet.backup import contents
from droplet.backup.archive import Archive, Encryption, Running, file_digest, make
from droplet.backup.databases import Database, Look, look
from droplet.backup.errors import BackupError, GaveWayError
from droplet.backup.history import History
from droplet.backup.readback import differences
from droplet.backup.store import CommandError, Store
from droplet.move_tenant.inventory import Line, inventory
from droplet.names import BACKUP_PART, DATABASE_LOCK
from droplet.postgres import Client
from droplet.session import Session, SessionError
from droplet.work_login import Rights, login_within

LONGEST_SECONDS = 3 * 3600
"""Of one dump. A transaction that long holds back VACUUM in its database, and a night has other churches."""

LOOK_SECONDS = 1.0
"""How often the program looks whether it has to give way; a migration waits longer (droplet/migrate/migration.py)."""

FREE_BYTES = 1 << 30
"""Of the disk, which stay free: the droplet's other programs need them."""

SHOWN = 3
"""Differences that a message names."""


@dataclass(frozen=True)
class Dumper:
    """Dumps databases, several at a time.

    Attributes:
        store: the bucket.
        encryption: for whom.
        rate_mib: how many MiB of a dump are taken each second.
        spool: a folder for encrypted files, until they are in the bucket.
        private: a folder that only this user can read, in memory.
        now: seconds since 1970.
        stopping: tells whether the run is to end.
    """

    store: Store
    encryption: Encryption
    rate_mib: int
    spool: Path
    private: Path
    now: Callable[[], float] = time.time
    stopping: Callable[[], bool] = lambda: False

    def dump(self, database: Database) -> History | None:
        """Dump a database and record it; None if another program is at work there.

        Raises:
            GaveWayError: another program wants the database, or the run is to end.
            BackupError: it failed; the record says so.
            SessionError: the cluster cannot be reached.
        """
        at = self.now()
        key = contents.folder(database, at)
        files = self.spool / f"{database.cluster.name}-{database.name}"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir(mode=0o700)
        try:
            made = self._make(database, at, files)
            if made is None:
                return None
            size, changes = made
            self._store(files, key)
            history = database.history.after_success(at, key, size, changes)
        except GaveWayError:
            raise
        except (BackupError, CommandError, OSError) as error:
            self._record(database, database.history.after_failure(_line(error), self.now()))
            raise BackupError(_line(error)) from None
        finally:
            shutil.rmtree(files, ignore_errors=True)
        self._record(database, history)
        return history

    def _make(self, database: Database, at: float, files: Path) -> tuple[int, int] | None:
        """Make the dump's files; return how many bytes they have, and the count of changes before their snapshot.

        None if another program is at work there.
        """
        client, name = database.client, database.name
        with Session(client, client.database, self.private) as guard:
            if not _alone(guard, database):
                return None
            seen = look(client, name, self.private)
            self._check_room(seen)
            running = Running()
            with (
                login_within(guard, Rights(name, bypass_rls=seen.bypass)) as login,
                client.as_user(login.name, login.password, self.private) as environment,
                self._watched(guard, database, running),
            ):
                archive, lines = self._read(replace(client, environment=environment), name, files, running)
        if wrong := differences(lines, archive.found):
            shown = "; ".join(wrong[:SHOWN])
            raise BackupError(f"{len(wrong)} differences between the dump and its database: {shown}")
        said = contents.contents(database, at, seen, archive, lines)
        self.encryption.encrypt(contents.as_text(said), files / contents.CONTENTS)
        objects = {one: file_digest(files / one) for one in (contents.DUMP, contents.CONTENTS)}
        index: dict[str, Any] = contents.index(said, seen, objects)
        (files / contents.INDEX).write_bytes(contents.as_text(index))
        return sum((files / one).stat().st_size for one in objects), seen.changes

    def _read(
        self, reader: Client, database: str, files: Path, running: Running
    ) -> tuple[Archive, list[Line]]:
        """Take inventory and archive of one snapshot."""
        try:
            with Session(reader, database, self.private) as reading:
                running.add(reading)
                reading.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
                (snapshot,) = reading.ask("SELECT pg_catalog.to_json(pg_catalog.pg_export_snapshot());")
                lines = inventory(reading)
                archive = make(
                    reader,
                    database,
                    snapshot,
                    files / contents.DUMP,
                    encryption=self.encryption,
                    rate_mib=self.rate_mib,
                    private=self.private,
                    running=running,
                )
        except (SessionError, BackupError) as error:
            running.check()
            raise BackupError(_line(error)) from None
        return archive, lines

    def _store(self, files: Path, key: str) -> None:
        """Bring the files to the bucket, the index last: a dump without one does not exist."""
        if self.stopping():
            raise GaveWayError("the run is to end")
        self.store.put_all(files, key, but=contents.INDEX)
        self.store.put(files / contents.INDEX, f"{key}/{contents.INDEX}")

    def _record(self, database: Database, history: History) -> None:
        client = database.client
        with Session(client, client.database, self.private) as session:
            record.write(session, database.name, BACKUP_PART, history.as_json())

    def _check_room(self, seen: Look) -> None:
        # An archive is compressed, and smaller than its database.
        free = shutil.disk_usage(self.spool).free
        if free < seen.bytes + FREE_BYTES:
            raise BackupError(
                f"the droplet's disk has {free >> 20} MiB left, and the database has {seen.bytes >> 20} MiB; "
                f"{FREE_BYTES >> 20} MiB stay free"
            )

    @contextmanager
    def _watched(self, guard: Session, database: Database, running: Running) -> Iterator[None]:
        """End what runs when somebody waits for the database's lock, when the run is to end, or after too long."""
        ended = threading.Event()
        until = time.monotonic() + LONGEST_SECONDS

        def watch() -> None:
            while not ended.wait(LOOK_SECONDS):
                try:
                    if reason := self._reason(guard, database, until):
                        running.end(reason)
                        return
                except SessionError as error:
                    # Without it, the lock is gone.
                    running.end(str(error))
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Before the login is dropped, in the same session.
            ended.set()
            thread.join()

    def _reason(self, guard: Session, database: Database, until: float) -> str | None:
        if self.stopping():
            return "the run is to end"
        if time.monotonic() > until:
            return f"it was not done after {LONGEST_SECONDS // 3600} hours"
        if shutil.disk_usage(self.spool).free < FREE_BYTES:
            return "the droplet's disk is nearly full"
        (waiting,) = guard.ask(
            "SELECT pg_catalog.to_json(pg_catalog.count(*)) FROM pg_catalog.pg_locks\n"
            "WHERE locktype = 'advisory' AND NOT granted AND classid = :'lock'::oid AND objid = :'oid'::oid;",
            lock=DATABASE_LOCK,
            oid=database.oid,
        )
        return "another program waits for the database" if waiting else None


def _alone(guard: Session, database: Database) -> bool:
    """Take the lock of whatever changes or copies a whole database; it goes with the session."""
    (alone,) = guard.lines(
        f"SELECT pg_catalog.pg_try_advisory_lock({DATABASE_LOCK}::bigint << 32 | {database.oid}::bigint);"
    )
    return alone == "t"


def _line(error: Exception) -> str:
    """Return a message as one line of a record."""
    return " ".join(str(error).split())[:400]
