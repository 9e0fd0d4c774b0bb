"""From pg_dump through pg_restore into a session: rows go through pipes and never to a disk."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from droplet.by_hand import LOCK_TIMEOUT_MS
from droplet.killed import KilledError, is_killed, words
from droplet.names import EXTENSIONS_SCHEMA
from droplet.outcome import FailedError
from droplet.postgres import Client
from droplet.session import Session, SessionError, last_lines

_CHUNK_BYTES = 1024 * 1024
_EDGE_BYTES = 4096
"""At least as long as what pg_restore writes before and after everything else, each a few hundred bytes."""

DUMP = (
    "--format=custom",
    "--exclude-extension=*",
    # The isolation job made it at the target, with the extensions.
    f"--exclude-schema={EXTENSIONS_SCHEMA}",
    "--no-owner",
    "--no-privileges",
    "--no-subscriptions",
    "--no-tablespaces",
    f"--lock-wait-timeout={LOCK_TIMEOUT_MS}",
)
"""What pg_dump takes of a tenant's database: all that another one needs that the isolation job has visited."""

# With --single-transaction it writes the large objects without a COMMIT after each.
RESTORE = ("--single-transaction", "--no-owner", "--no-privileges", "--file=-")

Process = subprocess.Popen[bytes]


def pipe(source: Client, database: str, target: Session, settings: frozenset[str], private: Path) -> int:
    """Copy a database's content into a session's open transaction.

    Args:
        source: reads the database with pg_dump.
        database: its name.
        target: where it goes.
        settings: the parameters that the target's server knows.
        private: a folder for the programs' messages.

    Returns:
        How many bytes went through.

    Raises:
        FailedError: one of the programs failed; the session is to be ended.
        KilledError: the kernel killed one of them.
    """
    errors = {name: private / f"{name}.err" for name in ("pg_dump", "pg_restore")}
    with errors["pg_dump"].open("wb") as of_dump, errors["pg_restore"].open("wb") as of_restore:
        reader = Process(
            source.pg_dump(database, *DUMP, "--compress=none"),
            env=dict(source.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=of_dump,
        )
        restore = [source.program("pg_restore"), *RESTORE]
        writer = Process(restore, stdin=reader.stdout, stdout=subprocess.PIPE, stderr=of_restore)
    try:
        assert reader.stdout  # noqa: S101  opened above
        assert writer.stdout  # noqa: S101  opened above
        reader.stdout.close()
        size = 0
        for part in script(writer.stdout, settings):
            target.write(part)
            size += len(part)
        # Both, because to pg_restore a pg_dump that fails looks like the end of its input.
        for name, process in (("pg_dump", reader), ("pg_restore", writer)):
            if process.wait() != 0:
                raise FailedError(f"{name} failed with {process.returncode}")
    except SessionError as error:
        # Before they are ended here: the other one only lost its input, or its output.
        killed = [name for name, one in (("pg_dump", reader), ("pg_restore", writer)) if is_killed(one)]
        _end(reader, writer)
        if killed:
            raise KilledError(words(killed[0])) from None
        # The program that failed first said why; the others only lost their input or output.
        said = [f"{name}: {last}" for name, file in errors.items() if (last := last_lines(file))]
        raise FailedError("\n".join([str(error), *said])) from None
    finally:
        _end(reader, writer)
    return size


def script(output: IO[bytes], known: frozenset[str]) -> Iterator[bytes]:
    """Yield pg_restore's script without its BEGIN and COMMIT, and without settings that an older server does not know.

    The transaction is this program's: it ends after the comparison.

    Raises:
        FailedError: the script does not have the form that pg_restore gives it, as when its input ended early.
    """
    head = output.read(_EDGE_BYTES)
    last_setting = b"SET row_security = off;\n"
    preamble, found, rest = head.partition(last_setting)
    if not found:
        raise FailedError("pg_restore wrote nothing, or something unknown")

    def kept(match: "re.Match[bytes]") -> bytes:
        return match[0] if match[1].decode() in known else b""

    preamble = re.sub(rb"(?m)^BEGIN;\n", b"", preamble)
    # On, not off: a materialized view is computed from rows as its owner. A forced policy applies to that role, and
    # with `off` it would get an error. When rows are copied, there are no policies yet.
    yield re.sub(rb"(?m)^SET (\w+) = .*;\n", kept, preamble) + b"SET row_security = on;\n"
    held = rest
    while chunk := output.read(_CHUNK_BYTES):
        held += chunk
        yield held[:-_EDGE_BYTES]
        held = held[-_EDGE_BYTES:]
    body, found, rest = held.rpartition(b"\nCOMMIT;\n")
    if not found:
        raise FailedError("pg_restore's script has no end")
    yield body + b"\n" + rest


def _end(*processes: Process) -> None:
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
