"""A cluster as DigitalOcean's API leaves it, and the isolation job as a droplet runs it."""

import json
import re
import secrets
import subprocess
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from lab import programs
from lab.local_postgres import PORT, SUPERUSER, Server
from model.isolation import IDLE_IN_TRANSACTION_TIMEOUT_MS, STATEMENT_TIMEOUT_MS
from model.naming import (
    CONTROL_PLANE_DATABASE,
    CONTROL_PLANE_USER,
    FIRST_GENERATION,
    database_key,
    owner_role,
    queue_prefix,
    tenant_database,
    tenant_user,
)
from model.pool import PORT as POOL_PORT
from model.pool import SOCKETS
from ops.paths import ROOT

CONNECTIONS = 5
ADMINISTRATOR = "doadmin"
EXTENSIONS = ("citext", "pgcrypto")


@dataclass(frozen=True)
class Tenant:
    """A church's names in Postgres.

    Attributes:
        id: its id.
        generation: of its database.
    """

    id: str
    generation: int = FIRST_GENERATION

    @classmethod
    def number(cls, number: int) -> "Tenant":
        """Return the tenant with a number in place of a random id."""
        return cls(str(uuid.UUID(int=number, version=4)))

    @property
    def database(self) -> str:
        """Its database."""
        return tenant_database(self.id, self.generation)

    @property
    def owner(self) -> str:
        """The role that owns what is in it."""
        return owner_role(self.database)

    def user(self, generation: int = 1) -> str:
        """Return the user of a generation of its credentials."""
        return tenant_user(database_key(self.id, self.generation), generation)


@dataclass
class Outcome:
    """A run of the job.

    Attributes:
        code: its exit code.
        log: what it wrote to the journal.
        metrics: by name, for its one cluster; empty if it wrote none.
    """

    code: int
    log: str
    metrics: dict[str, float]


