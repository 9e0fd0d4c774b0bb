"""Postgres's client programs, run as a cluster's administrator: the one place from which a connection is opened."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from droplet.configuration import Cluster

DEBIAN_VERSIONS = Path("/usr/lib/postgresql")
"""Where Debian installs the programs of each version."""

CONNECT_TIMEOUT_SECONDS = 10

SETTINGS: Mapping[str, str] = {
    # From the first statement on: in a tenant's database, names that a path leads to may be the tenant's.
    "search_path": "",
    # A program whose droplet lost its power leaves its session, and the locks of it, for a minute and not for the two
    # hours that Linux waits (tcp(7), tcp_keepalive_time).
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    # While a statement runs or waits, the server asks whether anybody is there.
    "client_connection_check_interval": "10s",
    "idle_session_timeout": "60s",
}
"""Of every session of the administrator's. Every session may set them for itself (PostgreSQL documentation, "Client
Connection Defaults" and "Connections and Authentication")."""


def newest_programs(program: str) -> Path | None:
    """Return the folder of the newest version that has a program, or None if Debian's packages have none.

    Debian's own /usr/bin/psql and /usr/bin/pg_dump are a Perl program that chooses a version, and slow to start.
    """
    found = DEBIAN_VERSIONS.glob(f"*/bin/{program}")
    return max((path.parent for path in found), key=lambda folder: int(folder.parent.name), default=None)


def write_private(path: Path, text: str) -> None:
    """Write a file that no other user can read at any moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


@dataclass(frozen=True)
class Client:
    """The client programs, set up to reach one cluster as its administrator.

    Attributes:
        cluster: the cluster's name.
        database: the administrator's own database.
        environment: libpq's variables; password and certificate authority are in files.
        programs: the folder with psql and pg_dump; None for those on PATH.
    """

    cluster: str
    database: str
    environment: Mapping[str, str]
    programs: Path | None

    @classmethod
    def prepare(
        cls,
        cluster: Cluster,
        folder: Path,
        programs: Path | None,
        *,
        application: str,
        settings: Mapping[str, str] | None = None,
        **libpq: str,
    ) -> "Client":
        """Write password and certificate authority into a folder of the cluster's own, and return the client.

        Args:
            cluster: what to reach.
            folder: made if missing; the files in it are readable by this user alone.
            programs: the folder with psql and pg_dump; None for those on PATH.
            application: what pg_stat_activity shows.
            settings: the server's, for every session, beside `SETTINGS`; values without spaces.
            libpq: further variables of libpq.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(folder / "ca.pem", cluster.ca)
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            # libpq looks there for a client's certificate, and gives up if it may not look: root's own home is closed
            # to units (ProtectHome=; PostgreSQL's fe-secure-openssl.c, initialize_SSL, and fe-connect.c,
            # pqGetHomeDirectory).
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PGHOST": cluster.host,
            "PGPORT": str(cluster.port),
            "PGUSER": cluster.user,
            "PGSSLMODE": cluster.sslmode,
            "PGSSLROOTCERT": str(folder / "ca.pem"),
            "PGPASSFILE": str(folder / "pgpass"),
            "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT_SECONDS),
            "PGAPPNAME": application,
            "PGOPTIONS": " ".join(
                f"-c {name}={value}" for name, value in {**SETTINGS, **(settings or {})}.items()
            ),
            **libpq,
        }
        write_private(folder / "pgpass", pgpass(environment, cluster.user, cluster.password))
        return cls(cluster.name, cluster.database, environment, programs)

    @contextmanager
    def as_user(self, user: str, password: str, private: Path) -> Iterator[dict[str, str]]:
        """Yield libpq's variables for another user of the cluster; the password is in a file for as long.

        Args:
            user: who connects.
            password: the user's.
            private: a folder that only this user can read.
        """
        file = private / f"pgpass-{user}"
        write_private(file, pgpass(self.environment, user, password))
        try:
            yield {**self.environment, "PGUSER": user, "PGPASSFILE": str(file)}
        finally:
            file.unlink(missing_ok=True)

    def psql(self, database: str, *options: str) -> list[str]:
        """Return a command that connects to a database with psql."""
        return [self.program("psql"), "--no-psqlrc", "--no-password", "--dbname", database, *options]

    def pg_dump(self, database: str, *options: str) -> list[str]:
        """Return a command that connects to a database with pg_dump."""
        return [self.program("pg_dump"), "--no-password", "--dbname", database, *options]

    def program(self, name: str) -> str:
        """Return the path of one of the programs."""
        return str(self.programs / name) if self.programs else name

    def run_script(
        self, database: str, script: Path, variables: Mapping[str, str], timeout: float
    ) -> tuple[int, str, str]:
        """Run a script with psql to its end.

        Args:
            database: where.
            script: its file; it may include others beside it.
            variables: psql's; visible to other users of the machine, so never a secret.
            timeout: seconds, after which psql is killed.

        Returns:
            The exit code, -1 if psql did not start or did not end, its output, and its messages.
        """
        command = self.psql(database, "--file", str(script))
        for name, value in variables.items():
            command += ["--set", f"{name}={value}"]
        try:
            done = subprocess.run(
                command,
                env=dict(self.environment),
                timeout=timeout,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return -1, "", f"psql: no end after {timeout:.0f} s"
        except OSError as error:
            return -1, "", f"psql: {error}"
        return done.returncode, done.stdout, done.stderr


def quoted(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def pgpass(environment: Mapping[str, str], user: str, password: str) -> str:
    """Return the line of a password file for one user of the cluster that libpq's variables name."""
    # A colon and a backslash are escaped (PostgreSQL documentation, "The Password File").
    host, user, password = (
        text.replace("\\", "\\\\").replace(":", "\\:") for text in (environment["PGHOST"], user, password)
    )
    return f"{host}:{environment['PGPORT']}:*:{user}:{password}\n"
