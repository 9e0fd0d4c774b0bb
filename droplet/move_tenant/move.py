"""The steps of a move: look at both sides, copy in one transaction, compare inside it, commit."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from droplet.move_tenant.inventory import Line, differences, inventory, summary
from droplet.move_tenant.look import SHOWN, Side, look, refusals
from droplet.move_tenant.outcome import FailedError, RefusedError, UnknownError, say
from droplet.move_tenant.pipe import pipe
from droplet.move_tenant.session import Session
from droplet.names import Tenant
from droplet.postgres import Client, quoted


@dataclass
class Move:
    """One run.

    Attributes:
        tenant: whose database.
        source: the cluster that has it.
        target: the cluster that is to have it.
        client_major: the version of pg_dump.
        private: a folder that only this user can read.
    """

    tenant: Tenant
    source: Client
    target: Client
    client_major: int
    private: Path

    def run(self, *, check: bool) -> None:
        """Copy and compare, or only compare.

        Raises:
            RefusedError: it may not be done.
            FailedError: it could not be done, or the two differ.
            UnknownError: the connection was lost during COMMIT.
        """
        with self._session(self.source) as at_source, self._session(self.target) as at_target:
            source, target = look(at_source, self.tenant), look(at_target, self.tenant)
            if found := refusals(self.tenant, source, target, self.client_major, check=check):
                raise RefusedError("\n".join(found))
            say(f"source: {self.source.cluster}, Postgres {source.major}, {source.bytes} bytes")
            say(f"target: {self.target.cluster}, Postgres {target.major}, {target.bytes} bytes")
            if source.collation != target.collation:
                say(f"note: collations differ, so sort orders may: {source.collation}, {target.collation}")
            if check:
                self._compare(at_source, source, lambda: self._inventory(at_target, target))
                return
            with self._lent(at_source, source):
                transaction = self._copy(at_target, source, target)
            self._compare(at_source, source, lambda: inventory(at_target))
            self._commit(at_source, at_target, target, transaction)

    def _session(self, client: Client) -> Session:
        return Session(client, self.tenant.database, self.private)

    def _grant(self, side: Side, rights: str) -> str:
        """Return a statement that gives the administrator the owner role's rights, unless it always has them."""
        return f'GRANT "{self.tenant.owner}" TO CURRENT_USER WITH {rights}' if side.by_membership else ""

    def _revoke(self, side: Side) -> str:
        """Return the statement that takes them back."""
        owner = self.tenant.owner
        return f'REVOKE "{owner}" FROM CURRENT_USER GRANTED BY CURRENT_USER' if side.by_membership else ""

    def _inventory(self, session: Session, side: Side) -> list[Line]:
        """Return what a database holds, in a transaction that is undone."""
        session.ask("BEGIN")
        session.ask(self._grant(side, "INHERIT TRUE"))
        lines = inventory(session)
        session.ask("ROLLBACK")
        return lines

    def _compare(self, at_source: Session, source: Side, theirs: Callable[[], list[Line]]) -> None:
        begin = time.monotonic()
        pool = ThreadPoolExecutor()
        try:
            other = pool.submit(theirs)
            ours = self._inventory(at_source, source)
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

    @contextmanager
    def _lent(self, at_source: Session, source: Side) -> Iterator[None]:
        """Have the owner role's rights at the source while pg_dump reads; also removes what a killed run left."""
        at_source.ask(self._grant(source, "INHERIT TRUE"))
        try:
            yield
        finally:
            at_source.ask(self._revoke(source))

    def _copy(self, at_target: Session, source: Side, target: Side) -> str:
        """Fill the target in a transaction that stays open, and return its number."""
        begin = time.monotonic()
        database, owner = self.tenant.database, self.tenant.owner
        at_target.ask("BEGIN")
        at_target.ask(self._grant(target, "INHERIT TRUE, SET TRUE"))
        (transaction,) = at_target.ask("SELECT to_json(pg_current_xact_id()::text)")
        for name, schema in source.extensions.items():
            if name in target.extensions:
                continue
            # By the administrator, as at the source; the owner role may make none.
            at_target.ask(f"CREATE EXTENSION {quoted(name)} WITH SCHEMA {quoted(schema)}")
        if source.schemas:
            at_target.ask(f'GRANT CREATE ON DATABASE "{database}" TO "{owner}"')
        at_target.ask(f'SET ROLE "{owner}"')
        # What the restored statements return is not for this program.
        at_target.ask("\\o /dev/null")
        size = pipe(self.source, database, at_target, frozenset(target.settings), self.private)
        at_target.ask("\\o")
        at_target.ask("RESET ROLE")
        if source.schemas:
            at_target.ask(f'REVOKE CREATE ON DATABASE "{database}" FROM "{owner}"')
        say(f"copied: {size} bytes in {time.monotonic() - begin:.1f} s")
        return str(transaction)

    def _commit(self, at_source: Session, at_target: Session, target: Side, transaction: str) -> None:
        """Commit the copy if it is all in one transaction and nobody has returned to the source meanwhile."""
        source = look(at_source, self.tenant)
        if source.logins or source.sessions:
            raise FailedError("the source is in use again: the copy may be out of date, and is undone")
        (now,) = at_target.ask("SELECT to_json(pg_current_xact_id()::text)")
        if now != transaction:
            raise FailedError("the copy was not made in one transaction")
        at_target.ask(self._revoke(target))
        try:
            at_target.ask("COMMIT")
        except FailedError as error:
            raise UnknownError(
                f"{error}\nThe COMMIT was not answered: run with --check to see whether it was done."
            ) from None
        say("committed")
        begin = time.monotonic()
        # pg_dump brings no statistics, and without them the first queries are slow.
        try:
            at_target.ask("ANALYZE")
            say(f"analyzed: {time.monotonic() - begin:.1f} s")
        except FailedError as error:
            say(f"note: ANALYZE failed; autovacuum will do it later: {error}")