@dataclass
class Cluster:
    """A server with what the API makes on it, and the folders of a droplet that runs the job.

    Attributes:
        server: the server.
        droplet: a folder for the job's files.
        administers: whether doadmin has ADMIN OPTION on the roles that the API makes. On 15 it makes no difference.
    """

    server: Server
    droplet: Path
    administers: bool = False
    passwords: dict[str, str] = field(default_factory=dict)

    def create(self, *, control_plane: bool = True) -> "Cluster":
        """Create what DigitalOcean creates first: an administrator that is no superuser, and its database.

        ``control_plane`` is False for a further cell's cluster, or a tenant's own.
        """
        password = self.passwords[ADMINISTRATOR] = secrets.token_hex(8)
        self.superuser(
            f"CREATE ROLE {ADMINISTRATOR} LOGIN NOSUPERUSER CREATEROLE CREATEDB REPLICATION BYPASSRLS "
            f"PASSWORD '{password}'",
            f"CREATE DATABASE defaultdb OWNER {ADMINISTRATOR}",
        )
        if control_plane:
            self.api_database(CONTROL_PLANE_DATABASE)
            self.api_user(CONTROL_PLANE_USER)
        programs.lay_out(self.droplet / "programs")
        for folder in ("scratch", "state"):
            (self.droplet / folder).mkdir()
        return self

    def superuser(self, *statements: str, database: str = "postgres") -> list[Any]:
        """Run statements as the superuser, outside a transaction; what the last one returned."""
        with psycopg.connect(
            self._address(SUPERUSER, self.server.password, database), autocommit=True
        ) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def api_database(self, name: str) -> None:
        """Create a database as the API does."""
        # Copying files is half as fast again as copying through the log, for so small a template.
        self.superuser(f'CREATE DATABASE "{name}" OWNER {ADMINISTRATOR} STRATEGY file_copy')

    def api_user(self, name: str) -> None:
        """Create a user as the API does: by a superuser."""
        password = self.passwords[name] = secrets.token_hex(8)
        self.superuser(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        if self.administers:
            self.superuser(f'GRANT "{name}" TO {ADMINISTRATOR} WITH ADMIN OPTION')

    def api_drop_user(self, name: str, *, first: str = "") -> None:
        """Drop a user as the API does, of which it is unknown whether it clears anything first.

        ``first`` is a statement with ``{user}`` for an API that does: the administrator runs it in every database that
        it may connect to, in the order of their names, with the user's rights, which it is given for that.
        """
        if first:
            self.superuser(f'GRANT "{name}" TO {ADMINISTRATOR}')
            reachable = self.superuser(
                f"SET ROLE {ADMINISTRATOR}",
                "SELECT datname FROM pg_database "
                "WHERE datallowconn AND has_database_privilege(oid, 'CONNECT') ORDER BY datname",
            )
            for (database,) in reachable:
                with self.connect(ADMINISTRATOR, database) as connection:
                    connection.execute(first.format(user=name).encode())
        self.superuser(f'DROP ROLE "{name}"')

    def tenants(self, numbers: Iterable[int]) -> list[Tenant]:
        """Create tenants: a database and a first user each."""
        made = [Tenant.number(number) for number in numbers]
        for tenant in made:
            self.api_database(tenant.database)
            self.api_user(tenant.user())
        return made

    def connect(self, user: str, database: str, **options: object) -> "psycopg.Connection[tuple[Any, ...]]":
        """Log in; autocommit, so that a refusal is one statement's."""
        address = self._address(user, self.passwords[user], database)
        return psycopg.connect(address, autocommit=True, **options)  # type: ignore[arg-type]

    def as_tenant(self, tenant: Tenant, generation: int = 1) -> "psycopg.Connection[tuple[Any, ...]]":
        """Log in as a service does, with what the tenant's credentials object says."""
        return self.connect(tenant.user(generation), tenant.database, options=f"-c role={tenant.owner}")

    def credentials(self, tenant: Tenant, generation: int = 1, *keep: int) -> dict[str, Any]:
        """Return a tenant's credentials object as Terraform writes it, without a certificate authority."""
        logins = [
            {"user": (user := tenant.user(number)), "password": self.passwords[user]}
            for number in (generation, *keep)
        ]
        return {
            "host": self.server.host,
            "port": PORT,
            "pool": {"host": SOCKETS, "port": POOL_PORT, "connections": CONNECTIONS},
            "requests_per_second": 20,
            "queue_prefix": queue_prefix(tenant.id, None),
            "database": tenant.database,
            "role": tenant.owner,
            "options": f"-c role={tenant.owner}",
            "sslmode": "verify-full",
            "ca": "",
            **logins[0],
            "previous": logins[1:],
        }

    def job(
        self,
        *,
        scripts: Mapping[str, str] | None = None,
        overrides: dict[str, int] | None = None,
        extensions: Sequence[str] = EXTENSIONS,
    ) -> Outcome:
        """Run the job once; ``scripts`` replace files of its SQL, by name."""
        process = self.start_job(scripts=scripts, overrides=overrides, extensions=extensions)
        log, _ = process.communicate(timeout=300)
        return Outcome(process.returncode, log, self.metrics())

    def script(self, name: str) -> str:
        """Return one of the job's scripts as it is in the repository."""
        return (ROOT / "droplet/isolation" / name).read_text(encoding="utf-8")

    def watch(self) -> "subprocess.Popen[str]":
        """Start the watch; it ends when it is killed, or after five minutes."""
        return self.start_job(arguments=("--watch",))

    def start_job(
        self,
        *,
        arguments: Sequence[str] = (),
        scripts: Mapping[str, str] | None = None,
        overrides: dict[str, int] | None = None,
        extensions: Sequence[str] = EXTENSIONS,
        droplet: Path | None = None,
    ) -> "subprocess.Popen[str]":
        """Start the job in a process group of its own."""
        droplet = droplet or self.droplet
        for name, text in (scripts or {}).items():
            (droplet / "programs/droplet/isolation" / name).write_text(text, encoding="utf-8")
        (droplet / "scratch/isolation.prom").unlink(missing_ok=True)
        (droplet / "isolation_environment.json").write_text(
            json.dumps({**self.configuration(overrides or {}), "extensions": list(extensions)}),
            encoding="utf-8",
        )
        # As the unit has it: the folders come from systemd's variables.
        environment = {
            "PATH": "/usr/bin:/bin",
            "CREDENTIALS_DIRECTORY": str(droplet),
            "RUNTIME_DIRECTORY": str(droplet / "scratch"),
            "STATE_DIRECTORY": str(droplet / "state"),
        }
        return subprocess.Popen(
            programs.command(droplet / "programs", "isolation", *arguments),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def configuration(self, overrides: dict[str, int]) -> dict[str, Any]:
        """Return isolation/environment.json as Terraform writes it."""
        cluster = {
            "name": "shared",
            "host": self.server.host,
            "port": PORT,
            "user": ADMINISTRATOR,
            "password": self.passwords[ADMINISTRATOR],
            "database": "defaultdb",
            # libpq asks for no certificate on a Unix socket, whatever stands here.
            "sslmode": "verify-full",
            "ca": "-----BEGIN CERTIFICATE-----\n",
        }
        return {
            "clusters": [cluster],
            "connections": CONNECTIONS,
            "overrides": overrides,
            "statement_timeout_ms": STATEMENT_TIMEOUT_MS,
            "idle_in_transaction_timeout_ms": IDLE_IN_TRANSACTION_TIMEOUT_MS,
            "extensions": list(EXTENSIONS),
        }

    def metrics(self) -> dict[str, float]:
        """Read what the last run wrote."""
        file = self.droplet / "scratch/isolation.prom"
        if not file.exists():
            return {}
        lines = re.findall(
            r'^presence360_isolation_(\w+)\{cluster="shared"\} (\S+)$', file.read_text(), re.MULTILINE
        )
        return {name: float(value) for name, value in lines}

    def connections_of_administrator(self) -> int:
        """Count the connections that doadmin opened since the server started."""
        return self.server.log.count(f"connection authorized: user={ADMINISTRATOR} ")

    def _address(self, user: str, password: str, database: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host=self.server.host, port=PORT, user=user, password=password, dbname=database
        )
