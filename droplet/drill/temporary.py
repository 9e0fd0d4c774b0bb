"""A new database on the fork, filled from the fork or from a dump, compared with where it came from, and dropped."""

import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from droplet.drill.dumps import Contents, Dump, Dumps
from droplet.drill.errors import DrillError
from droplet.drill.fork import TEMPORARY, Database, Fork, Inside, Reader
from droplet.feeding import Feeding
from droplet.killed import KilledError, is_killed, words
from droplet.move_tenant.inventory import Line, differences, inventory
from droplet.move_tenant.pipe import RESTORE, pipe, script
from droplet.names import EXTENSIONS_SCHEMA
from droplet.outcome import FailedError
from droplet.postgres import quoted
from droplet.session import Session, SessionError

_OTHER = """
SELECT pg_catalog.to_json(datname) FROM pg_catalog.pg_database WHERE datname ~ :'pattern' ORDER BY datname;
"""


@contextmanager
def database(fork: Fork, like: Database, inside: Inside) -> Iterator[str]:
    """Make an empty database that a church's own roles alone reach, as the isolation job leaves one; drop it."""
    name = f"{TEMPORARY}{secrets.token_hex(6)}"
    owner, access, own = quoted(like.owner), quoted(like.access), quoted(name)
    with fork.administration() as session:
        session.lines(
            f"CREATE DATABASE {own} TEMPLATE template0 ENCODING '{like.encoding}' "
            f"LC_COLLATE '{like.collate}' LC_CTYPE '{like.ctype}';"
        )
    try:
        with fork.administration() as session:
            session.lines(
                f"REVOKE ALL ON DATABASE {own} FROM PUBLIC; GRANT CONNECT ON DATABASE {own} TO {access};\n"
                # CREATE for the church's own schemas; on a database that stays, the isolation job takes it back.
                f"GRANT TEMPORARY, CREATE ON DATABASE {own} TO {owner};\n"
                f'ALTER DATABASE {own} SET search_path TO "$user", public, {EXTENSIONS_SCHEMA};'
            )
        with Session(fork.client, name, fork.private) as session:
            session.lines(
                f"CREATE SCHEMA {EXTENSIONS_SCHEMA}; GRANT USAGE ON SCHEMA {EXTENSIONS_SCHEMA} TO {owner};\n"
                f"REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO {owner};"
            )
            for extension, schema in inside.extensions.items():
                session.lines(f"CREATE EXTENSION {quoted(extension)} WITH SCHEMA {quoted(schema)};")
        yield name
    finally:
        drop(fork, name)


def drop(fork: Fork, name: str) -> None:
    """Drop a database of a drill; one that cannot be dropped goes with the fork.

    Without FORCE first: Postgres waits five seconds then until the last session has left, and ends autovacuum's. With
    FORCE it refuses at once where a session is not the administrator's to end (PostgreSQL documentation, "DROP
    DATABASE"), as one that is leaving anyway.
    """
    for force in ("", " WITH (FORCE)", "", " WITH (FORCE)"):
        with suppress(SessionError), fork.administration() as session:
            session.lines(f"DROP DATABASE IF EXISTS {quoted(name)}{force};")
            return


def sweep(fork: Fork) -> int:
    """Drop what a run that was killed left on the fork; return how many databases."""
    with fork.administration() as session:
        found = session.ask(_OTHER, pattern=f"^{TEMPORARY}[0-9a-f]+$")
    for name in found:
        drop(fork, str(name))
    return len(found)


def from_fork(reader: Reader, like: Database, into: str, expected: Sequence[Line]) -> list[str]:
    """Copy a database of the fork into another one; return what differs.

    Raises:
        SessionError: it could not be copied.
    """
    fork = reader.fork
    with reader.session(into) as writing:
        _begin(writing, like)
        pipe(reader.client, like.name, writing, fork.settings, fork.private)
        return _committed(writing, expected, "the fork")


def from_dump(
    reader: Reader, like: Database, into: str, dumps: Dumps, dump: Dump, contents: Contents
) -> list[str]:
    """Restore a dump into a database; return what differs from what the dump says of itself.

    Raises:
        DrillError: the dump cannot be read.
        SessionError: it could not be restored.
    """
    with reader.session(into) as writing:
        _begin(writing, like)
        with dumps.archive(dump) as archive:
            restorer = subprocess.Popen(
                [reader.client.program("pg_restore"), *RESTORE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # It quotes the archive's own texts.
                stderr=subprocess.DEVNULL,
            )
            assert restorer.stdin  # noqa: S101  opened above
            assert restorer.stdout  # noqa: S101  opened above
            # Drained: age waits until somebody has read all that it decrypts.
            feeding = Feeding(archive, restorer.stdin, drains=True)
            failed: Exception | None = None
            try:
                for part in script(restorer.stdout, reader.fork.settings):
                    writing.write(part)
                if restorer.wait() != 0:
                    failed = DrillError("pg_restore cannot read the dump")
            except FailedError as error:
                # pg_restore's: of a damaged dump, what age says of it explains it.
                failed = error
            finally:
                if is_killed(restorer):
                    failed = KilledError(words("pg_restore"))
                restorer.kill()
                restorer.wait()
                restorer.stdout.close()
            # The end of what age says of the archive comes when the block is left: a damaged one is said to be so.
            size, digest = feeding.result()
        if failed:
            raise failed
        if (size, digest) != (contents.bytes, contents.sha256):
            raise DrillError("the dump is damaged: it is not the one that its contents describe")
        return _committed(writing, contents.lines, "the dump")


def _begin(writing: Session, like: Database) -> None:
    writing.ask("BEGIN")
    # So that what is restored belongs to it.
    writing.ask(f"SET ROLE {quoted(like.owner)}")
    writing.ask("\\o /dev/null")


def _committed(writing: Session, expected: Sequence[Line], source: str) -> list[str]:
    writing.ask("\\o")
    writing.ask("RESET ROLE")
    found = differences(expected, inventory(writing))
    writing.ask("COMMIT")
    return [
        line.replace("at the source", f"in {source}").replace("at the target", "restored") for line in found
    ]
