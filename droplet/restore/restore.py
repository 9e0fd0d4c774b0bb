"""The steps of a restore: look, fill in one transaction, compare inside it, commit."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from droplet import database_lock, record
from droplet.feeding import Feeding
from droplet.killed import KilledError, is_killed, words
from droplet.move_tenant.inventory import differences, inventory, summary
from droplet.move_tenant.look import SHOWN, Side, look
from droplet.move_tenant.pipe import RESTORE, script
from droplet.names import BACKUP_PART, MIGRATION_PART, Place
from droplet.outcome import FailedError, RefusedError, UnknownError, say
from droplet.postgres import Client, quoted
from droplet.restore.stream import Contents, Source
from droplet.session import Session, SessionError, last_lines
from droplet.work_login import Rights, work_login


@dataclass
class Restore:
    """One run.

    Attributes:
        place: the database.
        target: the cluster.
        source: what is restored.
        private: a folder that only this user can read.
    """

    place: Place
    target: Client
    source: Source
    private: Path

    @property
    def contents(self) -> Contents:
        """What the dump says of itself."""
        return self.source.contents

    def run(self) -> None:
        """Fill the database.

        Raises:
            RefusedError: it may not be done.
            FailedError: it could not be done, or what was restored is not what was dumped.
            UnknownError: the connection was lost during COMMIT.
        """
        contents, place = self.contents, self.place
        with (
            Session(self.target, self.target.database, self.private) as guard,
            Session(self.target, place.database, self.private) as at_target,
        ):
            side = look(at_target, place)
            alone = database_lock.take(guard, place.database)
            if found := [*refusals(place, contents, side, alone=alone)]:
                raise RefusedError("\n".join(found))
            say(self.source.told)
            # What was true of the content before is not of this one: it is migrated, and dumped, anew.
            for part in (MIGRATION_PART, BACKUP_PART):
                record.forget(guard, place.database, part)
            with (
                work_login(
                    self.target, Rights(place.database, bypass_rls=contents.forced), self.private
                ) as writer,
                Session(writer, place.database, self.private) as writing,
                self._schemas(at_target),
            ):
                self._fill(writing, side)
                self._compare(writing)
                self._commit(writing)

    @contextmanager
    def _schemas(self, at_target: Session) -> Iterator[None]:
        """Let the owner role make schemas while they are restored, if the dump has some.

        The isolation job takes the right back from a run that was killed.
        """
        if not self.contents.schemas:
            yield
            return
        database, owner = quoted(self.place.database), quoted(self.place.owner)
        at_target.ask(f"GRANT CREATE ON DATABASE {database} TO {owner};")
        try:
            yield
        finally:
            at_target.ask(f"REVOKE CREATE ON DATABASE {database} FROM {owner};")

    def _fill(self, writing: Session, side: Side) -> None:
        begin = time.monotonic()
        writing.ask("BEGIN")
        # So that what is restored belongs to it.
        writing.ask(f"SET ROLE {quoted(self.place.owner)}")
        writing.ask("\\o /dev/null")
        errors = self.private / "pg_restore.err"
        with errors.open("wb") as stderr:
            reader = subprocess.Popen(
                [self.target.program("pg_restore"), *RESTORE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert reader.stdin  # noqa: S101  opened above
        assert reader.stdout  # noqa: S101  opened above
        feeding = Feeding(self.source.archive, reader.stdin)
        try:
            for part in script(reader.stdout, frozenset(side.settings)):
                writing.write(part)
            if reader.wait() != 0:
                raise FailedError(f"pg_restore failed with {reader.returncode}")
            writing.ask("\\o")
        except SessionError as error:
            if killed := self.source.killed() or (words("pg_restore") if is_killed(reader) else None):
                raise KilledError(killed) from None
            said = last_lines(errors)
            raise FailedError(f"{error}\npg_restore: {said}" if said else str(error)) from None
        finally:
            reader.kill()
            reader.wait()
            for pipe in (reader.stdin, reader.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()
        writing.ask("RESET ROLE")
        if wrong := self.source.wrong(*feeding.result()):
            raise FailedError(wrong)
        say(f"restored: {time.monotonic() - begin:.1f} s")

    def _compare(self, writing: Session) -> None:
        ours = inventory(writing)
        # Rights, and who made the schema of the extensions, are the isolation job's at each place.
        if found := differences(self.contents.lines_of(self.place), ours):
            for line in found[:SHOWN]:
                say(f"  {line}".replace("at the source", "in the dump").replace("at the target", "restored"))
            raise FailedError(f"{len(found)} differences between the dump and what was restored")
        for line in summary(ours):
            say(f"  same: {line}")

    def _commit(self, writing: Session) -> None:
        try:
            writing.ask("COMMIT")
        except SessionError as error:
            raise UnknownError(
                f"{error}\nThe COMMIT was not answered: if the database is empty, restore it again."
            ) from None
        say("committed")
        try:
            # A dump brings no statistics, and without them the first queries are slow.
            writing.ask("ANALYZE")
        except SessionError as error:
            say(f"note: ANALYZE failed; autovacuum will do it later: {error}")


def refusals(place: Place, contents: Contents, side: Side, *, alone: bool) -> Iterator[str]:
    """Yield every reason against it."""
    if not contents.fits(place):
        yield f"this is the dump of {contents.database}, and not of {place.database}"
    if not side.isolated:
        yield "the isolation job has not visited the database: wait a minute, then read its journal"
    if side.logins:
        yield f"the church is not suspended: {', '.join(side.logins)} can log in (status: suspended, deploy)"
    if side.sessions:
        yield f"{side.sessions} sessions use the database; wait until they end"
    if side.belongings:
        yield (
            f"the database is not empty: {side.belongings} tables, functions and so on are in it, and nothing is "
            "written over"
        )
    if missing := sorted(set(contents.extensions) - side.extensions.keys()):
        yield f"extensions are missing: {', '.join(missing)} (postgres.extensions of environment.yaml)"
    if side.encoding != contents.encoding:
        yield f"encodings differ: {contents.encoding} in the dump, {side.encoding} here"
    if side.version // 10000 < contents.server // 10000:
        yield f"Postgres {side.version // 10000} is older than the dump's {contents.server // 10000}"
    if contents.forced and not side.may_bypass:
        yield "row level security is forced on owners, and no login can be made here that reads all rows"
    if not alone or not side.alone:
        yield "another program is at work in the database: a migration, a dump, a move or a restore"
