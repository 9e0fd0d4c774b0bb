"""A site with churches, dumps and a backup; forks of it; and a droplet that tries them."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from lab import backup_programs, pgbouncer, programs
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import SUPERUSER, Server, Template, give_away, tls_settings
from lab.managed_cluster import ADMINISTRATOR, Tenant
from lab.postgres_clients import clients
from ops.bucket import Bucket
from ops.drill.asking import Asking
from tests.backups.site import Site

HOST = "127.0.0.1"


def written(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass
class Fork:
    """A server with a copy of another one's data, before anything is tried.

    Attributes:
        server: the server.
        port: on loopback, with TLS.
        passwords: of its users.
        authority: signs its certificate.
    """

    server: Server
    port: int
    passwords: Mapping[str, str]
    authority: Authority

    def superuser(self, *statements: str, database: str = "postgres") -> list[Any]:
        with self.open(database) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def open(self, database: str) -> "psycopg.Connection[Any]":
        """Log in as the superuser."""
        address = psycopg.conninfo.make_conninfo(
            host=self.server.host,
            port=self.port,
            user=SUPERUSER,
            password=self.server.password,
            dbname=database,
        )
        return psycopg.connect(address, autocommit=True)

    @property
    def data(self) -> Path:
        return self.server.folder / "data"

    def administration(self) -> dict[str, Any]:
        """What Terraform's output says of it."""
        return {
            "name": "fork",
            "host": HOST,
            "port": self.port,
            "user": ADMINISTRATOR,
            "password": self.passwords[ADMINISTRATOR],
            "database": "defaultdb",
            "sslmode": "verify-full",
            "ca": self.authority.certificate,
        }

    def left(self) -> tuple[list[str], list[str]]:
        """What a drill left: databases and logins."""
        databases = self.superuser("SELECT datname FROM pg_database WHERE datname LIKE 'drill%'")
        logins = self.superuser("SELECT rolname FROM pg_roles WHERE rolname ~ '_work_'")
        return [name for (name,) in databases], [name for (name,) in logins]


@dataclass
class Backup:
    """A copy of a cluster's data, made as pg_basebackup makes it, and when.

    Attributes:
        folder: the copy.
        at: seconds since 1970.
    """

    folder: Path
    at: float


@dataclass
class Platform:
    """The site, and what forks of it need.

    Attributes:
        site: churches, dumps, buckets.
        template: of the servers.
        authority: of the forks' certificates.
        folder: for copies.
    """

    site: Site
    template: Template
    folder: Path
    authority: Authority = field(default_factory=lambda: Authority({}))

    def backup(self) -> Backup:
        """Copy the running server's data (PostgreSQL documentation, "Making a Base Backup Using the Low Level API")."""
        cluster = self.site.clusters["shared"]
        copy = Path(tempfile.mkdtemp(prefix="backup-", dir=self.folder))
        source = cluster.server.folder / "data"
        address = psycopg.conninfo.make_conninfo(
            host=cluster.server.host, user=SUPERUSER, password=cluster.server.password, dbname="postgres"
        )
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("SELECT pg_backup_start('drill', true)")
            ignore = shutil.ignore_patterns("postmaster.*", "pgsql_tmp*")
            shutil.copytree(source, copy / "data", ignore=ignore)
            row = connection.execute("SELECT labelfile FROM pg_backup_stop(false)").fetchone()
        assert row
        shutil.rmtree(copy / "data/pg_wal")
        shutil.copytree(source / "pg_wal", copy / "data/pg_wal")
        (copy / "data/backup_label").write_text(str(row[0]), encoding="utf-8")
        # Recovered once, so that each fork begins at once.
        with self.started(copy) as fork:
            fork.superuser("CHECKPOINT")
        return Backup(copy, time.time())

    @contextmanager
    def fork(self, backup: Backup) -> Iterator[Fork]:
        """Start a server on a copy of a backup."""
        home = Path(tempfile.mkdtemp(prefix="fork-", dir=self.folder))
        subprocess.run(["cp", "-r", str(backup.folder / "data"), str(home / "data")], check=True)
        try:
            with self.started(home) as fork:
                yield fork
        finally:
            shutil.rmtree(home)

    @contextmanager
    def started(self, home: Path) -> Iterator[Fork]:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        settings = tls_settings(self.authority, HOST, home)
        give_away(home)
        server = self.template.start(home, listen_addresses=HOST, port=port, **settings)
        try:
            yield Fork(server, port, dict(self.site.clusters["shared"].passwords), self.authority)
        finally:
            server.stop()

    def restarted(self, fork: Fork) -> None:
        """Stop a fork's server after a checkpoint, so that its files may be changed, and start it again afterwards."""
        fork.superuser("CHECKPOINT")


