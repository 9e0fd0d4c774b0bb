#!/usr/bin/python3
"""Copy a suspended tenant's database from one Postgres cluster to another, and prove that the copy is the same.

    sudo python3 -I /var/lib/presence360/incoming/move_tenant.py TENANT-ID --from shared --to TENANT-ID

It refuses (exit code 2) unless nobody can use the source any more and the target is isolated and empty. It copies in
one transaction, compares both databases inside it, and commits only what is the same: the target is empty or right,
also when a run is interrupted. Exit code 1: it failed, or the two differ. Nothing is written to the source. --check
compares, and changes nothing.

Needs root on a droplet of the group that runs the isolation job, and Debian 13's python3 and postgresql-client. No row
touches the disk here: what is dumped goes through a pipe.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

CONFIGURATIONS = Path("/var/lib/presence360/incoming/isolation")
INVENTORY = Path(__file__).with_name("move_tenant.sql")

CHUNK_BYTES = 1024 * 1024
EDGE_BYTES = 4096
"""At least as long as what pg_restore writes before and after everything else, each a few hundred bytes."""

BY_MEMBERSHIP = 160000
"""From this version on, whoever makes a role administers it without having its rights (release notes of 16)."""

EXCLUDING_EXTENSIONS = 17
"""The first pg_dump that can (release notes of 17); Debian 13 has it."""

LOCK = 7360361
"""Of an advisory lock in the target: one run at a time. The isolation job's is another."""

SHOWN = 20
"""Differences that are printed; all are counted."""

_SCHEMAS = ("public", "pg_catalog")
"""That every database has, so that an extension can be made in them before anything else is copied."""

Json = Any
Line = tuple[str, str, str]


class RefusedError(Exception):
    """Nothing was begun: this has to be mended first."""


class FailedError(Exception):
    """It was begun and undone."""


class UnknownError(Exception):
    """Whether it was done, only a look can tell."""


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Tenant:
    """The names that follow from a tenant's id (model/naming.py)."""

    id: str

    @property
    def database(self) -> str:
        """Its database, in either cluster."""
        return f"tenant_{self.id}"

    @property
    def owner(self) -> str:
        """The role that owns what is in it."""
        return f"{self.database}_owner"


@dataclass(frozen=True)
class Cluster:
    """A cluster, as its administrator reaches it.

    Attributes:
        name: as the isolation job's configurations have it.
        environment: libpq's variables; the password is in a file.
    """

    name: str
    environment: Mapping[str, str]


