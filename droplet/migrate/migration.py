"""The migration of one database: alone, by a login with that database's rights, and recorded."""

import math
import re
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from droplet import database_lock, journal, record
from droplet.converge.errors import ConvergeError
from droplet.migrate.databases import Database
from droplet.migrate.history import Verdict
from droplet.migrate.output import GAVE_WAY, of_ours, reason, unknown_revision
from droplet.migrate.runner import CA_FOLDER, Runner
from droplet.migrate.wanted import CONTROL_PLANE, Job
from droplet.names import MIGRATION_PART, WORK_SUFFIX
from droplet.session import Session
from droplet.work_login import Login, Rights, login_within

LOCK_TIMEOUT_MS = 3_000
"""A statement that waits for a lock makes all later queries of that table wait behind it (PostgreSQL documentation,
"Explicit Locking"); a request waits 15 s at most for a connection (docs/connections.md)."""

GIVE_WAY_SECONDS = (5.0, 15.0, 40.0)
"""Between the tries of a migration that met somebody else's lock."""

OTHERS_SECONDS = 20.0
"""How long the work login of a program that is gone may still be there: the watch looks every 2 s."""

READ_SECONDS = 15

_REVISION = re.compile(r"[A-Za-z0-9_.,-]{1,100}")
# As the tenant's own login, in the tenant's own database: whatever answers here has no more rights than that.
_READ_REVISION = """
SELECT pg_catalog.to_regclass('public.alembic_version') IS NOT NULL AS kept \\gset
\\if :kept
SELECT pg_catalog.string_agg(one, ',' ORDER BY one)
FROM (SELECT pg_catalog.left(version_num::text, 200) AS one FROM public.alembic_version LIMIT 20) AS found;
\\endif
"""


@dataclass(frozen=True)
class Target:
    """What a database is to be brought to.

    Attributes:
        job: the migration.
        digest: of its image.
        newer: images that came after that one (`images_after`).
        asked: when an operator asked for another try; 0 if nobody did.
    """

    job: Job
    digest: str
    newer: Mapping[str, Collection[str]]
    asked: float = 0


@dataclass(frozen=True)
class Failure:
    """Why a migration failed.

    Attributes:
        reason: one line without secrets.
        unknown: the revision that the image does not have, where it says so; or nothing.
    """

    reason: str
    unknown: str = ""


