"""A church's database in another cluster, such as a fork of a backup, in the place of a dump of it."""

import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from droplet.converge.peers import write_time
from droplet.killed import is_killed, words
from droplet.move_tenant.inventory import inventory
from droplet.move_tenant.look import SHOWN, look
from droplet.move_tenant.pipe import DUMP
from droplet.names import Place
from droplet.outcome import RefusedError
from droplet.postgres import Client
from droplet.restore.stream import Contents, Source
from droplet.session import Session, last_lines
from droplet.work_login import Rights, work_login

_SEEN = """
SELECT pg_catalog.to_json(EXISTS (
    SELECT FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = :key AND objsubid = 1));
"""


def refuse_same(source: Client, target: Client, private: Path) -> None:
    """Refuse two entries that lead to one cluster, as a copied one does whose `host` was left as it was.

    A lock that is taken at the one and seen at the other says so whatever they are called: a cluster has several
    addresses, and a fork has its original's system identifier.

    Args:
        source: the administrator of what is called another cluster.
        target: of the one that is filled.
        private: a folder that only this user can read.

    Raises:
        RefusedError: they are one.
        SessionError: one cannot be reached.
    """
    key = secrets.randbits(62)
    with (
        Session(source, source.database, private) as holder,
        Session(target, target.database, private) as other,
    ):
        holder.lines("SELECT pg_catalog.pg_advisory_lock(:key) IS NULL;", key=key)
        (same,) = other.ask(_SEEN, key=key)
    if same:
        raise RefusedError(
            f"{source.cluster} is not another cluster than {target.cluster}: both entries lead to the same server, "
            f"{source.environment['PGHOST']}. Write the fork's own host, port and password into the entry"
        )


@contextmanager
def opened(client: Client, place: Place, private: Path) -> Iterator[Source]:
    """Read a database by a login with its church's rights: what is in it, and an archive of the same snapshot.

    Args:
        client: the other cluster's administrator.
        place: the database there.
        private: a folder that only this user can read.

    Raises:
        RefusedError: it is not there, or cannot be read as a whole.
        SessionError: the cluster cannot be reached.
    """
    with Session(client, place.database, private) as session:
        side = look(session, place)
    if not side.isolated:
        raise RefusedError(f"the isolation job has never visited {place.database} in {client.cluster}")
    if side.forced and not side.may_bypass:
        raise RefusedError(
            f"row level security is forced on the owner of {', '.join(side.forced[:SHOWN])} in {client.cluster}, and "
            "no login can be made there that reads all rows"
        )
    rights = Rights(place.database, bypass_rls=bool(side.forced))
    with work_login(client, rights, private) as reader, Session(reader, place.database, private) as reading:
        reading.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        (snapshot,) = reading.ask("SELECT pg_catalog.to_json(pg_catalog.pg_export_snapshot());")
        contents = Contents(
            database=place.database,
            cluster=client.cluster,
            time=write_time(time.time()),
            server=side.version,
            encoding=side.encoding,
            extensions=sorted(side.extensions),
            lines=inventory(reading),
        )
        errors = private / "pg_dump.err"
        with errors.open("wb") as stderr:
            dump = subprocess.Popen(
                reader.pg_dump(place.database, *DUMP, "--compress=none", f"--snapshot={snapshot}"),
                env=dict(reader.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert dump.stdout  # noqa: S101  opened above

        def wrong(_size: int, _digest: str) -> str | None:
            """Say why the archive is not whole: to pg_restore a pg_dump that fails looks like the end of its input."""
            code = dump.wait()
            return f"pg_dump failed with {code}: {last_lines(errors)}" if code else None

        def killed() -> str | None:
            return words("pg_dump") if is_killed(dump) else None

        try:
            # How old it is, nothing in a fork says.
            told = f"{place.database} as it is in {client.cluster}, which has no date here: the fork's backup has"
            yield Source(contents, dump.stdout, wrong, told, killed)
        finally:
            dump.kill()
            dump.wait()
            dump.stdout.close()
