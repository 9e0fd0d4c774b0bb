"""Connections as the services make them: a church's own user, over TLS, to its own database and to no other."""

import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.drill.checks import meaning
from droplet.drill.fork import Fork
from droplet.postgres import pgpass, write_private

_SECONDS = 120
# What goes on at the server when this program waits no more ends soon.
_LIMITS = {"statement_timeout": f"{_SECONDS}s", "client_connection_check_interval": "10s"}

_PROBE = """
\\set VERBOSITY sqlstate
SELECT current_user AS role \\gset
BEGIN;
-- Of a session, only its own user sees whether it has TLS.
SET LOCAL ROLE NONE;
SELECT pg_catalog.json_build_object(
    'database', pg_catalog.current_database(), 'login', session_user, 'role', :'role',
    'tls', (SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()));
ROLLBACK;
BEGIN;
CREATE TABLE {name} (n int);
INSERT INTO {name} VALUES (1);
ROLLBACK;
"""

_COUNTS = """
SELECT pg_catalog.format(
    'SELECT pg_catalog.json_build_object(%L, pg_catalog.count(*)) FROM ONLY %I.%I', c.oid::pg_catalog.regclass::text,
    n.nspname, c.relname)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND NOT c.relrowsecurity AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') \\gexec
"""


def probe(*, counts: bool = True) -> str:
    """Return a script that shows who is connected and writes, and counts every table's rows or does not."""
    # No name that a church's table may have.
    return _PROBE.replace("{name}", f"drill_{secrets.token_hex(6)}") + (_COUNTS if counts else "")


@dataclass(frozen=True)
class Record:
    """How services reach a database: what the object with a church's credentials says, and what a copy of it says.

    Attributes:
        host, port: of the server.
        database: its name.
        user: who logs in.
        password: the user's.
        role: whom the user acts as.
        sslmode: libpq's.
        ca: the certificate authority, PEM.
        pooled: whether it leads through PgBouncer, which refuses other options than the role.
    """

    host: str
    port: int
    database: str
    user: str
    password: str
    role: str
    sslmode: str
    ca: str
    pooled: bool = False

    @classmethod
    def copied(
        cls, fork: Fork, database: str, user: str, password: str, known: Mapping[str, Any]
    ) -> "Record":
        """Return a copy of a record that leads to the fork; the record itself stays as it is."""
        return cls(
            host=fork.cluster.host,
            port=fork.cluster.port,
            database=database,
            user=user,
            password=password,
            role=str(known.get("role") or f"{database}_owner"),
            sslmode=str(known.get("sslmode") or fork.cluster.sslmode),
            ca=fork.cluster.ca,
        )


@dataclass(frozen=True)
class Answer:
    """What came of a connection.

    Attributes:
        code: psql's exit status: 0 all was done, 2 no connection.
        lines: what it printed.
        said: its errors.
    """

    code: int
    lines: Sequence[str]
    said: str


def connect(fork: Fork, record: Record, script: str) -> Answer:
    """Connect by a record, and run a script."""
    name = secrets.token_hex(6)
    password, authority = fork.private / f"pgpass-{name}", fork.private / f"ca-{name}.pem"
    environment = {
        "PATH": fork.client.environment["PATH"],
        "HOME": str(fork.private),
        "LC_ALL": "C.UTF-8",
        "PGHOST": record.host,
        "PGPORT": str(record.port),
        "PGUSER": record.user,
        "PGPASSFILE": str(password),
        "PGSSLMODE": record.sslmode,
        "PGSSLROOTCERT": str(authority),
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "presence360-drill",
        # Not the one that the church's role, or its database, may have set: what is printed is read as this.
        "PGCLIENTENCODING": "UTF8",
        "PGOPTIONS": " ".join(
            [
                *(f"-c {name}={value}" for name, value in _LIMITS.items() if not record.pooled),
                *([f"-c role={record.role}"] if record.role else []),
            ]
        ),
    }
    try:
        write_private(authority, record.ca)
        write_private(password, pgpass(environment, record.user, record.password))
        done = subprocess.run(
            fork.client.psql(
                record.database, "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"
            ),
            input=script,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Answer(-1, (), "the connection did not answer in time")
    finally:
        for file in (password, authority):
            Path(file).unlink(missing_ok=True)
    return Answer(done.returncode, [line for line in done.stdout.splitlines() if line], done.stderr)


def refused(fork: Fork, record: Record, expected: str) -> str:
    """Try what must not work; return what is wrong, or nothing.

    Args:
        fork: where.
        record: what is tried.
        expected: what the server has to say.
    """
    answer = connect(fork, record, "SELECT 1;")
    if answer.code == 0:
        return "it was let in"
    if expected not in answer.said:
        return f"it was not refused as expected, but ended with: {meaning(answer.said)}"
    return ""