@dataclass
class Droplet:
    """A droplet of the control group with a drill to do.

    Attributes:
        platform: where.
        home: its folder.
    """

    platform: Platform
    home: Path
    droplets: int = 0

    def request(self, of: Backup, tenants: Sequence[Tenant], **changed: Any) -> dict[str, Any]:
        now = time.time()
        wanted = [{"name": "control_plane", "user": "control_plane"}]
        wanted += [{"name": one.database, "user": one.user()} for one in tenants]
        return {
            "environment": "staging",
            "source": "shared",
            "time": written(now),
            "began": written(now - 300),
            "ready": written(now),
            "backup": written(of.at),
            "databases": wanted,
            "rpo_hours": 30,
            "rto_minutes": 240,
            "every_days": 30,
            "hours": 3,
            "queries": [],
            **changed,
        }

    def sent(self, fork: Fork, tenants: Sequence[Tenant], **changed: Any) -> dict[str, Any]:
        cluster = self.platform.site.clusters["shared"]
        return {
            "identity": self.platform.site.keys[1].secret,
            "cluster": fork.administration(),
            "passwords": dict(fork.passwords),
            "records": {one.database: cluster.credentials(one) for one in tenants},
            **changed,
        }

    def asking(self, name: str = "") -> Asking:
        site = self.platform.site
        client = site.gateway.client()
        for bucket in ("config", "status"):
            client.create_bucket(Bucket=f"{site.bucket}-{bucket}")
        config, status = (Bucket(f"{site.bucket}-{kind}", client) for kind in ("config", "status"))
        run_id = name or f"run-{time.time_ns()}"
        return Asking(run_id, config, status, age=str(backup_programs.programs() / "age"))

    def write(self, asking: Asking, request: Mapping[str, Any]) -> None:
        """Do what an apply, the fetcher and systemd do."""
        site = self.platform.site
        site.write()
        for name in ("credentials", "scratch", "state"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        for file in (site.folder / "credentials").iterdir():
            shutil.copy(file, self.home / "credentials")
        (self.home / "credentials/request.json").write_text(
            json.dumps({"version": 1, "id": asking.run_id, **request}), encoding="utf-8"
        )
        gateway = site.gateway
        (self.home / "credentials/rclone.conf").write_text(
            "[store]\ntype = s3\nprovider = Ceph\nenv_auth = false\nno_check_bucket = true\n"
            f"endpoint = {gateway.endpoint}\naccess_key_id = {gateway.access_key}\n"
            f"secret_access_key = {gateway.secret_key}\n"
            f"[status]\ntype = alias\nremote = store:{asking.status.name}\n",
            encoding="utf-8",
        )

    def start(self) -> "subprocess.Popen[str]":
        """Start the program, as the unit does."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "CREDENTIALS_DIRECTORY": str(self.home / "credentials"),
            "RUNTIME_DIRECTORY": str(self.home / "scratch"),
            "STATE_DIRECTORY": str(self.home / "state"),
        }
        tools = ("--programs", clients(), "--tools", backup_programs.programs())
        options = (*tools, "--pgbouncer", pgbouncer_of_nobody(self.home))
        return subprocess.Popen(
            [*programs.command(self.platform.site.folder / "programs", "drill"), *map(str, options)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def drill(
        self,
        fork: Fork,
        of: Backup,
        tenants: Sequence[Tenant],
        *,
        sent: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = lambda _: None,
        known: Mapping[str, Any] | None = None,
        **changed: Any,
    ) -> "Outcome":
        """Do the whole of a drill; ``known`` is what an earlier one left."""
        if known is not None:
            site = self.platform.site
            content = json.dumps({"known": known}).encode()
            site.gateway.client().put_object(
                Bucket=site.bucket, Key="drills/20260101T000000Z.json", Body=content
            )
        asking = self.asking()
        self.write(asking, self.request(of, tenants, **changed))
        process = self.start()
        heard: list[Any] = []

        def follow() -> None:
            try:
                heard.append(asking.follow(self.sent(fork, tenants, **(sent or {})), 1, say))
            except Exception as error:
                heard.append(error)

        following = threading.Thread(target=follow, daemon=True)
        following.start()
        log, _ = process.communicate(timeout=3600)
        following.join(timeout=30)
        status = heard[0] if heard else None
        report: dict[str, Any] = {}
        if status is not None and getattr(status, "report", None):
            report = json.loads(self.platform.site.read(status.report))
        return Outcome(process.returncode, log, status, report, asking)


def pgbouncer_of_nobody(folder: Path) -> Path:
    """Return a program that runs Debian 13's PgBouncer in its current folder: not as root, which it refuses to be."""
    program = folder / "pgbouncer"
    command = f'{pgbouncer.unpacked() / "pgbouncer"} "$@"'
    if os.geteuid() == 0:
        # With root's right to read everything: the folders are root's own.
        reads = "--inh-caps=+dac_override --ambient-caps=+dac_override"
        command = f"setpriv --reuid=nobody --regid=nogroup --clear-groups {reads} {command}"
    program.write_text(f"#!/bin/sh\nexec {command}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@dataclass
class Outcome:
    """What came of a drill.

    Attributes:
        code: the program's exit status.
        log: its journal.
        status: what the droplet said last.
        report: as it is stored.
        asking: the operator's side.
    """

    code: int
    log: str
    status: Any
    report: dict[str, Any]
    asking: Asking

    def of(self, database: str) -> dict[str, Any]:
        """What was found of one database."""
        (found,) = [one for one in self.report["databases"] if one["database"] == database]
        return dict(found)

    def failed(self, database: str) -> dict[str, str]:
        """The checks of a database that failed, with what was found."""
        return {one["name"]: one["detail"] for one in self.of(database)["checks"] if not one["passed"]}


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
