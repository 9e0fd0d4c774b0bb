"""The steps of a move: look at both sides, copy in one transaction, compare inside it, commit."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from droplet import database_lock, record
from droplet.move_tenant.inventory import Line, differences, inventory, summary
from droplet.move_tenant.look import SHOWN, Side, look, refusals
from droplet.move_tenant.pipe import pipe
from droplet.names import MIGRATION_PART, Place
from droplet.outcome import FailedError, RefusedError, UnknownError, say
from droplet.postgres import Client, quoted
from droplet.session import Session, SessionError
from droplet.work_login import Rights, work_login


@dataclass
class Move:
    """One run.

    Attributes:
        place: the database, in both clusters.
        source: the cluster that has it.
        target: the cluster that is to have it.
        client_major: the version of pg_dump.
        private: a folder that only this user can read.
        over: whether the source is a fork of the target's cluster, whose users are there and used by nobody, and takes
            the place of what the target holds.
    """

    place: Place
    source: Client
    target: Client
    client_major: int
    private: Path
    over: bool = False

    def run(self, *, check: bool) -> None:
        """Copy and compare, or only compare.

        Raises:
            RefusedError: it may not be done.
            FailedError: it could not be done, or the two differ.
            UnknownError: the connection was lost during COMMIT.
        """
        with (
            self._alone(self.source, "source"),
            self._alone(self.target, "target") as above_target,
            self._session(self.source) as at_source,
            self._session(self.target) as at_target,
        ):
            source, target = look(at_source, self.place), look(at_target, self.place)
            if found := refusals(self.place, source, target, self.client_major, check=check, over=self.over):
                raise RefusedError("\n".join(found))
            say(f"source: {self.source.cluster}, Postgres {source.major}, {source.bytes} bytes")
            say(f"target: {self.target.cluster}, Postgres {target.major}, {target.bytes} bytes")
            if source.collation != target.collation:
                say(f"note: collations differ, so sort orders may: {source.collation}, {target.collation}")
            with (
                self._work_login(self.source, source, source) as reader,
                self._work_login(self.target, source, target) as writer,
                self._session(reader) as reading,
                self._session(writer) as writing,
            ):
                if check:
                    self._compare(reading, lambda: _inventory(writing))
                    return
                # A target that was emptied, to be filled again, may have been migrated further than the source.
                record.forget(above_target, self.place.database, MIGRATION_PART)
                with self._schemas(at_target, source):
                    transaction = self._copy(reader, writing, target)
                    self._compare(reading, lambda: inventory(writing))
                    self._commit(at_source, writing, transaction)

    @contextmanager
    def _alone(self, client: Client, side: str) -> Iterator[Session]:
        """Keep migrations and dumps out of the database at one side; yield a session in the administrator's own."""
        with Session(client, client.database, self.private) as session:
            try:
                alone = database_lock.take(session, self.place.database)
            except SessionError as error:
                raise RefusedError(str(error)) from None
            if not alone:
                raise RefusedError(
                    f"a migration, a dump or another move is at work in the database at the {side}: wait for its end"
                )
            yield session

    def _session(self, client: Client) -> Session:
        return Session(client, self.place.database, self.private)

    def _work_login(self, client: Client, source: Side, side: Side) -> AbstractContextManager[Client]:
        """Make a login that reads and writes in the tenant's name, in one of the clusters."""
        bypass = bool(source.forced) and side.may_bypass
        return work_login(client, Rights(self.place.database, bypass_rls=bypass), self.private)

    @contextmanager
    def _schemas(self, at_target: Session, source: Side) -> Iterator[None]:
        """Let the owner role make schemas at the target while they are restored, if the source has some.

        The isolation job takes the right back from a run that was killed.
        """
        database, owner = quoted(self.place.database), quoted(self.place.owner)
        if not source.schemas:
            yield
            return
        at_target.ask(f"GRANT CREATE ON DATABASE {database} TO {owner};")
        try:
            yield
        finally:
            at_target.ask(f"REVOKE CREATE ON DATABASE {database} FROM {owner};")

    def _compare(self, reading: Session, theirs: Callable[[], list[Line]]) -> None:
        begin = time.monotonic()
        pool = ThreadPoolExecutor()
        try:
            other = pool.submit(theirs)
            ours = _inventory(reading)
            found = differences(ours, other.result())
        finally:
            # Not waited for: where this side failed, the other ends with its session.
            pool.shutdown(wait=False)
        if found:
            for line in found[:SHOWN]:
                say(f"  {line}")
            raise FailedError(f"{len(found)} differences between source and target")
        for line in summary(ours):
            say(f"  same: {line}")
        say(f"compared: {time.monotonic() - begin:.1f} s")

    def _copy(self, reader: Client, writing: Session, target: Side) -> str:
        """Fill the target in a transaction that stays open, and return its number."""
        begin = time.monotonic()
        database, owner = self.place.database, self.place.owner
        writing.ask("BEGIN")
        (transaction,) = writing.ask("SELECT pg_catalog.to_json(pg_catalog.pg_current_xact_id()::text)")
        if self.over:
            # All that is the tenant's there, in this transaction: undone with it. What the administrator granted to the
            # owner role stays, because only the administrator may take it back.
            writing.ask(f"DROP OWNED BY {quoted(owner)} CASCADE")
        # So that what is restored belongs to it. Code of the tenant's that runs meanwhile may leave this role; all that
        # it comes back to is the work login, which has the same rights.
        writing.ask(f"SET ROLE {quoted(owner)}")
        # What the restored statements return is not for this program.
        writing.ask("\\o /dev/null")
        size = pipe(reader, database, writing, frozenset(target.settings), self.private)
        writing.ask("\\o")
        writing.ask("RESET ROLE")
        say(f"copied: {size} bytes in {time.monotonic() - begin:.1f} s")
        return str(transaction)

    def _commit(self, at_source: Session, writing: Session, transaction: str) -> None:
        """Commit the copy if it is all in one transaction and nobody has returned to the source meanwhile."""
        source = look(at_source, self.place)
        if source.sessions or (source.logins and not self.over):
            raise FailedError("the source is in use again: the copy may be out of date, and is undone")
        (now,) = writing.ask("SELECT pg_catalog.to_json(pg_catalog.pg_current_xact_id()::text)")
        if now != transaction:
            raise FailedError("the copy was not made in one transaction")
        try:
            writing.ask("COMMIT")
        except SessionError as error:
            raise UnknownError(
                f"{error}\nThe COMMIT was not answered: run with --check to see whether it was done."
            ) from None
        say("committed")
        begin = time.monotonic()
        # pg_dump brings no statistics, and without them the first queries are slow.
        try:
            writing.ask("ANALYZE")
            say(f"analyzed: {time.monotonic() - begin:.1f} s")
        except SessionError as error:
            say(f"note: ANALYZE failed; autovacuum will do it later: {error}")


def _inventory(session: Session) -> list[Line]:
    """Return what a database holds, in a transaction that writes nothing."""
    session.ask("BEGIN READ ONLY")
    lines = inventory(session)
    session.ask("ROLLBACK")
    return lines