def find_cluster(folder: Path, name: str, private: Path) -> Cluster:
    """Find a cluster among what Terraform's stacks say, and write down its password and authority for libpq.

    Raises:
        RefusedError: no readable configuration has it.
    """
    known: dict[str, Mapping[str, Json]] = {}
    unreadable = []
    for path in sorted(folder.glob("*.json")):
        try:
            known |= {str(cluster["name"]): cluster for cluster in json.loads(path.read_text())["clusters"]}
        except (OSError, ValueError, TypeError, KeyError):
            unreadable.append(path.name)
    if name not in known:
        more = f" Not readable: {', '.join(unreadable)}." if unreadable else ""
        there_are = ", ".join(sorted(known)) or "none"
        raise RefusedError(f"there is no cluster {name!r} in {folder}; there are: {there_are}.{more}")
    cluster = known[name]

    def escaped(key: str) -> str:
        return str(cluster[key]).replace("\\", "\\\\").replace(":", "\\:")  # libpq, "The Password File"

    files = {
        f"{name}.pgpass": f"{escaped('host')}:{cluster['port']}:*:{escaped('user')}:{escaped('password')}\n"
    }
    files[f"{name}.pem"] = str(cluster["ca"])
    for file, text in files.items():
        descriptor = os.open(private / file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as output:
            output.write(text)
    return Cluster(
        name,
        {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LC_ALL": "C.UTF-8",
            "PGHOST": str(cluster["host"]),
            "PGPORT": str(cluster["port"]),
            "PGUSER": str(cluster["user"]),
            "PGSSLMODE": str(cluster["sslmode"]),
            "PGSSLROOTCERT": str(private / f"{name}.pem"),
            "PGPASSFILE": str(private / f"{name}.pgpass"),
            "PGCONNECT_TIMEOUT": "10",
            "PGCLIENTENCODING": "UTF8",
            "PGAPPNAME": "presence360-move-tenant",
            # The tenant's databases end what takes a minute; this takes as long as it takes.
            "PGOPTIONS": "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=60s",
        },
    )


@dataclass(frozen=True)
class Programs:
    """Postgres's clients: psql, pg_dump and pg_restore of one version."""

    folder: Path

    @classmethod
    def newest(cls) -> "Programs":
        """Find them where Debian puts them: what is in /usr/bin chooses a version by itself.

        Raises:
            RefusedError: there are none.
        """
        found = sorted(
            Path("/usr/lib/postgresql").glob("*/bin/pg_dump"), key=lambda path: int(path.parts[-3])
        )
        if not found:
            raise RefusedError("pg_dump is not installed (Debian: postgresql-client)")
        return cls(found[-1].parent)

    @property
    def major(self) -> int:
        """Their version."""
        shown = subprocess.run(
            [self("pg_dump"), "--version"], capture_output=True, text=True, check=True
        ).stdout
        found = re.search(r"\) (\d+)", shown)
        if not found:
            raise RefusedError(f"pg_dump says of itself: {shown.strip()}")
        return int(found[1])

    def __call__(self, name: str) -> str:
        """Return one's path."""
        return str(self.folder / name)


class Session:
    """A psql that is told what to do step by step; what is not committed when it ends is undone."""

    def __init__(self, programs: Programs, cluster: Cluster, database: str, private: Path) -> None:
        self.cluster = cluster
        self._errors = private / f"{cluster.name}-{time.monotonic_ns()}.err"
        command = [programs("psql"), "--no-psqlrc", "--no-password", "--quiet", "--no-align", "--tuples-only"]
        with self._errors.open("wb") as errors:
            self._psql = subprocess.Popen(
                [*command, "--set", "ON_ERROR_STOP=1", "--dbname", database],
                env=dict(cluster.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._psql.kill()
        self._psql.wait()
        for pipe in (self._psql.stdin, self._psql.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def write(self, text: bytes) -> None:
        """Send a part of a script.

        Raises:
            FailedError: an earlier part failed.
        """
        assert self._psql.stdin  # noqa: S101  opened above
        try:
            self._psql.stdin.write(text)
        except BrokenPipeError:
            raise FailedError(self._reason()) from None

    def ask(self, script: str) -> list[Json]:
        """Run a script to its end; what it printed, a JSON value a line.

        Raises:
            FailedError: a statement, or the connection, failed.
        """
        assert self._psql.stdin  # noqa: S101  opened above
        assert self._psql.stdout  # noqa: S101  opened above
        end = f"end-{time.monotonic_ns()}"
        self.write(f"{script}\n;\\echo {end}\n".encode())
        try:
            self._psql.stdin.flush()
        except BrokenPipeError:
            raise FailedError(self._reason()) from None
        lines: list[Json] = []
        for raw in self._psql.stdout:
            line = raw.decode().rstrip("\n")
            if line == end:
                return lines
            if line:
                lines.append(json.loads(line))
        raise FailedError(self._reason())

    def _reason(self) -> str:
        self._psql.wait()
        return f"{self.cluster.name}: {_tail(self._errors) or 'psql ended'}"


def _tail(file: Path) -> str:
    lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return "\n  ".join(lines[-5:])


@dataclass(frozen=True)
class Side:
    """What is known of the tenant's database in one cluster before anything is done.

    Attributes:
        version: the server's, as a number: 170004.
        encoding: of the database.
        collation: of the database.
        bytes: the database's size.
        isolated: whether the isolation job has been there, and made the owner role.
        inherits: whether this administrator has the owner role's rights.
        logins: the tenant's users.
        sessions: of others than the administrator and the provider's superusers.
        foreign: what does not belong to the owner role, extensions' parts apart.
        belongings: how much there is.
        schemas: those beside public.
        extensions: by name, the schema of each.
        settings: the parameters that the server knows.
        alone: whether no other run is at work here.
    """

    version: int
    encoding: str
    collation: str
    bytes: int
    isolated: bool
    inherits: bool
    logins: Sequence[str]
    sessions: int
    foreign: Sequence[str]
    belongings: int
    schemas: Sequence[str]
    extensions: Mapping[str, str]
    settings: Sequence[str]
    alone: bool

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.version // 10000


_LOOK = """
WITH place AS (SELECT * FROM pg_database WHERE datname = current_database()),
owner AS (SELECT oid FROM pg_roles WHERE rolname = '{owner}'),
belonging AS (
    SELECT d.classid, d.objid, refobjid AS owner FROM pg_shdepend AS d
    WHERE dbid = (SELECT oid FROM place) AND deptype = 'o'
    UNION
    SELECT 'pg_class'::regclass, c.oid, relowner FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION
    SELECT 'pg_proc'::regclass, p.oid, proowner FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
own AS (
    SELECT b.owner, i.type, i.identity
    FROM belonging AS b, LATERAL pg_identify_object(b.classid, b.objid, 0) AS i
    WHERE i.type NOT IN ('extension', 'default acl', 'subscription') AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = b.classid AND e.objid = b.objid AND e.deptype = 'e')
)
SELECT json_build_object(
    'version', current_setting('server_version_num')::int,
    'encoding', pg_encoding_to_char(encoding),
    'collation', datcollate,
    'bytes', pg_database_size(oid),
    'isolated', coalesce(
        shobj_description(oid, 'pg_database') ~ ('^presence360 isolation [0-9a-f]+ ' || (SELECT oid FROM owner) || '$'),
        false),
    'inherits', coalesce((SELECT pg_has_role(oid, 'USAGE') FROM owner), false),
    'logins', coalesce(
        (SELECT json_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname ~ '^{database}_g[1-9][0-9]*$'), '[]'),
    'sessions', (SELECT count(*) FROM pg_stat_activity AS s LEFT JOIN pg_roles AS r ON r.oid = usesysid
        WHERE s.datid = place.oid AND usesysid IS NOT NULL
        AND (rolname = session_user OR rolsuper) IS NOT TRUE),
    'foreign', coalesce((SELECT json_agg(format('%s %s (%s)', type, identity, pg_get_userbyid(owner)) ORDER BY 1)
        FROM own WHERE owner IS DISTINCT FROM (SELECT oid FROM owner)), '[]'),
    'belongings', (SELECT count(*) FROM own),
    'schemas', coalesce((SELECT json_agg(nspname ORDER BY nspname) FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')), '[]'),
    'extensions', (SELECT json_object_agg(extname, nspname ORDER BY extname)
        FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace),
    'settings', (SELECT json_agg(name ORDER BY name) FROM pg_settings),
    'alone', pg_try_advisory_lock({lock})
) FROM place;
"""


def look(session: Session, tenant: Tenant) -> Side:
    """Look at one side; a failure to connect is a refusal: nothing has been done."""
    try:
        (found,) = session.ask(_LOOK.format(owner=tenant.owner, database=tenant.database, lock=LOCK))
    except FailedError as error:
        raise RefusedError(str(error)) from None
    return Side(**found)


def refusals(tenant: Tenant, source: Side, target: Side, client: int, *, check: bool) -> list[str]:
    """Say everything that speaks against it."""
    found = []

    def refuse(when: object, text: str) -> None:
        if when:
            found.append(text)

    logins = ", ".join(source.logins)
    refuse(
        source.logins,
        f"the tenant is not suspended: {logins} can log in to the source (status: suspended, deploy)",
    )
    refuse(
        source.sessions,
        f"{source.sessions} sessions use the source; wait until they end, or end them (docs/isolation.md)",
    )
    refuse(
        not source.isolated,
        "the isolation job has not been at the source: wait a minute, then see its journal",
    )
    refuse(
        not target.isolated,
        "the isolation job has not been at the target: wait a minute, then see its journal",
    )
    for name, side in (("source", source), ("target", target)):
        refuse(
            side.version < BY_MEMBERSHIP and side.isolated and not side.inherits,
            f"this administrator has not the rights of {tenant.owner} at the {name}: GRANT it to the administrator",
        )
    refuse(
        source.foreign,
        f"not {tenant.owner}'s, so that it would not be copied as it is (ALTER ... OWNER TO, or DROP): "
        + "; ".join(source.foreign[:SHOWN]),
    )
    elsewhere = [
        f"{name} in {schema}" for name, schema in source.extensions.items() if schema not in _SCHEMAS
    ]
    refuse(
        elsewhere,
        f"extensions are in schemas of their own: {', '.join(elsewhere)} (ALTER EXTENSION ... SET SCHEMA public)",
    )
    refuse(target.encoding != source.encoding, f"encodings differ: {source.encoding} and {target.encoding}")
    refuse(target.major < source.major, f"Postgres {target.major} is older than the source's {source.major}")
    refuse(not target.alone, "another run is at work at the target")
    if not check:
        refuse(target.sessions, f"{target.sessions} sessions use the target")
        refuse(
            target.belongings,
            f"the target is not empty: {target.belongings} tables, functions and so on are in it",
        )
        refuse(
            client < EXCLUDING_EXTENSIONS, f"pg_dump {client} is too old; {EXCLUDING_EXTENSIONS} is needed"
        )
        refuse(client < source.major, f"pg_dump {client} cannot dump Postgres {source.major}")
    return found


def _become(side: Side, tenant: Tenant, rights: str) -> str:
    """Return the statement that gives the administrator the owner role's rights, where it has them not anyway."""
    if side.version < BY_MEMBERSHIP:
        return ""
    return f'GRANT "{tenant.owner}" TO CURRENT_USER WITH {rights};'


def inventory(session: Session, side: Side, tenant: Tenant) -> list[Line]:
    """Say what a database holds, in a transaction that is undone."""
    session.ask(f"BEGIN; {_become(side, tenant, 'INHERIT TRUE')}")
    lines = _inventory(session)
    session.ask("ROLLBACK")
    return lines


def _inventory(session: Session) -> list[Line]:
    return [(kind, name, value) for kind, name, value in session.ask(INVENTORY.read_text(encoding="utf-8"))]


def differences(source: Sequence[Line], target: Sequence[Line]) -> list[str]:
    """Name what is not the same."""
    ours, theirs = ({(kind, name): value for kind, name, value in lines} for lines in (source, target))
    return [
        f"{kind} {name}: {ours.get((kind, name), 'not there')} at the source, "
        f"{theirs.get((kind, name), 'not there')} at the target"
        for kind, name in sorted(ours.keys() | theirs.keys())
        if ours.get((kind, name)) != theirs.get((kind, name))
    ]


@dataclass
class Move:
    """One run.

    Attributes:
        tenant: whose database.
        source: the cluster that has it.
        target: the cluster that is to have it.
        programs: Postgres's clients.
        private: a folder that only this user can read.
    """

    tenant: Tenant
    source: Cluster
    target: Cluster
    programs: Programs
    private: Path

    def session(self, cluster: Cluster) -> Session:
        """Open a session in the tenant's database."""
        return Session(self.programs, cluster, self.tenant.database, self.private)

    def run(self, *, check: bool) -> None:
        """Copy and compare, or only compare.

        Raises:
            RefusedError: it may not be done.
            FailedError: it could not be done, or the two differ.
        """
        with self.session(self.source) as at_source, self.session(self.target) as at_target:
            source, target = look(at_source, self.tenant), look(at_target, self.tenant)
            if found := refusals(self.tenant, source, target, self.programs.major, check=check):
                raise RefusedError("\n".join(found))
            say(f"source: {self.source.name}, Postgres {source.major}, {source.bytes} bytes")
            say(f"target: {self.target.name}, Postgres {target.major}, {target.bytes} bytes")
            if source.collation != target.collation:
                say(
                    f"note: collations differ, so texts may sort otherwise: {source.collation}, {target.collation}"
                )
            if check:
                self._compare(at_source, source, lambda: inventory(at_target, target, self.tenant))
                return
            with self._lent(at_source, source):
                transaction = self._copy(at_target, source, target)
            self._compare(at_source, source, lambda: _inventory(at_target))
            self._commit(at_source, at_target, target, transaction)

    def _compare(self, at_source: Session, source: Side, theirs: Callable[[], list[Line]]) -> None:
        begin = time.monotonic()
        pool = ThreadPoolExecutor()
        try:
            other = pool.submit(theirs)
            ours = inventory(at_source, source, self.tenant)
            found = differences(ours, other.result())
        finally:
            # Not waited for: where this side failed, the other ends with its session.
            pool.shutdown(wait=False)
        if found:
            for line in found[:SHOWN]:
                say(f"  {line}")
            raise FailedError(f"{len(found)} differences between source and target")
        counts = {
            kind: sum(1 for line in ours if line[0] == kind) for kind in sorted({line[0] for line in ours})
        }
        for kind, name, value in ours:
            if kind == "content":
                say(f"  same: {name}: {value}")
        say("  same: " + ", ".join(f"{number} x {kind}" for kind, number in counts.items()))
        say(f"compared: {time.monotonic() - begin:.1f} s")

    @contextmanager
    def _lent(self, at_source: Session, source: Side) -> Iterator[None]:
        """Have the owner role's rights at the source while pg_dump reads; what a killed run left goes too."""
        begin, end = _become(source, self.tenant, "INHERIT TRUE"), ""
        if begin:
            end = f'REVOKE "{self.tenant.owner}" FROM CURRENT_USER GRANTED BY CURRENT_USER'
        at_source.ask(begin)
        try:
            yield
        finally:
            at_source.ask(end)

    def _copy(self, at_target: Session, source: Side, target: Side) -> str:
        """Fill the target in a transaction that stays open, and return its number."""
        begin = time.monotonic()
        (transaction,) = at_target.ask(
            f"BEGIN; {_become(target, self.tenant, 'INHERIT TRUE, SET TRUE')} "
            "SELECT to_json(pg_current_xact_id()::text)"
        )
        for name, schema in source.extensions.items():
            if name in target.extensions:
                continue
            # By the administrator, as at the source; the owner role may make none.
            at_target.ask(f"CREATE EXTENSION {_quoted(name)} WITH SCHEMA {_quoted(schema)}")
        if source.schemas:
            at_target.ask(f'GRANT CREATE ON DATABASE "{self.tenant.database}" TO "{self.tenant.owner}"')
        at_target.ask(f'SET ROLE "{self.tenant.owner}"; \\o /dev/null')
        size = self._pipe(at_target, target)
        at_target.ask("\\o\nRESET ROLE")
        if source.schemas:
            at_target.ask(f'REVOKE CREATE ON DATABASE "{self.tenant.database}" FROM "{self.tenant.owner}"')
        seconds = time.monotonic() - begin
        say(f"copied: {size} bytes in {seconds:.1f} s")
        return str(transaction)

    def _pipe(self, at_target: Session, target: Side) -> int:
        """Let pg_dump read and psql write; how many bytes went through."""
        dump = [
            self.programs("pg_dump"),
            "--format=custom",
            "--compress=none",
            "--no-password",
            "--exclude-extension=*",
        ]
        dump += [
            "--no-owner",
            "--no-privileges",
            "--no-subscriptions",
            "--no-tablespaces",
            "--lock-wait-timeout=60000",
        ]
        # Its --single-transaction writes the large objects without a COMMIT after each.
        restore = [
            self.programs("pg_restore"),
            "--single-transaction",
            "--no-owner",
            "--no-privileges",
            "--file=-",
        ]
        errors = {name: self.private / f"{name}.err" for name in ("pg_dump", "pg_restore")}
        with errors["pg_dump"].open("wb") as of_dump, errors["pg_restore"].open("wb") as of_restore:
            reader = subprocess.Popen(
                [*dump, f"--dbname={self.tenant.database}"],
                env=dict(self.source.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=of_dump,
            )
            writer = subprocess.Popen(restore, stdin=reader.stdout, stdout=subprocess.PIPE, stderr=of_restore)
        try:
            assert reader.stdout  # noqa: S101  opened above
            assert writer.stdout  # noqa: S101  opened above
            reader.stdout.close()
            size = 0
            for part in _script(writer.stdout, frozenset(target.settings)):
                at_target.write(part)
                size += len(part)
            # Both, since a reader that fails looks to the other like an end.
            for name, process in (("pg_dump", reader), ("pg_restore", writer)):
                if process.wait() != 0:
                    raise FailedError(f"{name} failed with {process.returncode}")
        except FailedError as error:
            _end(reader, writer)
            # Whoever failed first said why; the others only lost their neighbour.
            said = [f"{name}: {words}" for name, file in errors.items() if (words := _tail(file))]
            raise FailedError("\n".join([str(error), *said])) from None
        finally:
            _end(reader, writer)
        return size

    def _commit(self, at_source: Session, at_target: Session, target: Side, transaction: str) -> None:
        """Make the copy last, if it is all in one transaction, and nobody came back meanwhile."""
        source = look(at_source, self.tenant)
        if source.logins or source.sessions:
            raise FailedError("somebody can use the source again: the copy may be out of date, and is undone")
        (now,) = at_target.ask("SELECT to_json(pg_current_xact_id()::text)")
        if now != transaction:
            raise FailedError("the copy was not made in one transaction")
        if target.version >= BY_MEMBERSHIP:
            at_target.ask(f'REVOKE "{self.tenant.owner}" FROM CURRENT_USER GRANTED BY CURRENT_USER')
        try:
            at_target.ask("COMMIT")
        except FailedError as error:
            raise UnknownError(
                f"{error}\nThe COMMIT was not answered: --check tells whether it was done."
            ) from None
        say("committed")
        begin = time.monotonic()
        # pg_dump brings no statistics, and without them the first queries are slow.
        try:
            at_target.ask("ANALYZE")
            say(f"analyzed: {time.monotonic() - begin:.1f} s")
        except FailedError as error:
            say(f"note: ANALYZE failed; autovacuum will see to it: {error}")


def _end(*processes: "subprocess.Popen[bytes]") -> None:
    for process in processes:
        process.kill()
        process.wait()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _script(output: IO[bytes], known: frozenset[str]) -> Iterator[bytes]:
    """Yield pg_restore's script without its BEGIN and COMMIT, and without settings that an older server does not know.

    The transaction is this program's: it ends after the comparison.

    Raises:
        FailedError: the script has not the form that pg_restore gives it, as when its input ended early.
    """
    head = output.read(EDGE_BYTES)
    last_setting = b"SET row_security = off;\n"
    preamble, found, rest = head.partition(last_setting)
    if not found:
        raise FailedError("pg_restore wrote nothing, or something unknown")

    def kept(match: "re.Match[bytes]") -> bytes:
        return match[0] if match[1].decode() in known else b""

    preamble = re.sub(rb"(?m)^BEGIN;\n", b"", preamble)
    # On, and not off: what is computed from rows here (a materialized view) is so as its owner, to whom a forced policy
    # applies, and who gets an error otherwise. When rows are copied, there are no policies yet.
    yield re.sub(rb"(?m)^SET (\w+) = .*;\n", kept, preamble) + b"SET row_security = on;\n"
    held = rest
    while chunk := output.read(CHUNK_BYTES):
        held += chunk
        yield held[:-EDGE_BYTES]
        held = held[-EDGE_BYTES:]
    body, found, rest = held.rpartition(b"\nCOMMIT;\n")
    if not found:
        raise FailedError("pg_restore's script has no end")
    yield body + b"\n" + rest


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupted(number: int, _frame: object) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # what is left is to clean up
    raise FailedError(f"interrupted ({signal.Signals(number).name})")


def _private_folder() -> Path:
    """Make a folder for passwords, in memory where that can be; what a killed run left goes."""
    memory = Path("/run") if os.access("/run", os.W_OK) else Path(tempfile.gettempdir())
    for left in memory.glob("presence360-move-*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"presence360-move-{os.getpid()}-", dir=memory))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 if the target holds what the source holds."""
    parser = argparse.ArgumentParser(
        prog="move_tenant.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tenant", help="the tenant's id")
    parser.add_argument(
        "--from", dest="source", required=True, help="the cluster that has the database, as shared"
    )
    parser.add_argument(
        "--to", dest="target", required=True, help="the cluster that is to have it: the tenant's id"
    )
    parser.add_argument("--check", action="store_true", help="compare, and change nothing")
    parser.add_argument("--configurations", type=Path, default=CONFIGURATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for number in _SIGNALS:
        signal.signal(number, _interrupted)
    private = _private_folder()
    try:
        if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", options.tenant):
            raise RefusedError(f"{options.tenant!r} is no tenant's id")
        if options.source == options.target:
            raise RefusedError("source and target are the same cluster")
        programs = Programs(options.programs) if options.programs else Programs.newest()
        source, target = (
            find_cluster(options.configurations, name, private) for name in (options.source, options.target)
        )
        Move(Tenant(options.tenant), source, target, programs, private).run(check=options.check)
    except RefusedError as error:
        sys.stderr.writelines(f"refused: {line}\n" for line in str(error).splitlines())
        return 2
    except (FailedError, UnknownError) as error:
        sys.stderr.write(f"failed: {error}\n")
        if isinstance(error, FailedError) and not options.check:
            sys.stderr.write("Nothing was committed: the target is as empty as before.\n")
        return 1
    finally:
        shutil.rmtree(private)
    return 0


if __name__ == "__main__":
    sys.exit(main())