@dataclass
class Migrator:
    """Migrates databases, several at a time.

    Attributes:
        runner: runs the command.
        private: a folder that only this user can read.
        now: seconds since 1970.
        sleep: waits; ends early when the run is to end.
        stopping: tells whether the run is to end.
        elapsed: seconds that only go forward.
    """

    runner: Runner
    private: Path
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    stopping: Callable[[], bool] = lambda: False
    elapsed: Callable[[], float] = time.monotonic

    def migrate(self, database: Database, target: Target) -> Database | None:
        """Bring a database to the wanted image; return it with its record, None if another program is at work there.

        Raises:
            SessionError: the cluster cannot be reached, or the database is gone.
        """
        client = database.client
        with Session(client, client.database, self.private) as session:
            if not database_lock.take(session, database.name):
                return None
            database = database.read_again(session)
            verdict = database.history.verdict(target.digest, target.newer, self.now(), target.asked)
            if verdict is not Verdict.DUE:
                return database
            if not self._nobody_left(session, database):
                return None
            with login_within(session, Rights(database.name)) as login:
                failure = self._run(database, login, target)
                if self.stopping() and failure is not None:
                    # Killed, not failed: the next run goes on here.
                    return None
                known = failure is None or failure.unknown
                revision = self._revision(database, login) if known else None
                if failure is None:
                    history = database.history.after_success(target.digest, revision, self.now())
                elif _restored_ahead(database, target, revision, failure):
                    history = database.history.after_success(target.digest, None, self.now())
                else:
                    history = database.history.after_failure(target.digest, failure.reason, self.now())
            record.write(session, database.name, MIGRATION_PART, history.as_json())
            return database.read_again(session)

    def _run(self, database: Database, login: Login, target: Target) -> Failure | None:
        """Run the migration; None if it succeeded, or else why not.

        The time limit is that of all tries together: a church's own trigger may say each time that a lock is held.
        """
        job = target.job
        until = self.elapsed() + job.timeout_seconds
        address = address_of(database, login, job.timeout_seconds)
        variables = {**job.variables}
        if job.databases == CONTROL_PLANE:
            variables["CONTROL_PLANE_DATABASE_URL"] = address
        else:
            variables |= {"TENANT_DATABASE_URL": address, "TENANT_ID": database.tenant}
        name = f"presence360-{job.name}-{database.name}"
        for pause in (*GIVE_WAY_SECONDS, None):
            try:
                left = replace(job, timeout_seconds=math.ceil(until - self.elapsed()))
                ended = self.runner.run(left, name, variables, database.cluster.ca)
            except (ConvergeError, OSError) as error:
                return Failure(of_ours(error, (login.password, address)))
            if ended.code == 0:
                return None
            if self.stopping():
                return Failure("interrupted")
            if ended.code is None:
                return Failure(f"not done after {job.timeout_seconds} s")
            said = reason(ended.output, ended.code)
            late = pause is None or self.elapsed() + pause >= until
            if pause is None or late or not GAVE_WAY.search(ended.output):
                return Failure(said, unknown_revision(ended.output))
            journal.log(journal.INFO, f"{database.name} gives way, and tries again in {pause:.0f} s: {said}")
            self.sleep(pause)
        raise AssertionError(name)

    def _revision(self, database: Database, login: Login) -> str | None:
        """Read the schema's revision, as the tenant's own login; None if there is none that can be told."""
        client = database.client
        with client.as_user(login.name, login.password, self.private) as environment:
            try:
                done = subprocess.run(
                    client.psql(database.name, "--quiet", "--no-align", "--tuples-only", "--file", "-"),
                    env=environment,
                    input=_READ_REVISION,
                    capture_output=True,
                    text=True,
                    # It is the tenant's to say, in any encoding.
                    errors="replace",
                    timeout=READ_SECONDS,
                    check=False,
                )
            except (subprocess.TimeoutExpired, OSError):
                return None
        text = done.stdout.strip()
        return text if done.returncode == 0 and _REVISION.fullmatch(text) else None

    def _nobody_left(self, session: Session, database: Database) -> bool:
        """Wait until no work login of a program that is gone is in the database any more."""
        waited = 0.0
        while True:
            (others,) = session.ask(
                "SELECT pg_catalog.to_json(pg_catalog.count(*)) FROM pg_catalog.pg_stat_activity\n"
                "WHERE usename ~ :'work';",
                work=f"^{database.name}{WORK_SUFFIX}$",
            )
            if not others:
                return True
            if waited >= OTHERS_SECONDS or self.stopping():
                return False
            self.sleep(1)
            waited += 1


def _restored_ahead(database: Database, target: Target, revision: str | None, failure: Failure) -> bool:
    """Tell whether a database without history is one that a newer image had migrated, before the code went back.

    The wanted image decides, which has tried: it does not have the revision that this database is at. What others say
    of the newer images' revisions only narrows it, since each church says what it likes. So none of them keeps the
    image from a database that it can migrate.
    """
    if database.history.images or not failure.unknown or revision is None:
        return False
    if failure.unknown not in revision.split(","):
        return False
    return any(revision in said for said in target.newer.values())


def address_of(database: Database, login: Login, seconds: int) -> str:
    """Return how a migration reaches its database, in the form that services have (constructs_lib/control_plane.py)."""
    cluster = database.cluster
    settings = {
        # What it makes belongs to this role.
        "role": f"{database.name}_owner",
        "lock_timeout": LOCK_TIMEOUT_MS,
        # The database's own defaults are for requests (model/isolation.py).
        "statement_timeout": seconds * 1000,
        "idle_in_transaction_session_timeout": seconds * 1000,
        # A migration whose container is gone ends (droplet/postgres.py).
        "client_connection_check_interval": 10_000,
        "tcp_keepalives_idle": 30,
        "tcp_keepalives_interval": 10,
        "tcp_keepalives_count": 3,
    }
    query = {
        "sslmode": cluster.sslmode,
        "sslrootcert": f"{CA_FOLDER}/ca.pem",
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }
    where = f"{cluster.host}:{cluster.port}"
    if cluster.host.startswith("/"):
        where, query = "", {"host": cluster.host, "port": str(cluster.port), **query}
    password = urllib.parse.quote(login.password, safe="")
    return f"postgresql://{login.name}:{password}@{where}/{database.name}?" + urllib.parse.urlencode(
        query, quote_via=urllib.parse.quote, safe="/"
    )
